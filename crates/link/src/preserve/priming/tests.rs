//! Filler is cheap and comes to the offset that was asked for.

use proptest::prelude::*;

use super::*;
use crate::position::SEQUENCE_MODULUS;

#[test]
fn filler_differs_by_its_sequence_only() {
    let mut filler = Filler::default();
    let one = filler.batch(0, 1_000, 7).unwrap();
    let two = filler.batch(1_000, 1_000, 7).unwrap();
    assert_eq!(one.payload(), two.payload());
    assert_eq!((one.base_sequence(), two.base_sequence()), (0, 1_000));
    assert_eq!((two.record_count(), two.max_timestamp()), (1_000, -1));
    let shorter = filler.batch(2_000, 1, 7).unwrap();
    assert_eq!(shorter.record_count(), 1);
    let whole = filler.batch(0, FILLER_RECORDS_MAX, 7).unwrap();
    assert!(whole.size_bytes() < 100_000, "{} bytes", whole.size_bytes());
    RawBatch::new(whole.to_bytes()).unwrap().verify_crc().unwrap();
}

proptest! {
    #[test]
    fn filler_comes_to_the_offset_asked_for(
        log_end in prop_oneof![0..1_i64 << 33, Just(SEQUENCE_MODULUS - 1), Just(0)],
        more in prop_oneof![0..20_000_000_i64, Just(0), Just(1), Just(2), Just(100_001)],
    ) {
        let until = log_end + more;
        let mut offset = log_end;
        let mut last = None;
        for count in filler_counts(log_end, until) {
            prop_assert!((1..=FILLER_RECORDS_MAX).contains(&count));
            prop_assert!(count <= records_before_wrap(offset));
            offset += count;
            last = Some(count);
        }
        prop_assert_eq!(offset, until);
        prop_assert!(last.is_none_or(|last| last == 1));
    }
}
