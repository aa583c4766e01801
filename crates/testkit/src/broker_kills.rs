//! One broker over a directory, killed again and again while producers, transactional copiers and
//! groups are at work; then everything that was acknowledged is held against what is there.
//!
//! - Producers (`acks=all`, idempotent) count up in the partitions of `numbers`. A request without
//!   an answer is sent again as it was.
//! - A copier for each partition reads it, and writes in transactions to `copies`, a line about
//!   each transaction to `marks`, and its offset to a group: consume, transform, produce. It aborts
//!   now and then, and forgets now and then who it was, as an application that dies does. One of
//!   them speaks the protocol before KIP-890, the others the one since.
//! - A member of a group joins after every kill, commits, and finds what it committed before.
//!
//! [`verdict`] says what must hold in the end.

mod client;
mod copier;
mod member;
pub mod verdict;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs, io};

use farlog_client::TopicPartition;
use farlog_wire::records::{BatchWriter, OutgoingBatch, ProducerStamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::history::random::Random;
use crate::history::reader::read_partition;
use crate::history::{HistoryError, Session};
use crate::ports::PortLease;
use crate::process::{Program, Supervised};
use crate::scratch::Scratch;
use client::Client;
use copier::{Copier, Protocol, Transactions};
use member::Member;
use verdict::{Copy, Mark, Partition, Verdict};

/// Partitions of each topic, and so how many producers and copiers there are.
const PARTITIONS: i32 = 3;

/// Records of one batch of a producer.
const RECORDS_PER_BATCH: u64 = 5;

/// Nothing that is waited for takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Clone, Debug)]
pub struct BrokerKills {
    /// The `farlog` under test.
    pub program: PathBuf,
    /// How often it is killed.
    pub kills: u32,
    /// What decides when, and what is aborted.
    pub seed: u64,
    /// Whether the broker loses what came after the first half of the kills: to prove that it would
    /// be noticed.
    pub plant_a_loss: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What decided.
    pub seed: u64,
    /// How often the broker was killed.
    pub kills: u32,
    /// Records that were acknowledged to producers.
    pub acknowledged_total: u64,
    /// Transactions that were committed and aborted, as far as their copiers were told.
    pub transactions: (usize, usize),
    /// Transactions whose copier died in the middle of them.
    pub abandoned: usize,
    /// What does not hold.
    pub verdict: Verdict,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (committed, aborted) = self.transactions;
        write!(
            out,
            "broker, seed {}: {} kills, {} records acknowledged, {committed} transactions \
             committed, {aborted} aborted, {} abandoned, {} findings",
            self.seed,
            self.kills,
            self.acknowledged_total,
            self.abandoned,
            self.verdict.findings.len()
        )
    }
}

/// A producer at work, and how many of its batches are acknowledged.
struct Producing {
    task: JoinHandle<Result<(), HistoryError>>,
    acknowledged: watch::Receiver<u64>,
}

/// All who are at work.
struct Load {
    stop: watch::Sender<bool>,
    producing: Vec<Producing>,
    copying: Vec<JoinHandle<Result<Transactions, HistoryError>>>,
}

impl Load {
    async fn start(port: &PortLease, seed: u64) -> Result<Load, HistoryError> {
        let (stop, stopping) = watch::channel(false);
        let mut load = Load { stop, producing: Vec::new(), copying: Vec::new() };
        for partition in 0..PARTITIONS {
            let (told, acknowledged) = watch::channel(0);
            let client = Client::connect(&port.address()).await?;
            let task = tokio::spawn(produce(client, partition, told, stopping.clone()));
            load.producing.push(Producing { task, acknowledged });
            let client = Client::connect(&port.address()).await?;
            let protocol = if partition == 0 { Protocol::Before } else { Protocol::Since };
            let random = Random::named(seed, &format!("copier {partition}"));
            let copier = Copier::new(client, partition, protocol, random);
            load.copying.push(tokio::spawn(copier.run(stopping.clone())));
        }
        Ok(load)
    }

    /// Lets them finish: how many records were acknowledged, and what became of transactions.
    async fn end(self) -> Result<(Vec<u64>, Vec<Transactions>), HistoryError> {
        self.stop.send_replace(true);
        let mut acknowledged = Vec::new();
        for one in self.producing {
            joined(one.task).await?;
            acknowledged.push(*one.acknowledged.borrow() * RECORDS_PER_BATCH);
        }
        let mut transactions = Vec::new();
        for one in self.copying {
            transactions.push(joined(one).await?);
        }
        Ok((acknowledged, transactions))
    }
}

