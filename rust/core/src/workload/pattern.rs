//! Access patterns: which unit of a region comes next.

use super::op::{PatternKind, Touch};
use crate::base::rng::{FNV_START, fnv1a};
use crate::base::{ConfigError, Rng};
use crate::memory::placement::Permutation;
use std::sync::Arc;

/// A pattern as a program says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    order: Order,
    is_scattered: bool,
    /// The name of its random numbers.
    stream: String,
}

/// The order of units, checked.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is documented where a program names it")]
pub enum Order {
    Sequential,
    Strided(u64),
    Uniform,
    Zipf(f64),
    Hot { fraction: f64, probability: f64 },
    Chase,
    List(Arc<[u64]>),
}

impl Pattern {
    /// The pattern of a touch.
    ///
    /// # Errors
    /// A number that is out of range, with its path.
    pub fn new(touch: &Touch, path: &str) -> Result<Self, ConfigError> {
        let fail =
            |field: &str, rule: &str, value: String| Err(ConfigError::new(format!("{path}.{field}"), rule, value));
        let order = match touch.pattern {
            PatternKind::Sequential => Order::Sequential,
            PatternKind::Strided if touch.stride == 0 => return fail("stride", "must be at least 1", "0".into()),
            PatternKind::Strided => Order::Strided(touch.stride),
            PatternKind::Uniform => Order::Uniform,
            PatternKind::Zipf if !(0.0..=20.0).contains(&touch.skew) => {
                return fail("skew", "must be 0 to 20", touch.skew.to_string());
            }
            PatternKind::Zipf => Order::Zipf(touch.skew),
            PatternKind::Hot => {
                for (field, value) in [("hot_fraction", touch.hot_fraction), ("hot_probability", touch.hot_probability)]
                {
                    if !(0.0..=1.0).contains(&value) {
                        return fail(field, "must be 0 to 1", value.to_string());
                    }
                }
                Order::Hot { fraction: touch.hot_fraction, probability: touch.hot_probability }
            }
            PatternKind::Chase => Order::Chase,
            PatternKind::List if touch.indices.is_empty() => {
                return fail("indices", "must hold at least one unit", "[]".into());
            }
            PatternKind::List => Order::List(touch.indices.clone().into()),
        };
        Ok(Self { order, is_scattered: touch.scatter, stream: touch.stream.clone() })
    }

    /// The order of its units.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Whether units lie at places drawn from the seed.
    pub fn is_scattered(&self) -> bool {
        self.is_scattered
    }

    /// How many accesses a touch makes that does not say: as many as there are units, or as are listed.
    pub fn count(&self, units: u64) -> u64 {
        match &self.order {
            Order::List(indices) => indices.len() as u64,
            _ => units,
        }
    }

    /// The largest unit that a list names.
    #[inline(always)]
    pub fn unit_max(&self) -> Option<u64> {
        match &self.order {
            Order::List(indices) => indices.iter().copied().max(),
            _ => None,
        }
    }
}

/// Where a pattern is, over a number of units.
#[derive(Clone, Debug)]
pub struct Cursor {
    units: u64,
    /// How many of them are hot, for a pattern that has such.
    hot: u64,
    position: u64,
    draws: Rng,
    zipf: Option<Zipf>,
    /// Where units lie, for what is scattered or chased.
    places: Option<Permutation>,
}

impl Cursor {
    /// The start of a pattern over `units` units, at least one. `index` tells apart patterns without a stream's name.
    pub fn new(pattern: &Pattern, units: u64, seed: u64, index: u64) -> Self {
        let name = fnv1a(FNV_START, pattern.stream.as_bytes());
        let index = if pattern.stream.is_empty() { index } else { name };
        let zipf = if let Order::Zipf(skew) = pattern.order { Some(Zipf::new(units, skew)) } else { None };
        let hot = if let Order::Hot { fraction, .. } = pattern.order { part_of(units, fraction) } else { 0 };
        let is_permuted = pattern.is_scattered || pattern.order == Order::Chase;
        let keys = Rng::stream(seed, "pattern.places", index);
        Self {
            units,
            hot,
            position: 0,
            draws: Rng::stream(seed, "pattern", index),
            zipf,
            places: is_permuted.then(|| Permutation::new(units, keys)),
        }
    }

