//! Fetch sessions (KIP-227): what a client asked for is remembered, so that it names only what
//! changed, and is told only what changed.
//!
//! Source: KIP-227 and what Kafka 4.3 does (`FetchSession`). Sessions live in memory: a client that
//! comes with one of another start begins anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farlog_wire::messages::fetch_request::{FetchPartition, FetchRequest};
use farlog_wire::messages::fetch_response::PartitionData;
use farlog_wire::{ErrorCode, Uuid};

use crate::limits::{FETCH_SESSION_IDLE_MS, FETCH_SESSION_PARTITIONS_MAX, FETCH_SESSIONS_MAX};

/// Session epochs of requests that name all their partitions: to begin a session, and to do
/// without.
const FULL: i32 = 0;
const SESSIONLESS: i32 = -1;

/// All sessions of a broker.
#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: i32,
    sessions: HashMap<i32, Session>,
}

#[derive(Debug)]
struct Session {
    /// What the next request must name.
    epoch: i32,
    is_by_id: bool,
    used_at_ms: i64,
    /// Rises with every partition that is put behind all others.
    last_place: u64,
    partitions: HashMap<Name, Remembered>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    topic: String,
    topic_id: Uuid,
    partition: i32,
}

#[derive(Debug)]
struct Remembered {
    asked: FetchPartition,
    /// Partitions with data go behind the others, so that each has its turn.
    place: u64,
    /// As the client was told last; -1 if it must be told in any case.
    high_watermark: i64,
    log_start_offset: i64,
}

/// A partition that is to be read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) topic: String,
    pub(super) topic_id: Uuid,
    pub(super) asked: FetchPartition,
}

/// What a request is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It has none and wants none.
    Sessionless,
    /// It wants a new one.
    Full,
    /// It goes on with this one.
    Incremental(i32),
}

impl FetchSessions {
    /// What is to be read for a request.
    ///
    /// # Errors
    /// `FETCH_SESSION_ID_NOT_FOUND`, `INVALID_FETCH_SESSION_EPOCH`, `FETCH_SESSION_TOPIC_ID_ERROR`.
    pub(super) fn begin(
        &self,
        request: &FetchRequest,
        is_by_id: bool,
        now_ms: i64,
    ) -> Result<(Mode, Vec<Entry>), ErrorCode> {
        let mut inner = self.lock();
        let id = request.session_id;
        if [FULL, SESSIONLESS].contains(&request.session_epoch) {
            // Either way the client is done with the one that it had.
            inner.sessions.remove(&id);
            let mode = match request.session_epoch {
                FULL => Mode::Full,
                _ => Mode::Sessionless,
            };
            return Ok((mode, entries_of(request).collect()));
        }
        let session = inner.sessions.get_mut(&id);
        let session = session.ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.is_by_id != is_by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        session.epoch = next_epoch(session.epoch);
        session.used_at_ms = now_ms;
        session.change(request);
        if session.partitions.is_empty() {
            inner.sessions.remove(&id);
            return Ok((Mode::Sessionless, Vec::new()));
        }
        if session.partitions.len() > FETCH_SESSION_PARTITIONS_MAX {
            inner.sessions.remove(&id);
            return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        }
        Ok((Mode::Incremental(id), session.entries()))
    }

    /// The session's id for the answer (0 for none), and for each entry whether it is told.
    pub(super) fn end(
        &self,
        mode: Mode,
        entries: &[Entry],
        data: &[PartitionData],
        is_by_id: bool,
        now_ms: i64,
    ) -> (i32, Vec<bool>) {
        let all = vec![true; entries.len()];
        let mut inner = self.lock();
        match mode {
            Mode::Sessionless => (0, all),
            Mode::Full => (inner.remember(entries, data, is_by_id, now_ms), all),
            Mode::Incremental(id) => match inner.sessions.get_mut(&id) {
                Some(session) => {
                    let pairs = entries.iter().zip(data);
                    (id, pairs.map(|(entry, data)| session.must_tell(entry, data)).collect())
                }
                None => (0, all),
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Begins a session if there is room; its id, 0 if not.
    fn remember(
        &mut self,
        entries: &[Entry],
        data: &[PartitionData],
        is_by_id: bool,
        now_ms: i64,
    ) -> i32 {
        if entries.len() > FETCH_SESSION_PARTITIONS_MAX {
            return 0;
        }
        if self.sessions.len() >= FETCH_SESSIONS_MAX {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used_at_ms);
            match oldest.map(|(&id, session)| (id, session.used_at_ms)) {
                Some((id, used_at_ms)) if now_ms - used_at_ms > FETCH_SESSION_IDLE_MS => {
                    self.sessions.remove(&id);
                }
                _ => return 0,
            }
        }
        let mut session = Session {
            epoch: next_epoch(FULL),
            is_by_id,
            used_at_ms: now_ms,
            last_place: 0,
            partitions: HashMap::new(),
        };
        for (entry, data) in entries.iter().zip(data) {
            session.put(entry.clone());
            session.must_tell(entry, data);
        }
        self.last_id = next_epoch(self.last_id);
        while self.sessions.contains_key(&self.last_id) {
            self.last_id = next_epoch(self.last_id);
        }
        self.sessions.insert(self.last_id, session);
        self.last_id
    }
}

impl Session {
    /// Takes in what a request adds, alters and forgets.
    fn change(&mut self, request: &FetchRequest) {
        for forgotten in &request.forgotten_topics_data {
            for &partition in &forgotten.partitions {
                let (topic, topic_id) = (forgotten.topic.clone(), forgotten.topic_id);
                self.partitions.remove(&Name { topic, topic_id, partition });
            }
        }
        for entry in entries_of(request) {
            self.put(entry);
        }
    }

    fn put(&mut self, entry: Entry) {
        if let Some(known) = self.partitions.get_mut(&entry.name()) {
            known.asked = entry.asked;
            return;
        }
        self.last_place += 1;
        let (name, place) = (entry.name(), self.last_place);
        let remembered =
            Remembered { asked: entry.asked, place, high_watermark: -1, log_start_offset: -1 };
        self.partitions.insert(name, remembered);
    }

    fn entries(&self) -> Vec<Entry> {
        let mut placed: Vec<(&Name, &Remembered)> = self.partitions.iter().collect();
        placed.sort_unstable_by_key(|(_, remembered)| remembered.place);
        let entry = |(name, remembered): (&Name, &Remembered)| Entry {
            topic: name.topic.clone(),
            topic_id: name.topic_id,
            asked: remembered.asked.clone(),
        };
        placed.into_iter().map(entry).collect()
    }

    /// Whether the client does not know yet what `data` says; from now on it does.
    fn must_tell(&mut self, entry: &Entry, data: &PartitionData) -> bool {
        let place = self.last_place + 1;
        let Some(known) = self.partitions.get_mut(&entry.name()) else { return true };
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        if has_records {
            known.place = place;
            self.last_place = place;
        }
        let diverges = data.diverging_epoch.end_offset >= 0;
        let is_news = known.high_watermark != data.high_watermark
            || known.log_start_offset != data.log_start_offset;
        known.high_watermark = data.high_watermark;
        known.log_start_offset = data.log_start_offset;
        if data.error_code.is_error() || diverges {
            // That it is over is told, too.
            known.high_watermark = -1;
            return true;
        }
        has_records || is_news
    }
}

impl Entry {
    fn name(&self) -> Name {
        let Self { topic, topic_id, asked } = self;
        Name { topic: topic.clone(), topic_id: *topic_id, partition: asked.partition }
    }
}

fn entries_of(request: &FetchRequest) -> impl Iterator<Item = Entry> + '_ {
    request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|asked| Entry {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            asked: asked.clone(),
        })
    })
}

