//! Tests of joined checksums.

use crc32c::crc32c;

use super::*;

#[test]
fn a_joined_checksum_is_that_of_the_joined_bytes() {
    let bytes: Vec<u8> =
        (0..70_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for split in [0, 1, 39, 40, 63, 4096, 65_535, 65_536, 69_999, 70_000] {
        let (front, back) = bytes.split_at(split);
        assert_eq!(join(crc32c(front), crc32c(back), back.len()), crc32c(&bytes), "{split}");
    }
}

#[test]
fn advance_distributes_over_exclusive_or() {
    let (left, right) = (crc32c(b"left"), crc32c(b"right"));
    for bytes in [0, 1, 7, 1000, 1 << 20, (1 << 31) - 1] {
        assert_eq!(advance(left ^ right, bytes), advance(left, bytes) ^ advance(right, bytes));
    }
}
