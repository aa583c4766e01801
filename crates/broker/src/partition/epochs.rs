//! Which leader epoch wrote from which offset on (KIP-101).

/// Epochs and where they begin; both rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Epochs {
    pub(super) entries: Vec<(i32, i64)>,
}

impl Epochs {
    /// `epoch` begins at `offset`, or a batch of it is appended there.
    pub(super) fn appended(&mut self, epoch: i32, offset: i64) {
        if self.entries.last().is_none_or(|&(last, _)| epoch > last) {
            // An epoch under which nothing was written leaves no trace.
            self.entries.retain(|&(_, start)| start < offset);
            self.entries.push((epoch, offset));
        }
    }

    /// The epoch that wrote at `offset` or, at the log's end, last; -1 if none did.
    pub(super) fn at(&self, offset: i64) -> i32 {
        let after = self.entries.partition_point(|&(_, start)| start <= offset);
        after.checked_sub(1).map_or(-1, |index| self.entries[index].0)
    }

    /// The largest epoch not above `epoch`, and where it ends; `current_epoch` ends at the log's
    /// end even if nothing was written under it. `None` if every epoch known is above.
    pub(super) fn end_of(
        &self,
        epoch: i32,
        current_epoch: i32,
        end_offset: i64,
    ) -> Option<(i32, i64)> {
        if epoch == current_epoch {
            return Some((epoch, end_offset));
        }
        let after = self.entries.partition_point(|&(entry, _)| entry <= epoch);
        let (found, _) = *self.entries.get(after.checked_sub(1)?)?;
        if epoch > current_epoch {
            return None;
        }
        let end = self.entries.get(after).map_or(end_offset, |&(_, start)| start);
        Some((found, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_where_the_next_one_begins() {
        let mut epochs = Epochs::default();
        epochs.appended(1, 0);
        epochs.appended(1, 5);
        epochs.appended(4, 10);
        assert_eq!(epochs.end_of(0, 5, 20), None, "before the first");
        assert_eq!(epochs.end_of(1, 5, 20), Some((1, 10)));
        assert_eq!(epochs.end_of(3, 5, 20), Some((1, 10)), "nothing was written under 2 and 3");
        assert_eq!(epochs.end_of(4, 5, 20), Some((4, 20)));
        assert_eq!(epochs.end_of(5, 5, 20), Some((5, 20)), "the current one");
        assert_eq!(epochs.end_of(6, 5, 20), None, "not known yet");
    }
}
