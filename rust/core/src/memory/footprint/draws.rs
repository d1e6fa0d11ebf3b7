//! Working sets whose units are drawn: how many different ones a number of draws touches, and how many draws come to a
//! unit that no draw before touched.
//!
//! With unit i drawn with odds q_i, t draws touch D(t) = sum of 1 - e^(-q_i t) units, and a draw finds a unit that was not
//! touched for t draws with odds M(t) = sum of q_i e^(-q_i t), the derivative. LRU with room for C units keeps a unit for
//! the time t with D(t) = C (Che, Tung & Wang, IEEE JSAC 2002). Both are tables over t by the working set's size.

/// Powers of two of t, by the working set's size, that the table covers.
const OCTAVE_FIRST: i32 = -24;
const OCTAVES: usize = 40;
/// log2 of the points an octave.
const POINT_BITS: u32 = 3;
const POINTS: usize = OCTAVES << POINT_BITS;

/// The first point.
const FIRST: f64 = 1.0 / (1u64 << -OCTAVE_FIRST) as f64;

/// The odds of units: `count` units with odds in proportion to `weight` each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Class {
    pub count: f64,
    pub weight: f64,
}

/// D and M as shares: of the units, and of the draws.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    table: Box<[[f64; 2]; POINTS + 1]>,
    /// The share of units that as many draws touch as there are units.
    in_a_pass: f64,
    /// For each eighth of a power of two of D, from the first point's on: the first point that reaches it.
    reached: Vec<u16>,
}

impl Draws {
    /// Units of these classes.
    pub fn new(classes: &[Class]) -> Self {
        let units: f64 = classes.iter().map(|class| class.count).sum();
        let weights: f64 = classes.iter().map(|class| class.count * class.weight).sum();
        let point = |index: usize| {
            let (mut touched, mut untouched) = (0.0, 0.0);
            for &Class { count, weight } in classes {
                // Expected draws of one such unit.
                let draws = weight / weights * units * TIMES[index];
                touched -= count * libm::expm1(-draws);
                untouched += count * weight * libm::exp(-draws);
            }
            [touched / units, untouched / weights]
        };
        let table: Box<[[f64; 2]; POINTS + 1]> = Box::new(std::array::from_fn(point));
        let steps = step_of(table[0][0])..=step_of(1.0) + 1;
        let reached = steps.map(|step| {
            let share = f64::from_bits(step << STEP_SHIFT);
            u16::try_from(table.partition_point(|point| point[0] < share)).expect("few points")
        });
        let mut draws = Self { reached: reached.collect(), table, in_a_pass: 0.0 };
        draws.in_a_pass = draws.at(1.0)[0];
        draws
    }

    /// The share of units that as many draws touch as there are units.
    #[inline]
    pub fn in_a_pass(&self) -> f64 {
        self.in_a_pass
    }

    /// The share of units that draws touch, `t` by the number of units, and the odds that a draw finds one untouched for so
    /// long.
    #[inline]
    pub fn at(&self, t: f64) -> [f64; 2] {
        if t <= FIRST {
            return [self.table[0][0] * (t / FIRST), self.table[0][1]];
        }
        let shift = 52 - POINT_BITS;
        let bits = t.to_bits();
        let place = (bits >> shift).wrapping_sub(FIRST.to_bits() >> shift);
        #[allow(clippy::cast_possible_truncation, reason = "compared with the points")]
        let place = place.min(POINTS as u64) as usize;
        if place == POINTS {
            return self.table[POINTS];
        }
        let rest = (bits & ((1 << shift) - 1)) as f64 * (1.0 / (1u64 << shift) as f64);
        let ([low_d, low_m], [high_d, high_m]) = (self.table[place], self.table[place + 1]);
        [low_d + (high_d - low_d) * rest, low_m + (high_m - low_m) * rest]
    }

    /// After how many draws, by the number of units, that share of the units is touched; infinite where it never is.
    #[inline(always)]
    pub fn time_of(&self, share: f64) -> f64 {
        if share <= self.table[0][0] {
            return TIMES[0] * (share / self.table[0][0]).max(0.0);
        }
        if share >= self.table[POINTS][0].min(1.0 - 1e-9) {
            return f64::INFINITY;
        }
        let step = usize::try_from(step_of(share) - step_of(self.table[0][0])).expect("few steps");
        let (from, to) = (usize::from(self.reached[step]), usize::from(self.reached[step + 1]));
        let high = from + self.table[from..to].partition_point(|point| point[0] < share);
        let (low, high) = (high - 1, high);
        let (from, to) = (self.table[low][0], self.table[high][0]);
        TIMES[low] + (TIMES[high] - TIMES[low]) * ((share - from) / (to - from))
    }
}

/// Bits of a number below its power of two and the eighth of it.
const STEP_SHIFT: u32 = 52 - 3;

/// The eighth of a power of two that a positive number lies in.
#[inline]
fn step_of(number: f64) -> u64 {
    number.to_bits() >> STEP_SHIFT
}

/// The times of the points.
static TIMES: [f64; POINTS + 1] = times();

const fn times() -> [f64; POINTS + 1] {
    let mut times = [FIRST; POINTS + 1];
    let steps = 1 << POINT_BITS;
    let mut index = 1;
    while index < steps {
        times[index] = FIRST * (1.0 + index as f64 / steps as f64);
        index += 1;
    }
    while index <= POINTS {
        times[index] = 2.0 * times[index - steps];
        index += 1;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_units_follow_the_exponential() {
        let draws = Draws::new(&[Class { count: 1000.0, weight: 1.0 }]);
        for t in [1e-9, 1e-3, 0.3, 1.0, 4.7] {
            let [touched, untouched] = draws.at(t);
            assert!((touched + libm::expm1(-t)).abs() < 2e-3 * touched, "{t}");
            assert!((untouched - libm::exp(-t)).abs() < 4e-3, "{t}");
            assert!((draws.time_of(touched) - t).abs() < 1e-9 + 1e-9 * t, "{t}");
        }
        assert!(draws.time_of(1.0).is_infinite());
        assert_eq!(draws.at(0.0), [0.0, 1.0 - 0.0f64.max(1.0 - draws.at(0.0)[1])]);
    }

    #[test]
    fn shares_are_found_as_by_a_search_through_all_points() {
        let draws = Draws::new(&[Class { count: 10.0, weight: 50.0 }, Class { count: 990.0, weight: 0.5 }]);
        let shares = (1..4000).map(|place| f64::from(place) / 4000.0);
        for share in
            shares.chain(draws.table[1..POINTS].iter().map(|point| point[0])).filter(|&share| share < 1.0 - 1e-9)
        {
            let high = draws.table.partition_point(|point| point[0] < share);
            let (from, to) = (draws.table[high - 1][0], draws.table[high][0]);
            let expected = TIMES[high - 1] + (TIMES[high] - TIMES[high - 1]) * ((share - from) / (to - from));
            assert_eq!(draws.time_of(share), expected, "{share}");
        }
    }

    #[test]
    fn hot_units_are_touched_first() {
        let draws = Draws::new(&[Class { count: 100.0, weight: 9.0 }, Class { count: 900.0, weight: 0.1 }]);
        let [touched, untouched] = draws.at(0.5);
        assert!((0.1..0.2).contains(&touched), "{touched}");
        assert!(untouched < 0.12, "{untouched}");
    }
}