    /// Units that it runs over.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// The next unit.
    #[inline(always)]
    pub fn next(&mut self, pattern: &Pattern) -> u64 {
        // These take so few steps that a call would be as long.
        match (&pattern.order, &self.places) {
            (Order::Uniform, None) => below(&mut self.draws, self.units),
            (Order::Sequential, None) => self.turn(self.units),
            _ => self.next_of_any(pattern),
        }
    }

    #[inline(never)]
    fn next_of_any(&mut self, pattern: &Pattern) -> u64 {
        let unit = match &pattern.order {
            Order::Sequential | Order::Chase => self.turn(self.units),
            Order::Strided(stride) => {
                let unit = self.position;
                self.position = match unit.checked_add(*stride).filter(|&next| next < self.units) {
                    Some(next) => next,
                    None => (unit % stride + 1) % (*stride).min(self.units),
                };
                unit
            }
            Order::Uniform => below(&mut self.draws, self.units),
            Order::Zipf(_) => self.zipf.as_ref().expect("made with the pattern").draw(&mut self.draws),
            Order::Hot { probability, .. } => self.hot(*probability),
            Order::List(indices) => {
                let place = self.turn(indices.len() as u64);
                return indices[usize::try_from(place).expect("an index")];
            }
        };
        self.places.as_ref().map_or(unit, |places| places.apply(unit))
    }

    #[inline(always)]
    fn turn(&mut self, length: u64) -> u64 {
        let place = self.position;
        self.position = if place + 1 == length { 0 } else { place + 1 };
        place
    }

    fn hot(&mut self, probability: f64) -> u64 {
        let cold = self.units - self.hot;
        // If all are of one kind, that one is drawn from.
        let is_hot = unit_interval(&mut self.draws) < probability && self.hot > 0 || cold == 0;
        let (first, length) = if is_hot { (0, self.hot) } else { (self.hot, cold) };
        first + below(&mut self.draws, length)
    }
}

/// A part of so many units, rounded down.
fn part_of(units: u64, fraction: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the units")]
    let part = (units as f64 * fraction) as u64;
    part.min(units)
}

/// A number in [0, 1) with 53 bits.
fn unit_interval(draws: &mut Rng) -> f64 {
    // Signed, since that becomes a floating number in one step.
    (draws.next_u64() >> 11).cast_signed() as f64 / (1u64 << 53) as f64
}

/// A number below `bound` by the high half of a product.
#[inline(always)]
fn below(draws: &mut Rng, bound: u64) -> u64 {
    #[allow(clippy::cast_possible_truncation, reason = "the product of two 64-bit numbers, shifted by 64")]
    let high = ((u128::from(draws.next_u64()) * u128::from(bound)) >> 64) as u64;
    high
}

/// Draws unit k with weight 1/(k+1)^skew by rejection-inversion (Hörmann & Derflinger, "Rejection-inversion to generate
/// variates from monotone discrete distributions", TOMACS 1996): constant time and memory whatever the units.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    units: f64,
    skew: f64,
    /// The integral of the hat at the first and the last end.
    first: f64,
    last: f64,
    shortcut: f64,
}

impl Zipf {
    pub(crate) fn new(units: u64, skew: f64) -> Self {
        let mut zipf = Self { units: units as f64, skew, first: 0.0, last: 0.0, shortcut: 0.0 };
        zipf.first = zipf.integral(1.5) - 1.0;
        zipf.last = zipf.integral(zipf.units + 0.5);
        zipf.shortcut = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    pub(crate) fn draw(&self, draws: &mut Rng) -> u64 {
        loop {
            let area = self.last + unit_interval(draws) * (self.first - self.last);
            let x = self.inverse(area);
            let k = libm::floor(x + 0.5).clamp(1.0, self.units);
            if k - x <= self.shortcut || area >= self.integral(k + 0.5) - self.weight(k) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to the units")]
                return k as u64 - 1;
            }
        }
    }

