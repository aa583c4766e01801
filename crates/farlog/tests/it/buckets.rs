//! `farlog broker` over a bucket with bad weather, killed, taken over, and out of disk.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use farlog_client::admin::NewTopic;
use farlog_client::{Cluster, ClusterOptions, ServerAddress, TopicPartition};
use farlog_testkit::bucket::{Bucket, Weather};
use farlog_testkit::history::random::Random;
use farlog_testkit::ports::PortLease;
use farlog_testkit::process::{Program, Supervised};
use farlog_testkit::proxy::FaultProxy;
use farlog_testkit::scratch::Scratch;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::binary::{FARLOG, PATIENCE};
use crate::embedded::{RECORDS_PER_BATCH, batch, numbers, produce};

/// How many times the broker is killed, if the environment does not say more.
const KILLS: usize = 10;
const KILLS_NAME: &str = "FARLOG_BUCKET_KILLS";

/// What decides when, if the environment does not say otherwise.
const SEED: u64 = 4_712;
const SEED_NAME: &str = "FARLOG_BUCKET_SEED";
const PARTITIONS: i32 = 3;
const POLL: Duration = Duration::from_millis(20);

/// What a broker's log says when its own log cannot be written for the time being.
const NOT_NOW: &str = "not now, will try again";

/// Brokers over one bucket, found by clients at one address.
struct Place {
    scratch: Scratch,
    bucket: Bucket,
    proxy: FaultProxy,
    started: usize,
}

/// Producers of all partitions, and how many batches of each are acknowledged.
struct Load {
    stop: watch::Sender<bool>,
    producers: Vec<(JoinHandle<()>, watch::Receiver<u64>)>,
}

fn until_said(broker: &mut Supervised, text: &str) {
    let said = broker.wait_for(PATIENCE, |broker| broker.said(text));
    said.unwrap_or_else(|why| panic!("{text}: {why}:\n{}", broker.tail()));
}

async fn connect(address: SocketAddr, give_up_after: Duration) -> Cluster {
    let servers = ServerAddress::parse_list(&address.to_string()).unwrap();
    let mut options = ClusterOptions::new(servers);
    options.retry.give_up_after = give_up_after;
    Cluster::connect(options).await.unwrap()
}

impl Place {
    fn new(seed: u64) -> Place {
        Place {
            scratch: Scratch::new("buckets").unwrap(),
            bucket: Bucket::start(seed).unwrap(),
            proxy: tokio::task::block_in_place(FaultProxy::start).unwrap(),
            started: 0,
        }
    }

    /// Starts a broker on a port of its own, with nothing but the bucket, and sends clients there
    /// once it listens.
    fn start(&mut self) -> Supervised {
        self.started += 1;
        let port = PortLease::take().unwrap();
        let output = self.scratch.join(&format!("output-{}", self.started));
        let mut broker = Program::new("farlog broker", FARLOG, self.scratch.path(), &output)
            .args(["broker", "--listen", &port.address()])
            .args(["--advertised", &self.proxy.address().to_string()])
            .args(["--bucket", "s3://farlog/one", "--wal", "object", "--wal-interval-ms", "2"])
            .args(["--bucket-option", "AWS_TIMEOUT=1s"]);
        for (name, value) in self.bucket.settings() {
            broker = broker.arg("--bucket-option").arg(format!("{name}={value}"));
        }
        let mut broker = broker.spawn().unwrap();
        // It is printed when it listens.
        until_said(&mut broker, &format!("{}\n", port.address()));
        self.proxy.forward_to(port.address().parse().unwrap());
        broker
    }

    async fn load(&self) -> Load {
        let address = self.proxy.address();
        let topic = NewTopic {
            name: "numbers".to_owned(),
            partitions: Some(PARTITIONS),
            replication_factor: Some(1),
            configs: Default::default(),
        };
        let cluster = connect(address, PATIENCE).await;
        cluster.create_topics(&[topic], false).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        let mut producers = Vec::new();
        for partition in 0..PARTITIONS {
            let (acknowledged, told) = watch::channel(0);
            let cluster = connect(address, PATIENCE).await;
            producers.push((produce(cluster, partition, acknowledged, stopping.clone()), told));
        }
        Load { stop, producers }
    }
}

impl Load {
    /// Waits for some more batches of a partition.
    async fn progress(&mut self, partition: usize, batches: u64) {
        let (_, told) = &mut self.producers[partition];
        let wanted = *told.borrow() + batches;
        let waited = tokio::time::timeout(PATIENCE, told.wait_for(|&known| known >= wanted));
        waited.await.expect("no progress").expect("a producer ended");
    }

    /// Ends it: everything acknowledged is there, once and in order.
    async fn check(self, address: SocketAddr) -> u64 {
        self.stop.send_replace(true);
        let cluster = connect(address, PATIENCE).await;
        let mut total = 0;
        for (partition, (producing, told)) in (0..).zip(self.producers) {
            producing.await.unwrap();
            let records = *told.borrow() * RECORDS_PER_BATCH;
            let found = numbers(&cluster, partition, records).await;
            assert!(found.into_iter().eq(0..records), "partition {partition}");
            total += records;
        }
        total
    }
}

