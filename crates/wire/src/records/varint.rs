//! Zigzag variable-length integers, 7 bits to a byte, least significant first.
//!
//! Source: the Kafka protocol guide ("VARINT", "VARLONG"), which takes them from Protocol Buffers.

/// Longest encoding of 32 bits.
pub(super) const VARINT_BYTES_MAX: usize = 5;

/// Longest encoding of 64 bits.
pub(super) const VARLONG_BYTES_MAX: usize = 10;

/// Reads a 64-bit integer at `at`: its value and where it ends. `None` if it is cut off or wider.
#[inline(always)]
pub(super) fn read_varlong(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    // Most are one or two bytes: deltas and lengths.
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((zigzag(u64::from(first)), at + 1));
    }
    let second = *bytes.get(at + 1)?;
    if second < 0x80 {
        let bits = u64::from(first & 0x7f) | u64::from(second) << 7;
        return Some((zigzag(bits), at + 2));
    }
    read_long_varlong(bytes, at)
}

fn read_long_varlong(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut bits = 0;
    for index in 0..VARLONG_BYTES_MAX {
        let byte = *bytes.get(at + index)?;
        if index == VARLONG_BYTES_MAX - 1 && byte > 1 {
            // The tenth byte has room for the 64th bit only.
            return None;
        }
        bits |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((zigzag(bits), at + index + 1));
        }
    }
    None
}

/// Reads a 32-bit integer at `at`: its value and where it ends. `None` if it is cut off or wider.
#[inline(always)]
pub(super) fn read_varint(bytes: &[u8], at: usize) -> Option<(i32, usize)> {
    let (value, end) = read_varlong(bytes, at)?;
    if end - at > VARINT_BYTES_MAX {
        return None;
    }
    Some((i32::try_from(value).ok()?, end))
}

/// Writes an integer of either width at `at`, where there must be room; returns where it ends.
#[inline(always)]
pub(super) fn write_varlong(out: &mut [u8], mut at: usize, value: i64) -> usize {
    let mut bits = unzigzag(value);
    while bits >= 0x80 {
        out[at] = bits as u8 | 0x80;
        at += 1;
        bits >>= 7;
    }
    out[at] = bits as u8;
    at + 1
}

/// Appends an integer of either width.
pub(super) fn push_varlong(out: &mut Vec<u8>, value: i64) {
    let mut bytes = [0; VARLONG_BYTES_MAX];
    let end = write_varlong(&mut bytes, 0, value);
    out.extend_from_slice(&bytes[..end]);
}

/// Bytes that an integer takes.
#[inline(always)]
pub(super) fn varlong_bytes(value: i64) -> usize {
    // 7 bits to a byte, and at least one byte.
    (70 - (unzigzag(value) | 1).leading_zeros() as usize) / 7
}

#[inline(always)]
fn zigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

#[inline(always)]
fn unzigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests;
