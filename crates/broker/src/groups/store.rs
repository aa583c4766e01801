//! Offsets as clients use them: committed, fetched, deleted; and those of transactions.

use bytes::Bytes;
use farlog_wire::{EncodeError, ErrorCode};

use super::classic::Committer;
use super::log::{self, NewRecord};
use super::offsets::{FetchedOffset, NewOffset};
use super::record::{OffsetKey, OffsetValue};
use super::{Groups, Inner, Kind, Staged};
use crate::catalog::Catalog;

/// What to fetch: some partitions of some topics, or all that there are.
pub(crate) type WantedOffsets = Option<Vec<(String, Vec<i32>)>>;

impl Groups {
    /// Commits offsets, and waits until they are durable.
    ///
    /// # Errors
    /// What Kafka would say, for all of them.
    pub(crate) async fn commit(
        &self,
        catalog: &Catalog,
        group: &str,
        committer: &Committer,
        offsets: &[NewOffset],
    ) -> Result<(), ErrorCode> {
        self.ensure_topic(catalog).await?;
        let written = {
            let (mut inner, now) = (self.lock(), self.now());
            self.check_commit(&mut inner, group, committer)?;
            let values = values(offsets, now.wall_ms);
            let records = records(group, &values)?;
            let written = log::append(catalog, group, &records, now.wall_ms);
            if written.is_err() {
                inner.forget_if_unused(group);
            }
            let written = written?;
            if let Some(group) = inner.groups.get_mut(group) {
                for (offset, value) in values {
                    group.offsets.set(&offset.topic, offset.partition, value);
                }
            }
            written
        };
        written.settle().await
    }

    /// Commits offsets as part of a producer's transaction (KIP-98, KIP-447): they count when
    /// [`resolve`](Self::resolve) says so. That the transaction is open, and has the group's
    /// partition, is for the caller to know, who holds it open meanwhile: nothing waits here. The
    /// topic must be there.
    ///
    /// # Errors
    /// What Kafka would say, for all of them.
    pub(crate) fn commit_transactional(
        &self,
        catalog: &Catalog,
        group: &str,
        committer: &Committer,
        producer: (i64, i16),
        offsets: &[NewOffset],
    ) -> Result<log::Written, ErrorCode> {
        let (mut inner, now) = (self.lock(), self.now());
        self.check_commit(&mut inner, group, committer)?;
        let values = values(offsets, now.wall_ms);
        let records = records(group, &values)?;
        let written = log::append_transactional(catalog, group, &records, producer, now.wall_ms);
        if written.is_err() {
            inner.forget_if_unused(group);
        }
        let written = written?;
        let partition = self.partition_of(catalog, group)?;
        let staged = values.into_iter().map(|(offset, value)| Staged {
            group: group.to_owned(),
            topic: offset.topic.clone(),
            partition: offset.partition,
            value,
        });
        inner.staged.entry((partition, producer.0)).or_default().extend(staged);
        Ok(written)
    }

    /// Whether a group's members speak the consumer protocol.
    pub(crate) fn has_consumers(&self, group: &str) -> bool {
        let inner = self.lock();
        inner.groups.get(group).is_some_and(
            |group| matches!(&group.kind, Kind::Consumer(consumer) if !consumer.is_vacant()),
        )
    }

    /// A producer's transaction ended in a partition of `__consumer_offsets`: to be called when
    /// the marker has its place there.
    pub(crate) fn resolve(&self, producer_id: i64, partition: i32, commit: bool) {
        let (mut inner, now) = (self.lock(), self.now());
        inner.resolve(producer_id, partition, commit, |inner, id| {
            inner.group_or_new(id, self.rules(), now).is_ok()
        });
    }