    fn weight(&self, x: f64) -> f64 {
        libm::exp(-self.skew * libm::log(x))
    }

    /// The integral of x^-skew.
    fn integral(&self, x: f64) -> f64 {
        let log = libm::log(x);
        expm1_over(log * (1.0 - self.skew)) * log
    }

    fn inverse(&self, area: f64) -> f64 {
        let t = (area * (1.0 - self.skew)).max(-1.0);
        libm::exp(log1p_over(t) * area)
    }
}

/// (e^x - 1) / x, also near 0.
fn expm1_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { libm::expm1(x) / x } else { 1.0 + x / 2.0 }
}

/// log(1 + x) / x, also near 0.
fn log1p_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { libm::log1p(x) / x } else { 1.0 - x / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(json: &str, units: u64, count: usize) -> Vec<u64> {
        let touch: Touch = serde_json::from_str(json).unwrap();
        let pattern = Pattern::new(&touch, "touch").unwrap();
        let mut cursor = Cursor::new(&pattern, units, 1, 0);
        (0..count).map(|_| cursor.next(&pattern)).collect()
    }

    #[test]
    fn fixed_orders() {
        assert_eq!(run(r#"{"region": "r"}"#, 3, 7), [0, 1, 2, 0, 1, 2, 0]);
        let strided = run(r#"{"region": "r", "pattern": "strided", "stride": 2}"#, 5, 10);
        assert_eq!(strided, [0, 2, 4, 1, 3, 0, 2, 4, 1, 3]);
        assert_eq!(run(r#"{"region": "r", "pattern": "list", "indices": [4, 2]}"#, 5, 3), [4, 2, 4]);
        assert_eq!(run(r#"{"region": "r", "pattern": "strided", "stride": 9}"#, 3, 4), [0, 1, 2, 0]);
    }

    #[test]
    fn chase_is_a_cycle_through_all_units() {
        let mut order = run(r#"{"region": "r", "pattern": "chase"}"#, 100, 200);
        let again = order.split_off(100);
        assert_eq!(order, again);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn drawn_units_have_their_frequencies() {
        let share = |json: &str, below: u64| {
            let hits = run(json, 1000, 100_000).into_iter().filter(|&unit| unit < below).count();
            hits as f64 / 100_000.0
        };
        assert!((share(r#"{"region": "r", "pattern": "uniform"}"#, 100) - 0.1).abs() < 0.005);
        assert!((share(r#"{"region": "r", "pattern": "hot"}"#, 100) - 0.9).abs() < 0.005);
        let harmonic = |units: u64| (1..=units).map(|k| 1.0 / k as f64).sum::<f64>();
        let zipf = share(r#"{"region": "r", "pattern": "zipf"}"#, 10);
        assert!((zipf - harmonic(10) / harmonic(1000)).abs() < 0.005, "{zipf}");
        let root = |units: u64| (1..=units).map(|k| (k as f64).powf(-0.5)).sum::<f64>();
        let zipf = share(r#"{"region": "r", "pattern": "zipf", "skew": 0.5}"#, 10);
        assert!((zipf - root(10) / root(1000)).abs() < 0.005, "{zipf}");
    }

    #[test]
    fn equal_streams_draw_equal_units() {
        let first = run(r#"{"region": "a", "pattern": "uniform", "stream": "keys"}"#, 1000, 50);
        assert_eq!(first, run(r#"{"region": "b", "pattern": "uniform", "stream": "keys"}"#, 1000, 50));
        assert_ne!(first, run(r#"{"region": "b", "pattern": "uniform", "stream": "other"}"#, 1000, 50));
        let scattered = run(r#"{"region": "b", "pattern": "uniform", "stream": "keys", "scatter": true}"#, 1000, 50);
        assert_ne!(first, scattered);
    }
}
