//! A working set and how it is used again, as a program says it, and what the model makes of it: units of lines and of pages.

use super::draws::{Class, Draws};
use crate::base::ConfigError;
use crate::memory::config::PageSize;

/// Most units of a working set.
pub const UNITS_MAX: u64 = 1 << 40;

/// In which order units of a working set are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// One after the other, again and again.
    Sequential,
    /// Every n-th, then those beside them.
    Strided(u64),
    /// All in a fixed order without any order in their places, again and again.
    Chase,
    /// Any with the same odds.
    Uniform,
    /// Unit k with odds in proportion to 1/(k+1)^skew.
    Zipf(f64),
    /// A unit of the first part with some probability, else one of the rest.
    Hot {
        /// The part of the units.
        fraction: f64,
        /// Its odds.
        probability: f64,
    },
}

/// A working set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// How many places it has.
    pub units: u64,
    /// Bytes from one place to the next.
    pub unit_bytes: u64,
    /// The pages that it lies in.
    pub page: PageSize,
    /// In which order they are used.
    pub pattern: Pattern,
    /// Whether places have no order: unit k may lie anywhere.
    pub is_scattered: bool,
    /// Whether an access waits for the one before.
    pub is_dependent: bool,
    /// Whether accesses write.
    pub is_write: bool,
    /// Whether accesses go by physical addresses, past all TLBs, as those of a kernel to its own data do here.
    pub is_physical: bool,
}

impl Profile {
    /// Units of that size used one after the other, in pages of 4 KiB, by reads that do not wait for one another.
    pub fn new(units: u64, unit_bytes: u64) -> Self {
        Self {
            units,
            unit_bytes,
            page: PageSize::Size4K,
            pattern: Pattern::Sequential,
            is_scattered: false,
            is_dependent: false,
            is_write: false,
            is_physical: false,
        }
    }

    /// Holds the rules of a working set.
    ///
    /// # Errors
    /// A number out of its range, with its path below `path`.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        let fail =
            |field: &str, rule: &str, value: String| Err(ConfigError::new(format!("{path}.{field}"), rule, value));
        if self.units == 0 || self.units > UNITS_MAX {
            return fail("units", "must be between 1 and 2^40", self.units.to_string());
        }
        if self.unit_bytes == 0 || self.unit_bytes.checked_mul(self.units).is_none_or(|bytes| bytes >> 62 != 0) {
            return fail(
                "unit_bytes",
                "must be at least 1, and all units less than 4 EiB",
                self.unit_bytes.to_string(),
            );
        }
        match self.pattern {
            Pattern::Strided(0) => fail("stride", "must be at least 1", "0".into()),
            Pattern::Zipf(skew) if !(0.0..=20.0).contains(&skew) => fail("skew", "must be 0 to 20", skew.to_string()),
            Pattern::Hot { fraction, .. } if !(0.0..=1.0).contains(&fraction) => {
                fail("hot_fraction", "must be 0 to 1", fraction.to_string())
            }
            Pattern::Hot { probability, .. } if !(0.0..=1.0).contains(&probability) => {
                fail("hot_probability", "must be 0 to 1", probability.to_string())
            }
            _ => Ok(()),
        }
    }

    /// Its use in blocks of so many bytes: lines or pages.
    pub(super) fn blocks(&self, block_bytes: u64) -> Blocks {
        let bytes = (self.units * self.unit_bytes) as f64;
        let (units, block) = (self.units as f64, block_bytes as f64);
        let units_a_block = block / self.unit_bytes as f64;
        let count = if units_a_block > 1.0 { libm::ceil(bytes / block) } else { units };
        let share = |part: f64| (part * count).max(1.0);
        // Neighbours without an order among them are drawn together.
        let is_mixed = units_a_block > 1.0;
        let (touches_a_run, shape) = match self.pattern {
            _ if count <= 1.0 => (1.0, Order::Cycle),
            Pattern::Sequential | Pattern::Strided(_) if self.is_scattered && is_mixed => (1.0, uniform(count)),
            Pattern::Sequential => (units_a_block.max(1.0), Order::Cycle),
            Pattern::Strided(stride) => ((units_a_block / stride as f64).max(1.0), Order::Cycle),
            Pattern::Chase if is_mixed => (1.0, uniform(count)),
            Pattern::Chase => (1.0, Order::Cycle),
            Pattern::Uniform => (1.0, uniform(count)),
            Pattern::Hot { fraction, probability } => {
                let hot = libm::floor(units * fraction);
                if hot < 1.0 || hot >= units || self.is_scattered && is_mixed && hot > count {
                    (1.0, uniform(count))
                } else {
                    let hot = share(hot / units);
                    let cold = (count - hot).max(1.0);
                    let classes = [
                        Class { count: hot, weight: probability / hot },
                        Class { count: cold, weight: (1.0 - probability) / cold },
                    ];
                    (1.0, Order::Drawn(Draws::new(&classes)))
                }
            }
            Pattern::Zipf(skew) => (1.0, Order::Drawn(Draws::new(&zipf(units, count, skew, self.is_scattered)))),
        };
        let spacing = (1.0 / units_a_block).max(1.0);
        Blocks { count, touches_a_run, spacing, order: shape }
    }
}

