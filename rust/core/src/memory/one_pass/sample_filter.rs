//! Which lines are in a sample: those whose hash lies below a threshold.

use crate::base::rng::mix;
use crate::trace::batch::WRITE_BIT;

/// Words that are looked at together: at usual rates few of such a row are sampled, and most rows have none.
const ROW: usize = 8;

/// Chooses lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    pub line_bits: u32,
    pub key: u64,
    /// Of 2^32 hashes as many are sampled.
    pub rate: u64,
}

impl Filter {
    #[inline(always)]
    fn line(self, word: u64) -> u64 {
        (word & !WRITE_BIT) >> self.line_bits
    }

    #[inline(always)]
    pub fn hash(self, line: u64) -> u64 {
        mix(line ^ self.key)
    }

    #[inline(always)]
    fn takes(self, line: u64) -> bool {
        self.hash(line) >> 32 < self.rate
    }

    /// Writes the lines that are sampled to `out`, in order, and returns how many they are.
    pub fn run(self, words: &[u64], out: &mut [u64]) -> usize {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2")]
            fn avx2(filter: Filter, words: &[u64], out: &mut [u64]) -> usize {
                filter.run_rows(words, out)
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the cpu has the feature.
                return unsafe { avx2(self, words, out) };
            }
        }
        self.run_rows(words, out)
    }

    #[inline(always)]
    fn run_rows(self, words: &[u64], out: &mut [u64]) -> usize {
        let (rows, rest) = words.as_chunks::<ROW>();
        let mut count = 0;
        let mut put = |words: &[u64]| {
            for &word in words {
                out[count] = self.line(word);
                count += usize::from(self.takes(self.line(word)));
            }
        };
        for row in rows {
            let mut taken = 0;
            for &word in row {
                taken |= u64::from(self.takes(self.line(word)));
            }
            if taken != 0 {
                put(row);
            }
        }
        put(rest);
        count
    }
}
