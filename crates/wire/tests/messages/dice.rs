//! Random values from a seed: the same seed gives the same value on every machine.

use bytes::Bytes;
use farlog_wire::Message;

/// Types that random values can be made of.
pub(crate) trait Sample {
    /// A value that `version` can carry in full.
    fn sample(dice: &mut Dice, version: i16) -> Self;
}

/// How many values of each message and version a test looks at.
pub(crate) const SAMPLES: u64 = 24;

/// A value of a message for one seed.
pub(crate) fn sample<M: Message + Sample>(seed: u64, version: i16) -> M {
    let name = M::NAME.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    M::sample(&mut Dice { state: seed ^ name << 8 ^ (version as u64) << 48 }, version)
}

/// Pseudo-random numbers: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// Dice that roll as this seed says.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// A number to be cut to any width: often one of those that code trips over.
    pub(crate) fn number(&mut self) -> i64 {
        match self.below(8) {
            0 => 0,
            1 => -1,
            2 => i64::MAX,
            3 => [i64::MIN, 1 << 31, 1 << 15, 1 << 7][self.below(4)],
            4 => self.below(200) as i64,
            _ => self.bits() as i64,
        }
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.bits() & 1 == 1
    }

    /// A number that is equal to itself.
    pub(crate) fn f64(&mut self) -> f64 {
        self.number() as f64 / 3.0
    }

    pub(crate) fn array(&mut self) -> [u8; 16] {
        (u128::from(self.bits()) << 64 | u128::from(self.bits())).to_be_bytes()
    }

    pub(crate) fn string(&mut self) -> String {
        let length = self.length();
        (0..length).map(|_| ['a', 'Z', '0', '.', 'ß', '→', '🜁'][self.below(7)]).collect()
    }

    pub(crate) fn bytes(&mut self) -> Bytes {
        let length = self.length();
        (0..length).map(|_| self.bits() as u8).collect()
    }

    /// `None` now and then, if `nullable`.
    pub(crate) fn option<T>(
        &mut self,
        nullable: bool,
        value: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        if nullable && self.below(3) == 0 { None } else { Some(value(self)) }
    }

    pub(crate) fn vec<T>(&mut self, mut element: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| element(self)).collect()
    }

    /// Mostly short, seldom longer than one byte of a variable-length integer can say.
    fn length(&mut self) -> usize {
        match self.below(12) {
            0 => 0,
            1 => 100 + self.below(200),
            _ => self.below(12),
        }
    }
}
