//! Which segments a partition gives up.

use farlog_store::SegmentFacts;

use super::Partition;
use crate::maintenance::Retention;

impl Partition {
    /// Forgets producers that appended nothing since `before_ms`.
    pub(crate) fn expire_producers(&self, before_ms: i64) {
        self.state().producers.expire(before_ms);
    }

    /// Gives up the segments that the topic need not keep.
    pub(crate) async fn retain(&self, rule: Retention, now_ms: i64) {
        let segments = self.store.segments(self.log);
        let Some(start_offset) = start_after(&segments, rule, now_ms) else { return };
        let start_offset = start_offset.min(self.offsets().high_watermark);
        if start_offset <= self.offsets().start {
            return;
        }
        let (topic, partition) = (&self.topic, self.log.partition);
        match self.delete_before(start_offset).await {
            Ok(start) => tracing::info!(topic, partition, start, "retention moved the log start"),
            Err(code) => tracing::warn!(topic, partition, %code, "retention failed"),
        }
    }
}

/// Where the log may begin; `None` if all of it is kept. The newest segment goes for its age only.
fn start_after(segments: &[SegmentFacts], rule: Retention, now_ms: i64) -> Option<i64> {
    let mut start_offset = None;
    let mut rest: u64 = segments.iter().map(|segment| segment.size_bytes).sum();
    for (index, segment) in segments.iter().enumerate() {
        let too_old = rule.age_ms >= 0
            && segment.max_timestamp_ms >= 0
            && now_ms.saturating_sub(segment.max_timestamp_ms) > rule.age_ms;
        let is_last = index + 1 == segments.len();
        // Without the segment there must still be as much as is to be kept.
        let kept = rest - segment.size_bytes;
        let too_many = !is_last && u64::try_from(rule.bytes).is_ok_and(|bytes| kept >= bytes);
        if !too_old && !too_many {
            break;
        }
        rest = kept;
        start_offset = Some(segment.next_offset);
    }
    start_offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(base_offset: i64, max_timestamp_ms: i64) -> SegmentFacts {
        SegmentFacts {
            base_offset,
            next_offset: base_offset + 10,
            max_timestamp_ms,
            size_bytes: 100,
        }
    }

    #[test]
    fn what_is_too_old_or_too_much_goes() {
        let segments = [segment(0, 1_000), segment(10, 2_000), segment(20, 3_000)];
        let start =
            |age_ms, bytes, now_ms| start_after(&segments, Retention { age_ms, bytes }, now_ms);
        assert_eq!(start(-1, -1, i64::MAX), None);
        assert_eq!(start(1_500, -1, 3_000), Some(10));
        assert_eq!(start(1_500, -1, 10_000), Some(30), "the newest segment grows old, too");
        assert_eq!(start(-1, 200, 0), Some(10));
        assert_eq!(start(-1, 201, 0), None, "less than what is to be kept would remain");
        assert_eq!(start(-1, 0, 0), Some(20), "the newest segment stays");
    }
}
