//! `cargo xtask demo`: two Kafka clusters on this machine, a link between them, a live load, and
//! the records as they arrive.

mod guide;
mod load;
mod mirror;
mod shop;
mod tally;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use farlog_client::{Cluster, ClusterOptions, ServerAddress};
use farlog_testkit::jars::KafkaVersion;
use farlog_testkit::kafka::{KafkaCluster, KafkaOptions};
use farlog_testkit::ports::PortLease;
use farlog_testkit::process::{Program, Supervised};
use farlog_testkit::scratch::Scratch;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::command::{self, Failure};
use crate::product::{self, Profile};
use guide::Guide;
use load::Load;
use tally::Tally;

const KAFKA: KafkaVersion = KafkaVersion::V4_3;

/// How long the link may take to mirror what is still on the way at the end, or its first record.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);

/// How long Farlog may take to end in an orderly way.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// How long to watch, and how much.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// End after so many seconds; without it the demo goes on until Ctrl-C
    #[arg(long)]
    seconds: Option<u64>,
    /// Records a second of the live load, up to 5,000
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    rate: u64,
}

/// Everything that runs; the processes end with it.
struct Stage {
    source: KafkaCluster,
    target: KafkaCluster,
    settings: PathBuf,
    metrics: PortLease,
    farlog: PathBuf,
    scratch: Scratch,
}

/// Runs the demo to its end.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let stage = Stage::set()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::while_doing("starting a runtime"))?;
    runtime.block_on(stage.play(arguments))
}

impl Stage {
    fn set() -> Result<Stage, Failure> {
        command::step("jars of Kafka 4.3.1", || crate::fetch_kafka::fetch(KAFKA))?;
        command::step("build of farlog", || product::build(Profile::Dev))?;
        let scratch = Scratch::new("demo").map_err(Failure::while_doing("making a directory"))?;
        let start = || KafkaCluster::start(KafkaOptions::new(KAFKA));
        let (source, target) = command::step("two Kafka clusters, us-east and eu-west", || {
            std::thread::scope(|scope| {
                let source = scope.spawn(start);
                let target = start();
                let source = source.join().map_err(|_| Failure::new("a start of Kafka panicked"));
                let failed = || Failure::while_doing("cannot start Kafka");
                Ok((source?.map_err(failed())?, target.map_err(failed())?))
            })
        })?;
        let settings = scratch.join("farlog.yaml");
        fs::write(&settings, shop::settings(&source.bootstrap(), &target.bootstrap()))
            .map_err(Failure::while_doing(format!("writing {}", settings.display())))?;
        let metrics = PortLease::take().map_err(Failure::while_doing("taking a port"))?;
        let farlog = product::path(Profile::Dev);
        Ok(Stage { source, target, settings, metrics, farlog, scratch })
    }

    async fn play(&self, arguments: &Arguments) -> Result<(), Failure> {
        let source = connect(&self.source).await?;
        shop::open(&source).await?;
        let tally = Tally::new();
        let (closing, closed) = watch::channel(false);
        let load = tokio::spawn(Load::new(source, arguments.rate, tally.clone()).run(closed));
        let mut farlog = self.start_farlog()?;
        let mut mirrors = mirror::follow(&self.target, &tally);
        print!("{}", self.guide());

        let ended = self.watch(arguments, &tally, &mut farlog).await;
        closing.send_replace(true);
        load.await.map_err(Failure::while_doing("the load failed"))??;
        ended?;
        let drained = drain(&tally).await;
        mirrors.abort_all();
        let orderly = tokio::task::block_in_place(|| farlog.stop(STOP_PATIENCE))
            .map_err(Failure::while_doing("cannot stop farlog"))?;
        println!("\n{}", tally.summary());
        drained.map_err(|failure| with_log(&failure, &farlog))?;
        if !orderly {
            let what = Failure::new(format!("farlog did not end within {STOP_PATIENCE:?}"));
            return Err(with_log(&what, &farlog));
        }
        Ok(())
    }

    fn start_farlog(&self) -> Result<Supervised, Failure> {
        Program::new("farlog", &self.farlog, self.scratch.path(), &self.log())
            .arg("run")
            .arg(&self.settings)
            .args(["--listen", &self.metrics.address()])
            .spawn()
            .map_err(Failure::while_doing("cannot start farlog"))
    }

    /// A line a second, until it is time to end.
    async fn watch(
        &self,
        arguments: &Arguments,
        tally: &Tally,
        farlog: &mut Supervised,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let end = arguments.seconds.map(|seconds| start + Duration::from_secs(seconds));
        let mut lines = interval(Duration::from_secs(1));
        lines.set_missed_tick_behavior(MissedTickBehavior::Delay);
        lines.tick().await;
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                _ = lines.tick() => {}
                () = until(end) => return Ok(()),
                outcome = &mut interrupted => {
                    return outcome.map_err(Failure::while_doing("cannot wait for Ctrl-C"));
                }
            }
            if let Some(status) =
                farlog.ended().map_err(Failure::while_doing("cannot wait for farlog"))?
            {
                return Err(with_log(&Failure::new(format!("farlog ended: {status}")), farlog));
            }
            if let Some(failure) = tally.failure() {
                return Err(failure);
            }
            println!("{}", tally.line(start.elapsed()));
        }
    }

    fn guide(&self) -> Guide<'_> {
        Guide {
            settings: &self.settings,
            farlog: &self.farlog,
            log: self.log(),
            source: self.source.bootstrap(),
            target: self.target.bootstrap(),
            metrics: self.metrics.address(),
        }
    }

    fn log(&self) -> PathBuf {
        self.scratch.join("farlog.log")
    }
}

async fn connect(kafka: &KafkaCluster) -> Result<Cluster, Failure> {
    let servers = ServerAddress::parse_list(&kafka.bootstrap())
        .map_err(Failure::while_doing("cannot read a broker's address"))?;
    Cluster::connect(ClusterOptions::new(servers))
        .await
        .map_err(Failure::while_doing("cannot connect to Kafka"))
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Waits until the mirror holds all that was produced.
async fn drain(tally: &Tally) -> Result<(), Failure> {
    let deadline = Instant::now() + DRAIN_PATIENCE;
    while !tally.is_level() {
        if let Some(failure) = tally.failure() {
            return Err(failure);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "the mirror was not level within {DRAIN_PATIENCE:?}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn with_log(failure: &Failure, farlog: &Supervised) -> Failure {
    Failure::new(format!("{failure}; farlog's log ends:\n{}", farlog.tail()))
}
