//! What one case knows while it runs against one broker: names, ids and times that are others on
//! every run, and what stands for them in scenarios and transcripts.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use farlog_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use farlog_wire::messages::describe_transactions_request::DescribeTransactionsRequest;
use farlog_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use farlog_wire::{ErrorCode, Uuid};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::runner::Ways;
use super::script::parse;
use crate::peer::{NoAnswer, Peer};

/// How far apart two clocks may be, and how long a case may take, for `now` to be recognised.
const NOW_WITHIN_MS: i64 = 600_000;

/// Between two looks at something that a broker does in its own time.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// A topic id that no topic has.
pub(super) const UNKNOWN_ID: Uuid = Uuid([9; 16]);

/// One case against one broker.
#[derive(Debug)]
pub(super) struct World {
    /// Who does the steps.
    pub(super) peer: Peer,
    /// Who may do everything.
    admin: Peer,
    pub(super) ways: Ways,
    /// Distinguishes this case from others, of this run and of earlier ones.
    prefix: String,
    now_ms: i64,
    /// Ids of the topics that were made, by real name.
    pub(super) topic_ids: BTreeMap<String, Uuid>,
    /// What steps gave a name with `as=`.
    pub(super) numbers: BTreeMap<String, i64>,
    /// As above, for texts (member ids).
    pub(super) texts: BTreeMap<String, String>,
    /// Steps that go on while others are done.
    pub(super) background: Vec<JoinHandle<Vec<String>>>,
    barriers: u32,
}