/// Epochs, and the ids of sessions, count from 1 to the largest int32 and begin again at 1.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use farlog_wire::messages::fetch_request::FetchTopic;

    fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest {
        let partitions = partitions
            .iter()
            .map(|&partition| FetchPartition { partition, ..FetchPartition::default() });
        let topic = FetchTopic {
            topic: "t".to_owned(),
            partitions: partitions.collect(),
            ..FetchTopic::default()
        };
        FetchRequest { session_id, session_epoch, topics: vec![topic], ..FetchRequest::default() }
    }

    fn data(high_watermark: i64, records: &'static [u8]) -> PartitionData {
        let records = Some(Bytes::from_static(records));
        PartitionData { high_watermark, records, log_start_offset: 0, ..PartitionData::default() }
    }

    #[test]
    fn only_news_are_told_and_partitions_take_turns() {
        let sessions = FetchSessions::default();
        let (mode, entries) = sessions.begin(&request(0, 0, &[0, 1]), false, 0).unwrap();
        assert_eq!((mode, entries.len()), (Mode::Full, 2));
        let told = [data(5, b""), data(5, b"r")];
        let (id, news) = sessions.end(mode, &entries, &told, false, 0);
        assert_eq!((id, news), (1, vec![true, true]));
        let again = request(id, 1, &[]);
        let (mode, entries) = sessions.begin(&again, false, 0).unwrap();
        assert_eq!(mode, Mode::Incremental(id));
        let told = [data(5, b""), data(6, b"")];
        let (_, news) = sessions.end(mode, &entries, &told, false, 0);
        assert_eq!(news, [false, true]);
        let stale = sessions.begin(&again, false, 0).unwrap_err();
        assert_eq!(stale, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        let (mode, entries) = sessions.begin(&request(id, 2, &[]), false, 0).unwrap();
        sessions.end(mode, &entries, &[data(5, b"r"), data(6, b"")], false, 0);
        let (_, entries) = sessions.begin(&request(id, 3, &[2]), false, 0).unwrap();
        let order: Vec<i32> = entries.iter().map(|entry| entry.asked.partition).collect();
        assert_eq!(order, [1, 0, 2]);
    }

    #[test]
    fn a_session_that_is_closed_or_was_never_is_not_found() {
        let sessions = FetchSessions::default();
        let (mode, entries) = sessions.begin(&request(0, 0, &[0]), true, 0).unwrap();
        let (id, _) = sessions.end(mode, &entries, &[data(0, b"")], true, 0);
        let by_name = sessions.begin(&request(id, 1, &[]), false, 0).unwrap_err();
        assert_eq!(by_name, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        assert!(sessions.begin(&request(id, -1, &[]), true, 0).is_ok());
        let gone = sessions.begin(&request(id, 1, &[]), true, 0).unwrap_err();
        assert_eq!(gone, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    }

    #[test]
    fn the_oldest_idle_session_makes_room() {
        let sessions = FetchSessions::default();
        let open = |now_ms| {
            let (mode, entries) = sessions.begin(&request(0, 0, &[0]), false, now_ms).unwrap();
            sessions.end(mode, &entries, &[data(0, b"")], false, now_ms).0
        };
        for _ in 0..FETCH_SESSIONS_MAX {
            assert_ne!(open(0), 0);
        }
        assert_eq!(open(FETCH_SESSION_IDLE_MS), 0);
        assert_ne!(open(FETCH_SESSION_IDLE_MS + 1), 0);
    }
}
