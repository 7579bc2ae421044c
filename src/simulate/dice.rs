//! Randomness from a seed: the same in every version of every library, so that a seed tells the same story for ever.
//!
//! SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).

/// A source of numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 to `end`, which is not among them; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        match end {
            0 => 0,
            end => self.bits() % end,
        }
    }

    /// A number from `from` to `to`, both among them.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// True `percent` times of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len() as u64) as usize]
    }
}

/// A number that depends on nothing but these: what a prober meets at its n-th observation stays the same when other
/// parts of a history are cut away.
pub fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0x243f_6a88_85a3_08d3, |hash, part| mix(hash ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// The same of a text.
pub fn hash_text(text: &str) -> u64 {
    text.bytes().fold(text.len() as u64, |hash, octet| mix(hash ^ u64::from(octet)))
}

/// A number in `0.0..1.0`.
pub fn fraction(hash: u64) -> f64 {
    // 53 bits are what a fraction holds exactly.
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference values of the generator for the seed 1234567.
    #[test]
    fn a_seed_tells_the_same_story_for_ever() {
        let mut dice = Dice::new(1_234_567);
        assert_eq!(
            [dice.bits(), dice.bits(), dice.bits()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut dice = Dice::new(7);
        for _ in 0..1_000 {
            assert!(dice.below(3) < 3 && (5..=7).contains(&dice.between(5, 7)));
            assert!((0.0..1.0).contains(&fraction(dice.bits())));
        }
        assert_eq!((dice.below(0), dice.between(4, 4)), (0, 4));
    }
}
