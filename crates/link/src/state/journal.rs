//! The state topic folded into what is known of each mirror partition.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::record::{Claim, Entry, Fact, MirrorId, StateError, StateKey, StateValue};
use super::sealed::Sealed;

/// Where a block begins in the mirror, in which turn it was written, and by whom.
pub type BlockPlace = (i64, u32, Claim);

/// What the state topic says about one mirror partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorFacts {
    /// Where mirroring began.
    pub start: Option<Fact>,
    /// The newest acknowledged position that was saved.
    pub anchor: Option<Fact>,
    /// Where turns began, by their number and who wrote them.
    pub turns: BTreeMap<(u32, Claim), Fact>,
    /// Batches written ahead, by their offset in the mirror and who wrote them.
    pub entries: BTreeMap<(i64, Claim), Entry>,
    /// What surely lies in the mirror, by where it begins and who wrote it down.
    pub sealed: BTreeMap<BlockPlace, Arc<Sealed>>,
    /// Source ranges that retention deleted before they were mirrored: from, until (exclusive).
    pub lost: BTreeMap<i64, i64>,
    /// Older entries and turns were left out, up to this offset of the mirror: only what is known
    /// of greater ones can be trusted, and a log end below it needs the whole state topic.
    pub entries_from: i64,
}

impl MirrorFacts {
    /// Adds what is known besides.
    pub(crate) fn extend(&mut self, other: Self) {
        self.start = self.start.or(other.start);
        self.turns.extend(other.turns);
        self.entries.extend(other.entries);
        self.sealed.extend(other.sealed);
        self.lost.extend(other.lost);
    }

    /// The latest turn that is known, 0 if there was none.
    pub fn turn(&self) -> u32 {
        let begun = self.turns.last_key_value().map_or(0, |((turn, _), _)| *turn);
        let begun = self.sealed.keys().map(|(_, turn, _)| *turn).fold(begun, u32::max);
        self.entries.values().map(|entry| entry.turn).fold(begun, u32::max)
    }

    /// What is surely true of a mirror that ends at `log_end`: where the latest turn began that it
    /// can hold anything of, or a later position of that turn.
    ///
    /// Positions of turns before that do not count, even those with greater offsets: a mirror that
    /// lost its tail grew again otherwise.
    pub fn latest(&self, log_end: i64) -> Option<Fact> {
        let known = self.turns.values().chain(&self.anchor).copied();
        known
            .filter(|fact| fact.target_offset <= log_end)
            .chain(self.latest_sealed(log_end))
            .max_by_key(|fact| (fact.turn, fact.target_offset))
    }

    /// The latest turn that sealed, and up to where: it vouches for all that was sealed before it
    /// and lies below.
    pub(crate) fn sealed_turn(&self) -> Option<(u32, i64)> {
        let last = self.sealed.values().filter(|sealed| sealed.target().end == sealed.until);
        last.map(|sealed| (sealed.turn, sealed.until)).max()
    }

    /// What is sealed, in the order in which it counts: what comes later replaces what is at its
    /// place and behind it.
    pub(crate) fn sealed_in_order(&self) -> Vec<(&BlockPlace, &Arc<Sealed>)> {
        let Some((turn, _)) = self.sealed_turn() else { return Vec::new() };
        let counts = self.sealed.iter().filter(|(_, sealed)| sealed.turn <= turn);
        let mut sealed: Vec<_> = counts.collect();
        sealed.sort_by_key(|((target_start, turn, claim), _)| (*turn, *target_start, *claim));
        sealed
    }

    fn latest_sealed(&self, log_end: i64) -> Option<Fact> {
        let (turn, end) = self.sealed_turn()?;
        let vouched =
            self.sealed.values().filter(|sealed| sealed.turn <= turn && sealed.target().end <= end);
        let facts = vouched.filter_map(|sealed| Some((sealed.turn, sealed.fact_at(log_end)?)));
        let (_, fact) = facts.max_by_key(|(turn, fact)| (fact.target_offset, *turn))?;
        Some(Fact { turn, ..fact })
    }

    /// Takes over a saved position, or that there is none any more. What an instance of an earlier
    /// turn wrote late does not undo a later turn.
    fn anchored(&mut self, anchor: Option<Fact>) {
        let known_turn = self.anchor.map_or(0, |known| known.turn);
        if anchor.is_none_or(|anchor| anchor.turn >= known_turn) {
            self.anchor = anchor;
        }
    }

    fn begun(&mut self, key: (u32, Claim), fact: Fact, turns_max: usize) {
        self.turns.insert(key, fact);
        while self.turns.len() > turns_max && self.turns.pop_first().is_some() {
            // Of a mirror that ends before all that are left, an older one tells where it stood.
            let kept_from = self.turns.values().map(|begun| begun.target_offset).min();
            self.entries_from = self.entries_from.max(kept_from.unwrap_or(i64::MAX));
        }
    }

