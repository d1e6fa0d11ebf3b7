//! What the sets of a cache keep: lines of a pass that miss after others have touched lines, averaged over sets.
//!
//! One set is played line by line under the machine's own policy, for every number of own lines and of others'. Lines are
//! spread over sets evenly where their places are consecutive; where pages lie at random, the number of pages that share
//! a set is binomial (Thiebaut & Stone, TOCS 1987; Agarwal, Hennessy & Horowitz, TOCS 1989). Under LRU this is their
//! formula: of k lines under e of others in D ways min(k, max(0, D - e)) are kept.

use super::number::{greater, lesser};
use super::play;
use crate::memory::config::ReplacementKind;
use crate::memory::config::check::WAYS_MAX;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Own lines and lines of others a set that the table reaches to, as a multiple of the ways.
const EXTENT: usize = 3;

/// How lines spread over the sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Spread {
    /// One after the other.
    Even,
    /// Page by page, each at one of so many places in the sets: a power of two.
    Random(u32),
}

/// More places than that are as good as any number of them.
const PLACES_MAX: u32 = 64;

impl Spread {
    /// Of pages at random places; even where each page reaches all sets.
    pub fn of_random_pages(places: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 64")]
        let places = places.min(PLACES_MAX.into()) as u32;
        if places < 2 { Self::Even } else { Self::Random(places) }
    }
}

/// The sets of a cache or TLB.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    ways: f64,
    /// Points of the table a line.
    density: f64,
    points: usize,
    /// The last point, as a number to compare with.
    last: f64,
    /// Up to so many points of own lines and of others' together nothing misses.
    clear: f64,
    /// Two values a point: lines of a pass that miss, and lines kept until it began.
    table: Vec<[f32; 2]>,
}

/// A policy, the ways of a set, and how lines spread.
pub(super) type Shape = (ReplacementKind, u32, Spread);

/// Shapes that are remembered.
const SHAPES: usize = 64;

static KNOWN: LazyLock<Mutex<HashMap<Shape, Arc<Sets>>>> = LazyLock::new(Mutex::default);

impl Sets {
    /// The sets of a shape. They are the same for every machine, and sweeps have many: the last ones are remembered.
    pub fn of(shape: Shape) -> Arc<Self> {
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sets) = known().get(&shape) {
            return sets.clone();
        }
        let (policy, ways, spread) = shape;
        let sets = Arc::new(Self::new(policy, ways, spread));
        let mut known = known();
        if known.len() >= SHAPES {
            known.clear();
        }
        known.entry(shape).or_insert(sets).clone()
    }

    /// Sets of `ways` lines under a policy.
    fn new(policy: ReplacementKind, ways: u32, spread: Spread) -> Self {
        if ways > WAYS_MAX {
            return Self { ways: ways.into(), density: 0.0, points: 0, last: 0.0, clear: 0.0, table: Vec::new() };
        }
        // Fractions of a line are whole pages over all places.
        let density = match (spread, ways) {
            (Spread::Even, _) => 1,
            (Spread::Random(places), ways) => (32 / ways.next_power_of_two()).clamp(1, places) as usize,
        };
        let points = EXTENT * ways as usize * density + 1;
        let table = |policy| table(&play::Played::new(policy, ways), points, density, spread, ways as usize);
        let table = match policy {
            ReplacementKind::Drrip => duel(&table(ReplacementKind::Srrip), &table(ReplacementKind::Brrip), points),
            policy => table(policy),
        };
        #[allow(clippy::cast_possible_truncation, reason = "24 bits of a number of lines are enough")]
        let table: Vec<[f32; 2]> = table.into_iter().map(|pair| pair.map(|value| value as f32)).collect();
        let misses = |sum: usize| (0..=sum).any(|own| table[own * points + sum - own][0] != 0.0);
        let clear = (0..points).find(|&sum| misses(sum)).unwrap_or(points).saturating_sub(1);
        Self {
            ways: ways.into(),
            density: density as f64,
            points,
            last: (points - 1) as f64,
            clear: clear as f64,
            table,
        }
    }

    /// Whether [`misses`](Self::misses) is 0.
    #[inline]
    pub fn is_clear(&self, own: f64, others: f64) -> bool {
        self.has_room(own + others) || self.misses(own, others) == 0.0
    }

    /// Whether there is room for so many lines in sum, however they lie: then nothing misses, nor with fewer.
    #[inline]
    pub fn has_room(&self, lines: f64) -> bool {
        // Of the points around, none has more than one in sum that is not filled.
        lines * self.density + 1.0 <= self.clear
    }

    /// Of `own` lines a set, those of the next pass that miss after `others` lines a set were touched.
    #[inline]
    pub fn misses(&self, own: f64, others: f64) -> f64 {
        if self.points == 0 {
            return if own + others > self.ways + 1e-6 { own } else { 0.0 };
        }
        let extent = self.last / self.density;
        // More own lines than that change no number of hits.
        let beyond = greater(own - extent, 0.0);
        lesser(greater(self.value::<0>(own - beyond, others) + beyond, 0.0), own)
    }

    /// Of `own` lines a set, those that are still there after `others` lines a set were touched.
    #[inline]
    pub fn kept(&self, own: f64, others: f64) -> f64 {
        if self.points == 0 {
            return own.min((self.ways - others).max(0.0));
        }
        lesser(self.value::<1>(own, others), own)
    }

    /// The point at or below so many lines a set, and how far they are above it.
    #[inline]
    fn point(&self, lines: f64) -> (usize, f64) {
        let place = lesser(lines * self.density, self.last);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the points")]
        let point = (place as u32 as usize).min(self.points - 2);
        (point, place - point as f64)
    }

    /// Between the three points around: where neither number is whole, sets that have one line more of the own are those that
    /// have one less of others, as where all lie one after the other.
    #[inline(always)]
    fn value<const WHICH: usize>(&self, own: f64, others: f64) -> f64 {
        let ((x, dx), (y, dy)) = (self.point(own), self.point(others));
        let around = &self.table[x * self.points + y..][..self.points + 2];
        let at = |place: usize| f64::from(around[place][WHICH]);
        let (right, up) = (at(self.points), at(1));
        if dx + dy <= 1.0 {
            let corner = at(0);
            corner + (right - corner) * dx + (up - corner) * dy
        } else {
            let corner = at(self.points + 1);
            corner + (up - corner) * (1.0 - dx) + (right - corner) * (1.0 - dy)
        }
    }
}