impl World {
    pub(super) fn new(ways: Ways, prefix: String) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        Self {
            peer: Peer::new(ways.plain),
            admin: Peer::new(ways.plain),
            ways,
            prefix,
            now_ms: i64::try_from(since.as_millis()).expect("a clock before long"),
            topic_ids: BTreeMap::new(),
            numbers: BTreeMap::new(),
            texts: BTreeMap::new(),
            background: Vec::new(),
            barriers: 0,
        }
    }

    /// The same on a connection of its own.
    pub(super) fn beside(&self) -> Self {
        Self {
            peer: self.peer.another(),
            admin: self.admin.another(),
            ways: self.ways,
            prefix: self.prefix.clone(),
            now_ms: self.now_ms,
            topic_ids: self.topic_ids.clone(),
            numbers: self.numbers.clone(),
            texts: self.texts.clone(),
            background: Vec::new(),
            barriers: 0,
        }
    }

    /// The real name of a topic, group or transactional id; `=…` is taken as it is, `=x*9` is nine
    /// times x.
    pub(super) fn name(&self, alias: &str) -> String {
        match alias.strip_prefix('=') {
            Some(literal) => match literal.split_once('*') {
                Some((letter, times)) => letter.repeat(parse(times)),
                None => literal.to_owned(),
            },
            None => format!("{}--{alias}", self.prefix),
        }
    }

    /// What a scenario calls a real name.
    pub(super) fn alias(&self, name: &str) -> String {
        let own = name.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix("--"));
        match own {
            Some(alias) => alias.to_owned(),
            None if name.len() > 40 => format!("={}*{}", &name[..1], name.len()),
            None => format!("={name}"),
        }
    }

    /// The id of a topic: zero if it was never made, one that nobody has for `?`.
    pub(super) fn topic_id(&self, alias: &str) -> Uuid {
        match alias {
            "?" => UNKNOWN_ID,
            alias => self.topic_ids.get(&self.name(alias)).copied().unwrap_or(Uuid::ZERO),
        }
    }

    /// What a scenario calls an id.
    pub(super) fn show_id(&self, id: Uuid) -> String {
        if id.is_zero() {
            return "no-id".to_owned();
        }
        if id == UNKNOWN_ID {
            return "id(?)".to_owned();
        }
        match self.topic_ids.iter().find(|(_, known)| **known == id) {
            Some((name, _)) => format!("id({})", self.alias(name)),
            None => "an-id".to_owned(),
        }
    }

    /// A time: milliseconds, or `now`, `now-2h`, `now+3d` (units ms, s, m, h, d).
    pub(super) fn time(&self, text: &str) -> i64 {
        let Some(rest) = text.strip_prefix("now") else { return parse(text) };
        if rest.is_empty() {
            return self.now_ms;
        }
        let digits = rest[1..].find(|letter: char| !letter.is_ascii_digit()).expect("a unit") + 1;
        let count: i64 = parse(&rest[1..digits]);
        let unit = match &rest[digits..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            other => panic!("no unit of time: {other}"),
        };
        let sign = if rest.starts_with('-') { -1 } else { 1 };
        self.now_ms + sign * count * unit
    }

    /// A time as above, if it is near enough to a whole hour from now.
    pub(super) fn show_time(&self, time_ms: i64) -> String {
        const HOUR_MS: i64 = 3_600_000;
        let apart = time_ms.saturating_sub(self.now_ms);
        let hours = apart.saturating_add(HOUR_MS / 2).div_euclid(HOUR_MS);
        let is_near = (apart - hours * HOUR_MS).abs() < NOW_WITHIN_MS;
        match hours {
            0 if is_near => "now".to_owned(),
            hours if is_near && hours.abs() < 1_000 => format!("now{hours:+}h"),
            _ => time_ms.to_string(),
        }
    }

    /// A number, or the name of one that a step gave.
    pub(super) fn number(&self, text: &str) -> i64 {
        match text.strip_prefix('$') {
            Some(name) => match name.split_once('+') {
                Some((name, more)) => self.numbers[name] + parse::<i64>(more),
                None => self.numbers[name],
            },
            None => parse(text),
        }
    }

    /// A producer id, by its name if it was given one.
    pub(super) fn show_producer(&self, producer_id: i64) -> String {
        let named = self.numbers.iter().find(|(_, number)| **number == producer_id);
        match named {
            Some((name, _)) if producer_id >= 0 => format!("${name}"),
            _ => producer_id.to_string(),
        }
    }

    /// A coordinator's epoch: counts its elections, which are nobody's business but small.
    pub(super) fn show_coordinator(&self, epoch: i32) -> String {
        epoch.to_string()
    }

    /// A member id: `$name` is one that a step gave a name.
    pub(super) fn member(&self, text: &str) -> String {
        match text.strip_prefix('$') {
            Some(name) => self.texts.get(name).cloned().unwrap_or_default(),
            None => text.to_owned(),
        }
    }

    /// A member id, by its name if it has one.
    pub(super) fn show_member(&self, id: &str) -> String {
        if id.is_empty() {
            return "none".to_owned();
        }
        let named = self.texts.iter().find(|(_, text)| *text == id);
        named.map_or_else(|| "a-member".to_owned(), |(name, _)| format!("${name}"))
    }

    /// Waits until the markers of a transaction that was ended are written.
    pub(super) async fn wait_for_transaction(&mut self, transactional_id: &str) {
        let request =
            DescribeTransactionsRequest { transactional_ids: vec![transactional_id.to_owned()] };
        loop {
            let answer = self.admin.call(&request, 0).await.expect("an answer");
            let state = &answer.transaction_states[0].transaction_state;
            if !state.starts_with("Prepare") {
                return;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until every partition of a topic answers.
    pub(super) async fn wait_for_topic(&mut self, name: &str, partitions: i32) {
        while !self.answers(name, partitions).await.expect("an answer to ListOffsets") {
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn answers(&mut self, name: &str, partitions: i32) -> Result<bool, NoAnswer> {
        let partitions = (0..partitions).map(|index| ListOffsetsPartition {
            partition_index: index,
            timestamp: -1,
            ..ListOffsetsPartition::default()
        });
        let topic = ListOffsetsTopic { name: name.to_owned(), partitions: partitions.collect() };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![topic],
            ..ListOffsetsRequest::default()
        };
        let answer = self.admin.call(&request, 4).await?;
        let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        Ok(partitions.all(|partition| partition.error_code == ErrorCode::NONE))
    }

    /// Waits until everything that was changed before is in force. Kafka applies changes of its
    /// metadata in order: when a topic made now answers, all earlier ones are applied.
    pub(super) async fn barrier(&mut self) {
        self.barriers += 1;
        let name = format!("{}-barrier-{}", self.prefix, self.barriers);
        let topic = CreatableTopic {
            name: name.clone(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 30_000,
            ..CreateTopicsRequest::default()
        };
        self.admin.call(&request, 5).await.expect("an answer to CreateTopics");
        self.wait_for_topic(&name, 1).await;
    }
}

/// An error as transcripts have it: Kafka's name.
pub(super) fn show_error(code: ErrorCode) -> String {
    match code {
        ErrorCode::NONE => "ok".to_owned(),
        ErrorCode(code) if ErrorCode(code).name() == "UNKNOWN" => format!("error {code}"),
        code => code.name().to_owned(),
    }
}
