//! Zigzag variable-length integers, as Protocol Buffers write them.

/// Longest encoding of 64 bits.
pub(super) const VARLONG_BYTES_MAX: usize = 10;

/// Reads a 64-bit varint at `at`; the value and where it ends.
#[inline]
pub(super) fn read_varlong(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    // Most are one byte: deltas and small lengths.
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((zigzag(u64::from(first)), at + 1));
    }
    let mut value = u64::from(first & 0x7f);
    for index in 1..VARLONG_BYTES_MAX {
        let byte = *bytes.get(at + index)?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((zigzag(value), at + index + 1));
        }
    }
    None
}

/// Reads a 32-bit varint.
#[inline]
pub(super) fn read_varint(bytes: &[u8], at: usize) -> Option<(i32, usize)> {
    let (value, end) = read_varlong(bytes, at)?;
    Some((i32::try_from(value).ok()?, end))
}

/// Appends a varint of either width.
#[inline]
pub(super) fn write_varlong(out: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// Bytes of a varint.
#[inline]
pub(super) fn varlong_bytes(value: i64) -> usize {
    let bits = ((value << 1) ^ (value >> 63)) as u64;
    // 7 bits to a byte, and at least one byte.
    (70 - (bits | 1).leading_zeros() as usize) / 7
}

fn zigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_read_back_and_have_the_length_foretold() {
        let mut values = vec![0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN];
        values.extend((0..63).flat_map(|bit| [1_i64 << bit, -(1_i64 << bit), (1_i64 << bit) - 1]));
        for value in values {
            let mut bytes = Vec::new();
            write_varlong(&mut bytes, value);
            assert_eq!(bytes.len(), varlong_bytes(value), "{value}");
            assert_eq!(read_varlong(&bytes, 0), Some((value, bytes.len())), "{value}");
            assert_eq!(read_varlong(&bytes[..bytes.len() - 1], 0), None);
        }
        assert_eq!(read_varlong(&[0xff; 11], 0), None);
    }
}