/// Killed again and again under idempotent load, and started each time as on another machine:
/// nothing acknowledged is lost, nothing is there twice. The bucket has every kind of fault.
#[tokio::test(flavor = "multi_thread")]
async fn killed_brokers_lose_nothing_that_the_bucket_has() {
    let kills = std::env::var(KILLS_NAME).map_or(KILLS, |kills| kills.parse().unwrap());
    let seed = std::env::var(SEED_NAME).map_or(SEED, |seed| seed.parse().unwrap());
    let mut place = Place::new(seed);
    let mut random = Random::new(seed);
    place.bucket.set_weather(Weather::bad(2));
    let mut broker = place.start();
    let mut load = place.load().await;
    for kill in 1..=kills {
        load.progress(kill % PARTITIONS as usize, random.between(1, 20)).await;
        tokio::time::sleep(Duration::from_micros(random.below(10_000))).await;
        broker.kill().unwrap();
        broker = place.start();
    }
    let records = load.check(place.proxy.address()).await;
    let (requests, faults) = (place.bucket.requests(), place.bucket.faults());
    println!("seed {seed}: {kills} kills, {records} records, {requests:?}, {faults:?}");
    assert!(faults.total() > kills as u64, "{faults:?}");
    // Answers may be hanging by now.
    place.bucket.set_weather(Weather::default());
    assert!(broker.stop(PATIENCE).unwrap(), "{}", broker.tail());
}

/// The newer of two brokers takes over while the older one serves: the older one ends and says why.
#[tokio::test(flavor = "multi_thread")]
async fn the_newer_broker_fences_the_older() {
    let mut place = Place::new(4_713);
    let mut brokers = vec![place.start()];
    let mut load = place.load().await;
    for round in 1..=4 {
        load.progress(round % PARTITIONS as usize, 10).await;
        brokers.push(place.start());
        let older = &mut brokers[round - 1];
        let ended = older.wait(PATIENCE).unwrap();
        let ended = ended.unwrap_or_else(|| panic!("it goes on:\n{}", older.tail()));
        assert_eq!(ended.code(), Some(1), "{}", older.tail());
        assert!(older.said("error: another broker has taken over this store"), "{}", older.tail());
    }
    load.progress(0, 10).await;
    load.check(place.proxy.address()).await;
    let last = brokers.last_mut().unwrap();
    assert!(last.stop(PATIENCE).unwrap(), "{}", last.tail());
}

/// A broker that nobody writes to finds out as well that another one has its place.
#[test]
fn an_idle_broker_is_fenced_too() {
    let mut place = Place::new(4_714);
    let mut older = place.start();
    let mut newer = place.start();
    let ended = older.wait(PATIENCE).unwrap();
    let ended = ended.unwrap_or_else(|| panic!("it goes on:\n{}", older.tail()));
    assert_eq!(ended.code(), Some(1), "{}", older.tail());
    assert!(newer.stop(PATIENCE).unwrap(), "{}", newer.tail());
}

/// Nobody can reach the bucket for a while: producers wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_gone_for_a_while_is_weather() {
    let mut place = Place::new(4_715);
    let mut broker = place.start();
    let mut load = place.load().await;
    load.progress(0, 3).await;
    place.bucket.set_weather(Weather::gone());
    until_said(&mut broker, NOT_NOW);
    let faults = place.bucket.faults().gone;
    while place.bucket.faults().gone < faults + 5 {
        tokio::time::sleep(POLL).await;
    }
    place.bucket.set_weather(Weather::default());
    for partition in 0..PARTITIONS as usize {
        load.progress(partition, 3).await;
    }
    load.check(place.proxy.address()).await;
    assert!(broker.stop(PATIENCE).unwrap(), "{}", broker.tail());
}

/// Makes a small file system of its own for a broker, almost full.
const IN_SMALL_DISK: &str = "mount -t tmpfs -o size=8m tmpfs \"$1\" && \
     head -c 7500000 /dev/zero > \"$1/ballast\" && shift && exec \"$@\"";

/// The disk of the log is full: producers are told so, and when there is room again they go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_waited_for() {
    let may_mount = std::process::Command::new("unshare").args(["-Urm", "true"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        eprintln!("not run: this machine lets nobody mount a file system of their own");
        return;
    }
    let mut place = Place::new(4_716);
    let data = place.scratch.join("data");
    fs::create_dir(&data).unwrap();
    let port = PortLease::take().unwrap();
    let output = place.scratch.join("output");
    let mut broker = Program::new("farlog broker", "unshare", place.scratch.path(), &output)
        .args(["-Urm", "sh", "-c", IN_SMALL_DISK, "sh"])
        .arg(&data)
        .args([FARLOG, "broker", "--listen", &port.address()])
        .args(["--advertised", &place.proxy.address().to_string(), "--data"])
        .arg(&data)
        .spawn()
        .unwrap();
    until_said(&mut broker, &format!("{}\n", port.address()));
    place.proxy.forward_to(port.address().parse().unwrap());
    place.started += 1;
    let mut load = place.load().await;
    until_said(&mut broker, NOT_NOW);
    let hasty = connect(place.proxy.address(), Duration::from_secs(1)).await;
    let partition = TopicPartition::new("numbers", 0);
    let refused = hasty.produce_batch(&partition, &batch(-1, 0)).await.unwrap_err();
    assert!(refused.to_string().contains("KAFKA_STORAGE_ERROR"), "{refused}");
    // As whoever is in that file system sees it.
    let ballast = data.join("ballast");
    let inside = format!("/proc/{}/root{}", broker.pid(), ballast.display());
    fs::remove_file(inside).unwrap();
    for partition in 0..PARTITIONS as usize {
        load.progress(partition, 3).await;
    }
    load.check(place.proxy.address()).await;
    assert!(broker.stop(PATIENCE).unwrap(), "{}", broker.tail());
}
