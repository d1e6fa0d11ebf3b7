//! Named streams of random numbers.
//!
//! Every consumer draws from a stream of its own, found by name and index, so that a new consumer never shifts an old
//! one. A stream is SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): one add and one mix a number.

/// The golden-ratio increment of SplitMix64.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64: a bijection that spreads every bit over all others.
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// FNV-1a over bytes, continued from `state`.
pub const fn fnv1a(mut state: u64, bytes: &[u8]) -> u64 {
    let mut index = 0;
    while index < bytes.len() {
        state = (state ^ bytes[index] as u64).wrapping_mul(FNV_PRIME);
        index += 1;
    }
    state
}

/// FNV-1a over the lowest `width` bytes of a number, which has no others, the lowest first.
///
/// Bytes of 0 only multiply: those above the highest one that is not are a single step.
pub const fn fnv1a_number(mut state: u64, mut number: u64, width: usize) -> u64 {
    let mut zeros = width;
    while number > 0 {
        state = (state ^ number & 0xff).wrapping_mul(FNV_PRIME);
        number >>= 8;
        zeros -= 1;
    }
    state.wrapping_mul(FNV_POWERS[zeros])
}

const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// What so many bytes of 0 multiply by.
const FNV_POWERS: [u64; 9] = {
    let mut powers = [1; 9];
    let mut zeros = 1;
    while zeros < powers.len() {
        powers[zeros] = FNV_PRIME.wrapping_mul(powers[zeros - 1]);
        zeros += 1;
    }
    powers
};

/// Where FNV-1a starts.
pub const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// One stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The stream of `seed` with that name and index.
    pub const fn stream(seed: u64, name: &str, index: u64) -> Self {
        let named = mix(seed ^ fnv1a(FNV_START, name.as_bytes()));
        Self { state: mix(named.wrapping_add(index)) }
    }

    /// The next 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Passes over so many numbers.
    pub const fn skip(&mut self, numbers: u64) {
        self.state = self.state.wrapping_add(GAMMA.wrapping_mul(numbers));
    }

    /// A number strictly between 0 and 1, of which there are 2^52, as far from 0 as from 1.
    pub const fn unit(&mut self) -> f64 {
        ((self.next_u64() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// A number below `bound`, by the high half of a product; its bias is below `bound / 2^32`.
    pub const fn below(&mut self, bound: u32) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "the product of two 32-bit numbers, shifted by 32")]
        let high = (((self.next_u64() >> 32) * bound as u64) >> 32) as u32;
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_outputs_are_those_of_splitmix64() {
        let mut rng = Rng { state: 1_234_567 };
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn who_skips_numbers_goes_on_behind_them() {
        let (mut rng, mut other) = (Rng::stream(3, "test", 1), Rng::stream(3, "test", 1));
        (0..1000).for_each(|_| _ = rng.next_u64());
        other.skip(1000);
        assert_eq!(rng, other);
    }

    #[test]
    fn numbers_are_hashed_as_their_bytes_are() {
        for number in [0, 1, 0xff00, 0x1_0000, 123_456_789, u64::from(u32::MAX)] {
            let narrow = u32::try_from(number).unwrap();
            assert_eq!(fnv1a_number(FNV_START, number, 4), fnv1a(FNV_START, &narrow.to_le_bytes()));
            for number in [number, number << 32 | 7, !number] {
                assert_eq!(fnv1a_number(FNV_START, number, 8), fnv1a(FNV_START, &number.to_le_bytes()));
            }
        }
    }

    #[test]
    fn streams_differ_by_seed_name_and_index() {
        let first = |seed, name, index| Rng::stream(seed, name, index).next_u64();
        let values = [first(0, "a", 0), first(1, "a", 0), first(0, "b", 0), first(0, "a", 1)];
        for (i, value) in values.iter().enumerate() {
            assert!(!values[i + 1..].contains(value));
        }
    }

    #[test]
    fn unit_is_neither_0_nor_1() {
        let mut rng = Rng::stream(7, "test", 0);
        let units: Vec<f64> = (0..1000).map(|_| rng.unit()).collect();
        assert!(units.iter().all(|&unit| 0.0 < unit && unit < 1.0));
        assert!((units.iter().sum::<f64>() / 1000.0 - 0.5).abs() < 0.03);
    }

    #[test]
    fn below_stays_below() {
        let mut rng = Rng::stream(7, "test", 0);
        let mut seen = [false; 12];
        for _ in 0..1000 {
            seen[rng.below(12) as usize] = true;
        }
        assert_eq!(seen, [true; 12]);
    }
}