    fn check_commit(
        &self,
        inner: &mut Inner,
        group: &str,
        committer: &Committer,
    ) -> Result<(), ErrorCode> {
        let now = self.now();
        if !inner.groups.contains_key(group) && committer.generation >= 0 {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let group = inner.group_or_new(group, self.rules(), now)?;
        match &mut group.kind {
            Kind::Classic(classic) => classic.check_commit(committer, now),
            Kind::Consumer(consumer) => consumer.check_commit(committer),
        }
    }

    /// Offsets of a group by topic; -1 where there is none.
    ///
    /// # Errors
    /// What Kafka would say, for all of them.
    pub(crate) fn fetch(
        &self,
        group: &str,
        (member_id, member_epoch): (Option<&str>, i32),
        wanted: WantedOffsets,
        require_stable: bool,
    ) -> Result<Vec<(String, Vec<FetchedOffset>)>, ErrorCode> {
        let inner = self.lock();
        let known = inner.groups.get(group);
        if let Some(known) = known {
            known.check_fetch(member_id, member_epoch)?;
        }
        let wanted = wanted.unwrap_or_else(|| {
            let mut all: Vec<(String, Vec<i32>)> = Vec::new();
            let partitions = known.into_iter().flat_map(|known| known.offsets.partitions());
            for (topic, partition) in partitions {
                match all.last_mut() {
                    Some((last, partitions)) if last == topic => partitions.push(partition),
                    _ => all.push((topic.to_owned(), vec![partition])),
                }
            }
            all
        });
        let one = |topic: &str, partition: i32| {
            let found = known.map(|known| known.offsets.get(topic, partition));
            let mut found = found.unwrap_or_else(|| FetchedOffset::none(partition));
            if require_stable && inner.is_staged(group, topic, partition) {
                // What comes of the transaction is not known yet: the client asks again.
                found = FetchedOffset::none(partition);
                found.error_code = ErrorCode::UNSTABLE_OFFSET_COMMIT;
            }
            found
        };
        let topics = wanted.into_iter().map(|(topic, partitions)| {
            let found = partitions.into_iter().map(|partition| one(&topic, partition));
            let found = found.collect();
            (topic, found)
        });
        Ok(topics.collect())
    }

    /// Deletes offsets; answers with the outcome of each.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`, `NON_EMPTY_GROUP`, for all of them.
    pub(crate) async fn delete_offsets(
        &self,
        catalog: &Catalog,
        id: &str,
        offsets: &[(String, i32)],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        super::check_group_id(id)?;
        let (outcomes, written) = {
            let (mut inner, now) = (self.lock(), self.now());
            let group = inner.groups.get_mut(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
            let subscribed = group.subscribed_topics()?;
            let outcomes = offsets.iter().map(|(topic, _)| match subscribed.contains(topic) {
                true => ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
                false => ErrorCode::NONE,
            });
            let outcomes: Vec<ErrorCode> = outcomes.collect();
            let mut doomed: Vec<(String, i32)> = offsets.to_vec();
            doomed.retain(|(topic, partition)| {
                !subscribed.contains(topic) && group.offsets.contains(topic, *partition)
            });
            let written = self.drop_offsets(catalog, &mut inner, id, &doomed, now.wall_ms)?;
            (outcomes, written)
        };
        if let Some(written) = written {
            written.settle().await?;
        }
        Ok(outcomes)
    }

    /// Writes that offsets are gone, and forgets them.
    pub(super) fn drop_offsets(
        &self,
        catalog: &Catalog,
        inner: &mut Inner,
        id: &str,
        doomed: &[(String, i32)],
        now_ms: i64,
    ) -> Result<Option<log::Written>, ErrorCode> {
        if doomed.is_empty() {
            return Ok(None);
        }
        let tombstone = |(topic, partition): &(String, i32)| {
            let (group, topic, partition) = (id.to_owned(), topic.clone(), *partition);
            Ok((OffsetKey { group, topic, partition }.to_bytes()?, None))
        };
        let records: Result<Vec<NewRecord>, EncodeError> = doomed.iter().map(tombstone).collect();
        let records = records.map_err(|error| log::unwritable(&error))?;
        let written = log::append(catalog, id, &records, now_ms)?;
        if let Some(group) = inner.groups.get_mut(id) {
            for (topic, partition) in doomed {
                group.offsets.remove(topic, *partition);
            }
        }
        Ok(Some(written))
    }

    /// Deletes a group that nobody is in, with its offsets.
    ///
    /// # Errors
    /// `INVALID_GROUP_ID`, `GROUP_ID_NOT_FOUND`, `NON_EMPTY_GROUP`, or that it cannot be written.
    pub(crate) async fn delete_group(&self, catalog: &Catalog, id: &str) -> Result<(), ErrorCode> {
        super::check_group_id(id)?;
        let written = {
            let (mut inner, now) = (self.lock(), self.now());
            let group = inner.groups.get(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
            if !group.is_vacant() {
                return Err(ErrorCode::NON_EMPTY_GROUP);
            }
            let doomed = group.offsets.partitions();
            let doomed: Vec<_> = doomed.map(|(topic, index)| (topic.to_owned(), index)).collect();
            self.drop_offsets(catalog, &mut inner, id, &doomed, now.wall_ms)?;
            // The last batch is durable when all before it are.
            self.drop_group(catalog, &mut inner, id, now.wall_ms)?
        };
        written.settle().await
    }

    /// Writes that a group is gone, and forgets it.
    pub(super) fn drop_group(
        &self,
        catalog: &Catalog,
        inner: &mut Inner,
        id: &str,
        now_ms: i64,
    ) -> Result<log::Written, ErrorCode> {
        let group = inner.groups.get(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        let written = log::append(catalog, id, &group.tombstones(id)?, now_ms)?;
        inner.groups.remove(id);
        Ok(written)
    }

    /// A topic was deleted: where groups were in it means nothing any more, and would be wrong in
    /// another topic of this name.
    pub(crate) fn topic_deleted(&self, catalog: &Catalog, topic: &str) {
        let (mut inner, now) = (self.lock(), self.now());
        let doomed = inner.groups.iter().map(|(id, group)| {
            let partitions = group.offsets.partitions().filter(|(of, _)| *of == topic);
            let partitions = partitions.map(|(of, partition)| (of.to_owned(), partition));
            (id.clone(), partitions.collect::<Vec<_>>())
        });
        let doomed: Vec<_> = doomed.filter(|(_, partitions)| !partitions.is_empty()).collect();
        for (id, partitions) in doomed {
            match self.drop_offsets(catalog, &mut inner, &id, &partitions, now.wall_ms) {
                Ok(written) => settle_in_background(written),
                Err(code) => tracing::error!(group = id, topic, ?code, "offsets were not dropped"),
            }
        }
    }
}

/// For what nobody waits for: a failure is in the log already.
pub(super) fn settle_in_background(written: Option<log::Written>) {
    if let Some(written) = written {
        tokio::spawn(written.settle());
    }
}

impl Inner {
    fn is_staged(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.staged.values().flatten().any(|staged| {
            staged.group == group && staged.topic == topic && staged.partition == partition
        })
    }

    /// Takes in or forgets what a producer staged in a partition.
    pub(super) fn resolve(
        &mut self,
        producer_id: i64,
        partition: i32,
        commit: bool,
        mut ensure_group: impl FnMut(&mut Self, &str) -> bool,
    ) {
        let staged = self.staged.remove(&(partition, producer_id)).unwrap_or_default();
        for staged in staged.into_iter().filter(|_| commit) {
            if !ensure_group(self, &staged.group) {
                continue;
            }
            if let Some(group) = self.groups.get_mut(&staged.group) {
                group.offsets.set(&staged.topic, staged.partition, staged.value);
            }
        }
    }
}

fn values(offsets: &[NewOffset], now_ms: i64) -> Vec<(&NewOffset, OffsetValue)> {
    offsets.iter().map(|offset| (offset, offset.to_value(now_ms))).collect()
}

fn records(
    group: &str,
    values: &[(&NewOffset, OffsetValue)],
) -> Result<Vec<(Bytes, Option<Bytes>)>, ErrorCode> {
    let record = |(offset, value): &(&NewOffset, OffsetValue)| {
        Ok((offset.key(group).to_bytes()?, Some(value.to_bytes()?)))
    };
    let records: Result<_, EncodeError> = values.iter().map(record).collect();
    records.map_err(|error| log::unwritable(&error))
}
