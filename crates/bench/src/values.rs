//! Record values: noise, or text that compresses as real events do.

/// Words of the text; compressors find them again, as they find the field names of real events.
const WORDS: [&str; 16] = [
    "order",
    "shipped",
    "customer",
    "pending",
    "warehouse",
    "refund",
    "priority",
    "invoice",
    "delayed",
    "accepted",
    "partner",
    "express",
    "returned",
    "balance",
    "contract",
    "region",
];

/// Digits of identifiers: six bits each, which no compressor gets below.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bytes of a random identifier between two words.
const IDENTIFIER_BYTES: u64 = 48;

/// A source of values, the same for the same seed.
#[derive(Debug)]
pub(crate) struct Values {
    state: u64,
    compressible: bool,
}

impl Values {
    pub(crate) fn new(seed: u64, compressible: bool) -> Values {
        // The generator must not start at zero.
        Values { state: seed.wrapping_mul(2).wrapping_add(1), compressible }
    }

    /// Fills a value.
    pub(crate) fn fill(&mut self, value: &mut [u8]) {
        if self.compressible { self.text(value) } else { self.noise(value) }
    }

    fn noise(&mut self, value: &mut [u8]) {
        for chunk in value.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    /// Words and identifiers in turn; zstd leaves about three fifths of it.
    fn text(&mut self, value: &mut [u8]) {
        let mut bytes = Vec::with_capacity(value.len() + 64);
        while bytes.len() < value.len() {
            let word = WORDS[(self.next() >> 60) as usize];
            bytes.extend_from_slice(b"{\"");
            bytes.extend_from_slice(word.as_bytes());
            bytes.extend_from_slice(b"\":\"");
            for _ in 0..IDENTIFIER_BYTES {
                bytes.push(DIGITS[(self.next() >> 58) as usize]);
            }
            bytes.extend_from_slice(b"\"},");
        }
        value.copy_from_slice(&bytes[..value.len()]);
    }

    /// Marsaglia's xorshift64* ("An experimental exploration of Marsaglia's xorshift generators,
    /// scrambled", Vigna 2016).
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_values() {
        for compressible in [false, true] {
            let value = |seed| {
                let mut value = vec![0; 1_000];
                Values::new(seed, compressible).fill(&mut value);
                value
            };
            assert_eq!(value(1), value(1));
            assert_ne!(value(1), value(2));
        }
    }

    #[test]
    fn text_is_text() {
        let mut value = vec![0; 1_000];
        Values::new(1, true).fill(&mut value);
        assert!(value.iter().all(|byte| byte.is_ascii_graphic()));
    }
}
