//! Tests of variable-length integers.

use super::*;

#[test]
fn integers_read_back_and_have_the_length_foretold() {
    let mut values = vec![0, 1, -1, 63, 64, -64, -65, 8191, 8192, i64::MAX, i64::MIN];
    values.extend((0..63).flat_map(|bit| [1_i64 << bit, -(1_i64 << bit), (1_i64 << bit) - 1]));
    for value in values {
        let mut bytes = vec![0xff];
        push_varlong(&mut bytes, value);
        assert_eq!(bytes.len() - 1, varlong_bytes(value), "{value}");
        assert_eq!(read_varlong(&bytes, 1), Some((value, bytes.len())), "{value}");
        assert_eq!(read_varlong(&bytes[..bytes.len() - 1], 1), None, "{value}");
        let narrow = i32::try_from(value).ok().map(|value| (value, bytes.len()));
        assert_eq!(read_varint(&bytes, 1), narrow, "{value}");
    }
}

#[test]
fn integers_that_are_too_wide_are_refused() {
    assert_eq!(read_varlong(&[0xff; 11], 0), None);
    let mut widest = [0xff; 10];
    widest[9] = 1;
    assert_eq!(read_varlong(&widest, 0), Some((i64::MIN, 10)));
    widest[9] = 2;
    assert_eq!(read_varlong(&widest, 0), None);
    assert_eq!(read_varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 0), None);
    assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0x0f], 0), Some((i32::MIN, 5)));
    assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0x1f], 0), None);
}