/// What is looked up, for so many points of own lines and of others'.
fn table(played: &play::Played, points: usize, density: usize, spread: Spread, ways: usize) -> Vec<[f64; 2]> {
    match spread {
        Spread::Even => (0..points * points).map(|index| played.at(index / points, index % points)).collect(),
        Spread::Random(places) => average(played, points, places as usize / density, places, ways),
    }
}

/// Set dueling (DRRIP): nearly all sets follow the rule by which fewer lines of both sides miss, the first one if in doubt.
fn duel(first: &[[f64; 2]], second: &[[f64; 2]], points: usize) -> Vec<[f64; 2]> {
    let of_both = |table: &[[f64; 2]], own: usize, others: usize| {
        table[own * points + others][0] + table[others * points + own][0]
    };
    let winner = |index: usize| {
        let (own, others) = (index / points, index % points);
        if of_both(second, own, others) < of_both(first, own, others) { second[index] } else { first[index] }
    };
    (0..points * points).map(winner).collect()
}

/// The averages over sets where pages, so many from point to point, lie at random places.
fn average(played: &play::Played, points: usize, pages: usize, places: u32, ways: usize) -> Vec<[f64; 2]> {
    let largest = 2 * EXTENT * ways + 16;
    // Few pages never share a set with many: most odds are none.
    let odds = |point: usize| {
        let odds = binomial(point * pages, places.into(), largest).into_iter().enumerate();
        odds.filter(|&(_, odds)| odds != 0.0).collect::<Vec<_>>()
    };
    let odds: Vec<_> = (0..points).map(odds).collect();
    // Over the others first, then over the own.
    let mut over_others = vec![[0.0; 2]; (largest + 1) * points];
    for own in 0..=largest {
        for (point, odds) in odds.iter().enumerate() {
            let sum = &mut over_others[own * points + point];
            for &(others, odds) in odds {
                let value = played.at(own, others);
                sum[0] += odds * value[0];
                sum[1] += odds * value[1];
            }
        }
    }
    let mut table = vec![[0.0; 2]; points * points];
    for (point, odds) in odds.iter().enumerate() {
        for &(own, odds) in odds {
            for others in 0..points {
                let value = over_others[own * points + others];
                let sum = &mut table[point * points + others];
                sum[0] += odds * value[0];
                sum[1] += odds * value[1];
            }
        }
    }
    table
}