/// A working set as lines or as pages.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    pub count: f64,
    /// Accesses in a row that stay in a block.
    pub touches_a_run: f64,
    /// Blocks from one to the next.
    pub spacing: f64,
    pub order: Order,
}

/// Which block comes next.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// The one that was used longest ago.
    Cycle,
    /// One that is drawn.
    Drawn(Draws),
}

fn uniform(count: f64) -> Order {
    Order::Drawn(Draws::new(&[Class { count, weight: 1.0 }]))
}

/// Blocks of a Zipf pattern in classes of like odds: each rank alone at first, then some a power of two.
fn zipf(units: f64, blocks: f64, skew: f64, is_scattered: bool) -> Vec<Class> {
    // The odds of ranks up to x, from 0, are in proportion to this; the sum over ranks by its midpoints.
    let integral = |x: f64| {
        let (from, to) = (libm::log(0.5), libm::log(x + 0.5));
        let power = 1.0 - skew;
        if libm::fabs(power) < 1e-9 { to - from } else { (libm::exp(power * to) - libm::exp(power * from)) / power }
    };
    let units_a_block = if is_scattered { 1.0 } else { units / blocks };
    let ranked = if is_scattered { blocks } else { units / units_a_block };
    let whole = integral(units);
    let mut classes = Vec::new();
    let mut rank = 0.0;
    while rank < ranked {
        let next = libm::ceil(rank * 1.1).max(rank + 1.0).min(ranked);
        let (from, to) = (rank * units_a_block, next * units_a_block);
        let exact = |x: f64| libm::exp(-skew * libm::log(x + 1.0));
        let odds = if units_a_block == 1.0 && next - rank <= 1.0 { exact(rank) } else { integral(to) - integral(from) };
        classes.push(Class { count: next - rank, weight: odds / (next - rank) });
        rank = next;
    }
    if is_scattered && units > blocks {
        // Who is not among the first is spread over all.
        let rest = (whole - integral(blocks)) / blocks;
        classes.iter_mut().for_each(|class| class.weight += rest);
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_with_their_paths() {
        let check = |profile: Profile| profile.check("touch").unwrap_err().to_string();
        let good = Profile::new(16, 64);
        good.check("touch").unwrap();
        assert_eq!(check(Profile { units: 0, ..good }), "touch.units: must be between 1 and 2^40, got 0");
        assert_eq!(check(Profile { pattern: Pattern::Zipf(-1.0), ..good }), "touch.skew: must be 0 to 20, got -1");
        let nan = Pattern::Hot { fraction: f64::NAN, probability: 0.5 };
        assert_eq!(check(Profile { pattern: nan, ..good }), "touch.hot_fraction: must be 0 to 1, got NaN");
        assert!(Profile { unit_bytes: u64::MAX, ..good }.check("touch").is_err());
    }

    #[test]
    fn words_share_lines_and_lines_share_pages() {
        let words = Profile::new(1 << 20, 8);
        let (lines, pages) = (words.blocks(64), words.blocks(4096));
        assert_eq!((lines.count, lines.touches_a_run, lines.spacing), (131_072.0, 8.0, 1.0));
        assert_eq!((pages.count, pages.touches_a_run), (2048.0, 512.0));
        let sparse = Profile::new(100, 4096).blocks(64);
        assert_eq!((sparse.count, sparse.touches_a_run, sparse.spacing), (100.0, 1.0, 64.0));
    }

    #[test]
    fn chased_lines_are_a_cycle_but_their_pages_are_drawn() {
        let chase = Profile { pattern: Pattern::Chase, ..Profile::new(6400, 64) };
        assert!(matches!(chase.blocks(64).order, Order::Cycle));
        assert!(matches!(chase.blocks(4096).order, Order::Drawn(_)));
    }

    #[test]
    fn odds_of_zipf_are_those_of_its_ranks() {
        for skew in [0.0, 0.5, 1.0, 2.0] {
            let classes = zipf(1000.0, 1000.0, skew, false);
            let units: f64 = classes.iter().map(|class| class.count).sum();
            let whole: f64 = classes.iter().map(|class| class.count * class.weight).sum();
            let exact: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-skew)).sum();
            assert_eq!(units, 1000.0);
            assert!((whole / exact - 1.0).abs() < 0.01, "{skew}: {whole} {exact}");
        }
    }
}
