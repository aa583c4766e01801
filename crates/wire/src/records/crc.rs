//! CRC-32C of bytes in two parts, from the parts' checksums.
//!
//! A checksum over `a` then `b` is `advance(crc(a), b.len()) ^ crc(b)`: the CRC is linear over
//! GF(2). It lets a header change without reading the records behind it again, and a merged batch
//! be checksummed while it is written, before its header is known.

/// The Castagnoli polynomial, bits reflected: bit 31 is x⁰.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// x⁰ in reflected bits.
const ONE: u32 = 1 << 31;

/// `POWERS[n]` is x^(8 · 2ⁿ): what 2ⁿ zero bytes multiply a checksum by.
const POWERS: [u32; 32] = {
    let mut powers = [0; 32];
    // x⁸: bit 31 - 8.
    powers[0] = ONE >> 8;
    let mut index = 1;
    while index < powers.len() {
        powers[index] = multiply(powers[index - 1], powers[index - 1]);
        index += 1;
    }
    powers
};

/// The product of two polynomials, modulo the Castagnoli polynomial.
const fn multiply(left: u32, mut right: u32) -> u32 {
    let mut product = 0;
    let mut bit = 0;
    while bit < 32 {
        // All ones where the coefficient of x^bit is set: no branch to mispredict.
        product ^= right & (left << bit >> 31).wrapping_neg();
        right = right >> 1 ^ POLYNOMIAL & (right & 1).wrapping_neg();
        bit += 1;
    }
    product
}

/// The share that a checksum has in the checksum of its bytes with `bytes` more behind them.
/// Distributes over exclusive or.
pub(super) fn advance(crc: u32, bytes: usize) -> u32 {
    // Payloads are shorter than 2³¹ bytes: batch lengths are an int32.
    debug_assert!(bytes < 1 << 32, "{bytes} bytes");
    let mut crc = crc;
    for (index, power) in POWERS.iter().enumerate() {
        if bytes >> index & 1 == 1 {
            crc = multiply(*power, crc);
        }
    }
    crc
}

/// The checksum of two byte strings one after the other.
pub(super) fn join(front: u32, back: u32, back_bytes: usize) -> u32 {
    advance(front, back_bytes) ^ back
}

#[cfg(test)]
mod tests;