    fn seal(&mut self, key: BlockPlace, sealed: Arc<Sealed>, sealed_max: usize) {
        self.sealed.insert(key, sealed);
        while self.sealed.len() > sealed_max
            && let Some((_, sealed)) = self.sealed.pop_first()
        {
            self.entries_from = self.entries_from.max(sealed.target().end);
        }
    }

    fn insert(&mut self, key: (i64, Claim), entry: Entry, entries_max: usize) {
        self.entries.insert(key, entry);
        while self.entries.len() > entries_max
            && let Some(((target_offset, _), entry)) = self.entries.pop_first()
        {
            self.entries_from = self.entries_from.max(target_offset + entry.record_count());
        }
    }
}

/// Everything that one link remembers.
#[derive(Clone, Debug)]
pub struct Journal {
    mirrors: HashMap<MirrorId, MirrorFacts>,
    producer_id: Option<i64>,
    began: BTreeSet<Claim>,
    entries_max: usize,
}

impl Journal {
    /// A journal that keeps the newest `entries_max` entries and turns of each mirror partition.
    pub fn new(entries_max: usize) -> Self {
        let (mirrors, began) = (HashMap::new(), BTreeSet::new());
        Self { mirrors, producer_id: None, began, entries_max }
    }

    /// Takes in one record of the state topic, in log order; records of other links are skipped.
    ///
    /// `value` is `None` for a tombstone.
    pub fn apply(
        &mut self,
        link: &str,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StateError> {
        let text = String::from_utf8_lossy(key);
        let key = StateKey::parse(&text)?;
        if key.link() != link {
            return Ok(());
        }
        let value = value.map(|bytes| key.parse_value(bytes)).transpose()?;
        self.set(key, value);
        Ok(())
    }

    /// Records what was written, as `apply` does for what was read.
    pub fn set(&mut self, key: StateKey, value: Option<StateValue>) {
        match (key, value) {
            (StateKey::Start(mirror), value) => {
                self.mirror_mut(mirror).start = fact(value);
            }
            (StateKey::Anchor(mirror), value) => {
                self.mirror_mut(mirror).anchored(fact(value));
            }
            (StateKey::Turn { mirror, turn, claim }, Some(StateValue::Fact(fact))) => {
                let turns_max = self.entries_max;
                self.mirror_mut(mirror).begun((turn, claim), fact, turns_max);
            }
            (StateKey::Turn { mirror, turn, claim }, _) => {
                self.mirror_mut(mirror).turns.remove(&(turn, claim));
            }
            (StateKey::Entry { mirror, target_offset, claim }, value) => {
                let entries_max = self.entries_max;
                let facts = self.mirror_mut(mirror);
                match value {
                    Some(StateValue::Entry(entry)) => {
                        facts.insert((target_offset, claim), entry, entries_max);
                    }
                    _ => {
                        facts.entries.remove(&(target_offset, claim));
                    }
                }
            }
            (StateKey::Block { mirror, target_offset, turn, claim }, value) => {
                let sealed_max = self.sealed_max();
                let facts = self.mirror_mut(mirror);
                match value {
                    Some(StateValue::Sealed(sealed)) => {
                        facts.seal((target_offset, turn, claim), sealed, sealed_max);
                    }
                    _ => {
                        facts.sealed.remove(&(target_offset, turn, claim));
                    }
                }
            }
            (StateKey::Lost { mirror, source_offset }, Some(StateValue::Lost(until))) => {
                self.mirror_mut(mirror).lost.insert(source_offset, until);
            }
            (StateKey::Lost { mirror, source_offset }, _) => {
                self.mirror_mut(mirror).lost.remove(&source_offset);
            }
            (StateKey::ProducerId { .. }, Some(StateValue::ProducerId(id))) => {
                // The first registration holds: a second would split the partition's sequence.
                self.producer_id.get_or_insert(id);
            }
            (StateKey::ProducerId { .. }, _) => {}
            (StateKey::Began { claim, .. }, Some(_)) => {
                self.began.insert(claim);
            }
            (StateKey::Began { claim, .. }, None) => {
                self.began.remove(&claim);
            }
        }
    }

    /// Adds what another reading of the state topic found; what is known here stays.
    pub fn learn(&mut self, read: &Self) {
        self.producer_id = self.producer_id.or(read.producer_id);
        self.began.extend(&read.began);
        for (mirror, read) in &read.mirrors {
            let (entries_max, sealed_max) = (self.entries_max, self.sealed_max());
            let facts = self.mirrors.entry(mirror.clone()).or_default();
            facts.start = facts.start.or(read.start);
            if let Some(anchor) = read.anchor {
                let known = facts.anchor.map(|known| (known.turn, known.target_offset));
                if known.is_none_or(|known| known < (anchor.turn, anchor.target_offset)) {
                    facts.anchor = Some(anchor);
                }
            }
            for (key, fact) in &read.turns {
                facts.begun(*key, *fact, entries_max);
            }
            facts.lost.extend(&read.lost);
            for (key, sealed) in &read.sealed {
                facts.seal(*key, Arc::clone(sealed), sealed_max);
            }
            facts.entries_from = facts.entries_from.max(read.entries_from);
            for (key, entry) in &read.entries {
                if key.0 >= facts.entries_from && !facts.entries.contains_key(key) {
                    facts.insert(*key, entry.clone(), entries_max);
                }
            }
        }
    }

    /// What is known of a mirror partition.
    pub fn facts(&self, mirror: &MirrorId) -> MirrorFacts {
        self.mirrors.get(mirror).cloned().unwrap_or_default()
    }

    /// The allocated producer id of the link, if one was registered.
    pub fn producer_id(&self) -> Option<i64> {
        self.producer_id
    }

    /// Whether nothing is known of the link, but that this instance has it.
    pub fn is_blank_but_for(&self, claim: Claim) -> bool {
        let others = self.began.iter().any(|began| *began != claim);
        self.mirrors.is_empty() && self.producer_id.is_none() && !others
    }

    /// Of the mirrors that a journal of `entries_max` would know in part only, everything.
    pub(crate) fn into_long(self, entries_max: usize) -> HashMap<MirrorId, MirrorFacts> {
        let sealed_max = Self::new(entries_max).sealed_max();
        let long = |facts: &MirrorFacts| {
            facts.entries.len() > entries_max
                || facts.turns.len() > entries_max
                || facts.sealed.len() > sealed_max
        };
        self.mirrors.into_iter().filter(|(_, facts)| long(facts)).collect()
    }

    /// The mirror partitions that are known, in no order.
    pub fn mirrors(&self) -> impl Iterator<Item = (&MirrorId, &MirrorFacts)> {
        self.mirrors.iter()
    }

    /// Blocks of each mirror partition that are kept.
    fn sealed_max(&self) -> usize {
        const ENTRIES_PER_BLOCK: usize = 128;
        (self.entries_max / ENTRIES_PER_BLOCK).max(1)
    }

    fn mirror_mut(&mut self, mirror: MirrorId) -> &mut MirrorFacts {
        self.mirrors.entry(mirror).or_default()
    }
}

fn fact(value: Option<StateValue>) -> Option<Fact> {
    match value {
        Some(StateValue::Fact(fact)) => Some(fact),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_new_until_anything_is_known_of_it() {
        let claim = |nonce| Claim { generation: 1, nonce };
        let began = |nonce| StateKey::Began { link: "l".to_owned(), claim: claim(nonce) };
        let mut journal = Journal::new(10);
        assert!(journal.is_blank_but_for(claim(7)));
        journal.set(began(7), Some(StateValue::Began(1)));
        assert!(journal.is_blank_but_for(claim(7)));
        assert!(!journal.is_blank_but_for(claim(8)), "another instance began");
        journal.set(began(7), None);
        let id = StateKey::ProducerId { link: "l".to_owned() };
        journal.set(id, Some(StateValue::ProducerId(9)));
        assert!(!journal.is_blank_but_for(claim(7)));
    }

    #[test]
    fn a_mirror_that_ends_before_all_turns_that_are_kept_is_understood_by_the_topic() {
        let mirror = MirrorId {
            link: "l".to_owned(),
            source_topic_id: farlog_wire::primitives::Uuid([1; 16]),
            target_topic_id: farlog_wire::primitives::Uuid([2; 16]),
            partition: 0,
        };
        let mut journal = Journal::new(2);
        let begin = |journal: &mut Journal, turn: u32, target_offset: i64| {
            let claim = Claim { generation: 1, nonce: 7 };
            let key = StateKey::Turn { mirror: mirror.clone(), turn, claim };
            let source_offset = target_offset * 10;
            let fact = Fact { target_offset, source_offset, source_leader_epoch: 0, turn };
            journal.set(key, Some(StateValue::Fact(fact)));
            journal.facts(&mirror).entries_from
        };
        assert_eq!(begin(&mut journal, 1, 0), 0);
        assert_eq!(begin(&mut journal, 2, 50), 0);
        assert_eq!(begin(&mut journal, 3, 70), 50);
        assert_eq!(begin(&mut journal, 4, 60), 60);
        assert_eq!(begin(&mut journal, 5, 40), 60, "the first turns may lie behind this one");
        let mut learned = Journal::new(2);
        learned.learn(&journal);
        assert_eq!(learned.facts(&mirror), journal.facts(&mirror));
    }
}