/// The odds of 0, 1, ... up to `largest` pages at one of the places; what lies above counts as `largest`.
fn binomial(pages: usize, places: f64, largest: usize) -> Vec<f64> {
    let mut odds = vec![0.0; largest + 1];
    let mut term = libm::exp(pages as f64 * libm::log1p(-1.0 / places));
    let mut left = 1.0;
    for (number, odds) in odds.iter_mut().enumerate() {
        if number > 0 {
            term *= (pages as f64 - number as f64 + 1.0).max(0.0) / (number as f64 * (places - 1.0));
        }
        *odds = term;
        left -= term;
    }
    odds[largest] += f64::max(left, 0.0);
    odds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lru_keeps_what_the_formula_of_agarwal_says() {
        let sets = Sets::new(ReplacementKind::Lru, 8, Spread::Even);
        for own in 0..12 {
            for others in 0..12 {
                let expected = f64::from(own).min((8.0 - f64::from(others)).max(0.0));
                assert_eq!(sets.kept(own.into(), others.into()), expected, "{own} {others}");
                let expected = if own + others > 8 { f64::from(own) } else { 0.0 };
                assert_eq!(sets.misses(own.into(), others.into()), expected, "{own} {others}");
            }
        }
    }

    #[test]
    fn random_places_soften_the_cliff() {
        let even = Sets::new(ReplacementKind::Lru, 8, Spread::Even);
        let random = Sets::new(ReplacementKind::Lru, 8, Spread::Random(64));
        assert_eq!(even.misses(7.0, 0.0), 0.0);
        assert!(random.misses(7.0, 0.0) > 1.0);
        assert!(random.misses(9.0, 0.0) < 8.0);
        assert!(random.misses(1.0, 0.0) < 1e-4);
    }

    #[test]
    fn what_fits_in_all_fits_one_after_the_other() {
        let sets = Sets::new(ReplacementKind::Lru, 2, Spread::Even);
        assert!(sets.misses(1.2, 0.8) < 1e-6 && sets.misses(0.6, 1.4) < 1e-6);
        assert!(sets.misses(1.2, 0.9) > 0.0);
    }

    #[test]
    fn one_page_is_never_in_its_own_way() {
        for places in [2, 16] {
            let sets = Sets::new(ReplacementKind::Lru, 2, Spread::Random(places));
            let pages = |pages: f64| pages / f64::from(places);
            assert!(sets.misses(pages(1.0), 0.0) < 1e-9 && sets.misses(pages(2.0), 0.0) < 1e-9);
            assert!(sets.misses(pages(4.0), 0.0) > 0.0);
        }
    }

    #[test]
    fn others_never_help_a_stack_policy() {
        for spread in [Spread::Even, Spread::Random(2), Spread::Random(32)] {
            let sets = Sets::new(ReplacementKind::Lru, 4, spread);
            for own in 0..40 {
                let own = f64::from(own) / 3.0;
                let misses: Vec<f64> = (0..40).map(|others| sets.misses(own, f64::from(others) / 3.0)).collect();
                assert!(misses.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6), "{own}: {misses:?}");
                assert!(misses.iter().all(|&misses| (0.0..=own).contains(&misses)));
            }
        }
    }

    #[test]
    fn what_is_clear_misses_nothing() {
        for (policy, ways) in [(ReplacementKind::Lru, 12), (ReplacementKind::TreePlru, 8), (ReplacementKind::Srrip, 4)]
        {
            for spread in [Spread::Even, Spread::Random(32)] {
                let sets = Sets::new(policy, ways, spread);
                for own in 0..60 {
                    for others in 0..60 {
                        let (own, others) = (f64::from(own) / 3.7, f64::from(others) / 3.7);
                        assert_eq!(sets.is_clear(own, others), sets.misses(own, others) == 0.0, "{own} {others}");
                    }
                }
            }
        }
    }

    #[test]
    fn sets_that_duel_follow_the_rule_that_misses_less() {
        for spread in [Spread::Even, Spread::Random(16)] {
            let [srrip, brrip, drrip] = [ReplacementKind::Srrip, ReplacementKind::Brrip, ReplacementKind::Drrip]
                .map(|policy| Sets::new(policy, 4, spread));
            for own in (0..12).map(f64::from) {
                for others in (0..12).map(f64::from) {
                    let of_both = |sets: &Sets| sets.misses(own, others) + sets.misses(others, own);
                    let least = of_both(&srrip).min(of_both(&brrip));
                    assert!((of_both(&drrip) - least).abs() < 1e-6, "{own} {others}");
                }
            }
        }
    }

    #[test]
    fn sets_of_a_shape_are_played_once() {
        let of = |ways| Sets::of((ReplacementKind::Srrip, ways, Spread::Even));
        let first = of(3);
        assert_eq!(first.misses(4.0, 1.0), Sets::new(ReplacementKind::Srrip, 3, Spread::Even).misses(4.0, 1.0));
        assert!(Arc::ptr_eq(&of(5), &of(5)) && !Arc::ptr_eq(&of(5), &first));
    }

    #[test]
    fn odds_sum_to_one_and_have_their_mean() {
        for (pages, places) in [(0, 4.0), (3, 2.0), (100, 16.0)] {
            let odds = binomial(pages, places, 64);
            assert!((odds.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let mean: f64 = odds.iter().enumerate().map(|(number, odds)| number as f64 * odds).sum();
            assert!((mean - pages as f64 / places).abs() < 1e-9);
        }
    }
}