/// Kills the broker so often, and looks at what is left.
///
/// # Errors
/// When the test itself cannot go on: no progress, an answer that no client expects.
pub async fn run(options: &BrokerKills) -> Result<Summary, HistoryError> {
    let scratch = Scratch::new("broker-kills").map_err(system("making a directory"))?;
    let port = PortLease::take().map_err(system("finding a port"))?;
    let mut broker = start(&options.program, scratch.path(), &port, 0)?;
    let client = Client::connect(&port.address()).await?;
    for topic in ["numbers", "copies", "marks", "joined"] {
        client.create_topic(topic, PARTITIONS).await?;
    }
    let mut load = Load::start(&port, options.seed).await?;
    let mut random = Random::named(options.seed, "kills");
    let mut member = Member::new(&client);
    for kill in 1..=options.kills {
        let one = random.index(load.producing.len());
        let wanted = *load.producing[one].acknowledged.borrow() + random.between(1, 20);
        let told = &mut load.producing[one].acknowledged;
        // What it answers with keeps the producer from telling more, as long as it is kept.
        let progress = async { told.wait_for(|&batches| batches >= wanted).await.map(drop) };
        let both = async { tokio::join!(progress, member.join_and_commit(i64::from(kill))) };
        match timeout(PATIENCE, both).await {
            Ok((Ok(()), member)) => member?,
            Ok((Err(_), _)) => break,
            Err(_) => {
                let what = format!("progress before kill {kill}; the broker: {}", broker.tail());
                return Err(HistoryError::Patience { what, patience: PATIENCE });
            }
        }
        sleep(Duration::from_micros(random.below(5_000))).await;
        broker.kill().map_err(system("killing the broker"))?;
        if options.plant_a_loss && kill == options.kills / 2 {
            copy(&scratch.join("data"), &scratch.join("older")).map_err(system("copying"))?;
        }
        broker = start(&options.program, scratch.path(), &port, kill)?;
    }
    let (acknowledged, transactions) = load.end().await?;
    if options.plant_a_loss {
        broker.kill().map_err(system("killing the broker"))?;
        let planted = fs::remove_dir_all(scratch.join("data"))
            .and_then(|()| fs::rename(scratch.join("older"), scratch.join("data")));
        planted.map_err(system("planting a loss"))?;
        broker = start(&options.program, scratch.path(), &port, options.kills + 1)?;
        for partition in 0..PARTITIONS {
            // What was open then would be waited for.
            client.init_producer(Some(&copier::group(partition))).await?;
        }
    }
    let session = Session::connect(&port.address()).await?;
    let verdict = look(&session, &client, &acknowledged, &transactions).await?;
    broker.stop(PATIENCE).map_err(system("stopping the broker"))?;
    let count = |of: fn(&Transactions) -> usize| transactions.iter().map(of).sum();
    Ok(Summary {
        seed: options.seed,
        kills: options.kills,
        acknowledged_total: acknowledged.iter().sum(),
        transactions: (count(|all| all.committed.len()), count(|all| all.aborted.len())),
        abandoned: count(|all| all.abandoned),
        verdict,
    })
}

fn system(what: &str) -> impl FnOnce(io::Error) -> HistoryError {
    let what = what.to_owned();
    move |source| HistoryError::System { what, source }
}

/// Copies a directory.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

async fn joined<T>(task: JoinHandle<Result<T, HistoryError>>) -> Result<T, HistoryError> {
    task.await.map_err(|error| HistoryError::Fixture {
        what: "a task of the test".to_owned(),
        problem: error.to_string(),
    })?
}

fn start(
    program: &Path,
    directory: &Path,
    port: &PortLease,
    start: u32,
) -> Result<Supervised, HistoryError> {
    let output = directory.join(format!("output-{start}"));
    Program::new("farlog broker", program, directory, &output)
        .args(["broker", "--listen", &port.address(), "--data"])
        .arg(directory.join("data"))
        .spawn()
        .map_err(system("starting the broker"))
}

/// Batch number `index` of a producer: its records bear numbers, its sequence is what it must be.
fn batch(producer_id: i64, index: u64) -> OutgoingBatch {
    let mut writer = BatchWriter::new();
    let first = index * RECORDS_PER_BATCH;
    for number in first..first + RECORDS_PER_BATCH {
        writer.push(1_000, None, Some(&number.to_be_bytes()), &[]);
    }
    let base_sequence = i32::try_from(first).expect("a test writes fewer records");
    let stamp = ProducerStamp { producer_id, producer_epoch: 0, base_sequence };
    writer.finish(stamp).expect("a few small records")
}

/// Produces until told to stop; tells how many batches were acknowledged.
async fn produce(
    client: Client,
    partition: i32,
    acknowledged: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
) -> Result<(), HistoryError> {
    let place = TopicPartition::new("numbers", partition);
    let (producer_id, _) = client.init_producer(None).await?;
    for index in 0.. {
        if *stop.borrow() {
            break;
        }
        // Sent again after every kill: the broker must recognise what it has.
        let appended = client.produce_batch(&place, &batch(producer_id, index)).await?;
        let expected = i64::try_from(index * RECORDS_PER_BATCH).expect("a small number");
        if appended != expected {
            let problem = format!("appended at {appended}, {expected} is where it belongs");
            return Err(HistoryError::Fixture { what: format!("{place}"), problem });
        }
        acknowledged.send_replace(index + 1);
    }
    Ok(())
}

/// Reads everything back and judges it.
async fn look(
    session: &Session,
    client: &Client,
    acknowledged: &[u64],
    transactions: &[Transactions],
) -> Result<Verdict, HistoryError> {
    let mut partitions = Vec::new();
    for (partition, (&acknowledged, told)) in (0..).zip(acknowledged.iter().zip(transactions)) {
        let numbers = read_partition(session, "numbers", partition).await?.records;
        let copies = read_partition(session, "copies", partition).await?.records;
        let marks = read_partition(session, "marks", partition).await?.records;
        let fields = |value: &Option<bytes::Bytes>| -> Vec<u64> {
            let value = value.as_deref().unwrap_or_default();
            value.chunks_exact(8).map(|chunk| chunk.iter().fold(0, shifted)).collect()
        };
        partitions.push(Partition {
            acknowledged,
            numbers: numbers.iter().filter_map(|one| fields(&one.value).first().copied()).collect(),
            copies: copies.iter().filter_map(|one| Copy::read(&fields(&one.value))).collect(),
            marks: marks.iter().filter_map(|one| Mark::read(&fields(&one.value))).collect(),
            committed: told.committed.clone(),
            aborted: told.aborted.clone(),
            offset: client.committed(&copier::group(partition), "numbers", partition).await?,
        });
    }
    Ok(verdict::judge(&partitions))
}

fn shifted(number: u64, byte: &u8) -> u64 {
    number << 8 | u64::from(*byte)
}
