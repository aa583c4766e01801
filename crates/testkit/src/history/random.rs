//! A small seeded generator of numbers: the same seed gives the same history on every machine.
//!
//! SplitMix64 (Steele, Lea and Flood, 2014): one addition and three mixing steps a number, every
//! seed is as good as any other, and streams split off by name do not disturb each other.

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// A stream of its own for one purpose: it depends on the seed and the name only, not on how
    /// much of this stream was used.
    pub fn named(seed: u64, purpose: &str) -> Random {
        let folded = purpose.bytes().fold(seed, |hash, byte| mix(hash ^ u64::from(byte)));
        Random { state: folded }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// A number below `end`; 0 if `end` is 0. The bias is below 2^-32 for the ends used here.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next_u64() % end }
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// An index into something of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True in `part` of `whole` cases.
    pub fn chance(&mut self, part: u64, whole: u64) -> bool {
        self.below(whole) < part
    }

    /// One of these.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        assert!(!of.is_empty(), "nothing to choose from");
        &of[self.index(of.len())]
    }

    /// Bytes that compress a little, as text does.
    pub fn text(&mut self, length: usize) -> Vec<u8> {
        const LETTERS: &[u8; 16] = b"etaoin shrdlucmf";
        let mut out = Vec::with_capacity(length + 16);
        while out.len() < length {
            let mut bits = self.next_u64();
            for _ in 0..16 {
                out.push(LETTERS[(bits & 15) as usize]);
                bits >>= 4;
            }
        }
        out.truncate(length);
        out
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_published_numbers() {
        // The reference outputs of SplitMix64 for seed 1234567.
        let mut random = Random::new(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn named_streams_depend_on_their_name_only() {
        assert_eq!(Random::named(7, "kills"), Random::named(7, "kills"));
        assert_ne!(Random::named(7, "kills").next_u64(), Random::named(7, "writes").next_u64());
        assert_ne!(Random::named(7, "kills").next_u64(), Random::named(8, "kills").next_u64());
    }

    #[test]
    fn choices_stay_within_their_bounds() {
        let mut random = Random::new(1);
        for _ in 0..1000 {
            assert!((3..=5).contains(&random.between(3, 5)));
            assert!([1, 2].contains(random.pick(&[1, 2])));
        }
        assert_eq!(random.below(0), 0);
        assert_eq!(random.text(37).len(), 37);
    }
}
