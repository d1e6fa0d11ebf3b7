//! One cache or TLB asked for blocks of a working set: how many are there.
//!
//! A block is there if fewer other blocks than fit were touched since its own last touch. In a cycle the next block is the
//! one touched longest ago, so a pass meets the blocks of others that were touched since its last one. Drawn blocks are asked
//! for in `drawn`.

use super::cost::ByCause;
use super::drawn::ask_drawn;
use super::level::{Alone, Level, Place, Reuse};
use super::number::{greater, lesser};
use super::profile::Order;
use super::recency::Recency;
use crate::memory::causes::Cause;

/// What a level is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Different blocks that are touched for the first time in this run; for drawn blocks, all touches.
    pub first: f64,
    /// Touches of blocks that were touched in this run before.
    pub again: f64,
    /// Of the different blocks, those that no cpu has ever touched.
    pub unknown: f64,
    /// The most that can be asked for: what missed inside.
    pub limit: f64,
    /// Of drawn blocks, by their number: the touches, and the share of blocks that these touch.
    pub passes: f64,
    pub touched: f64,
}

/// What a level answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// All misses.
    pub total: f64,
    /// What the next level is asked for, in the terms of [`Asked`].
    pub first_misses: f64,
    pub again_misses: f64,
    pub change: Change,
}

/// What follows at a level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// Different blocks touched, and those of them that had been here before.
    pub touched: f64,
    pub touched_again: f64,
    /// Blocks that came here; for drawn ones, draws.
    pub came: f64,
}

impl Change {
    /// Nothing was asked.
    pub const NONE: Self = Self { touched: 0.0, touched_again: 0.0, came: 0.0 };
}

impl Asked {
    /// What so many accesses ask the first level. `known`: blocks, or draws, that were asked for before.
    #[inline(always)]
    pub fn of(reuse: &Reuse, accesses: f64, known: f64) -> Self {
        let touches = accesses / reuse.accesses_a_touch;
        match &reuse.order {
            Order::Cycle => {
                let first = lesser(touches, reuse.blocks);
                let unknown = lesser(first, greater(reuse.blocks - known, 0.0));
                Self { first, again: touches - first, unknown, limit: touches, passes: 0.0, touched: 0.0 }
            }
            Order::Drawn(draws) => {
                let (known, passes) = (known / reuse.blocks, touches / reuse.blocks);
                let unknown = reuse.blocks * (draws.at(known + passes)[0] - draws.at(known)[0]);
                Self { first: touches, again: 0.0, unknown, limit: touches, passes, touched: draws.at(passes)[0] }
            }
        }
    }

    /// What the next level is asked for.
    #[inline]
    pub fn next(&mut self, answer: &Answer, is_drawn: bool) {
        if !is_drawn {
            (self.first, self.again) = (answer.first_misses, answer.again_misses);
        }
        self.limit = answer.total;
    }

    /// Some come from elsewhere and are not asked for.
    pub fn drop(&mut self, lines: f64, reuse: &Reuse) {
        self.first = greater(self.first - lines, 0.0);
        self.limit = greater(self.limit - lines, 0.0);
        if let Order::Drawn(draws) = &reuse.order {
            self.passes = self.first / reuse.blocks;
            self.touched = draws.at(self.passes)[0];
        }
    }
}

/// Blocks of others that are none.
const NONE: f64 = 1e-6;

/// The parts of what is touched at which a cycle is asked that others have come between.
const PARTS: [f64; 3] = [0.1, 0.5, LAST_PART];
const LAST_PART: f64 = 0.9;

/// A working set at a level of a cpu.
pub(super) struct Here<'a> {
    pub reuse: &'a Reuse,
    pub alone: &'a Alone,
    pub place: &'a Place,
    pub level: &'a Level,
    pub recency: &'a Recency,
}

/// Asks a level. `missing` is why blocks are not here that are known; `by_cause` takes the misses.
#[inline]
pub(super) fn ask(here: &Here<'_>, asked: Asked, missing: Cause, by_cause: &mut ByCause) -> Answer {
    match &here.reuse.order {
        Order::Cycle => ask_cycle(here, asked, missing, by_cause),
        Order::Drawn(draws) => ask_drawn(here, draws, asked, missing, by_cause),
    }
}

/// Whether a level has all blocks of a cycle, of which so many touches come to `first`, and nothing misses.
#[inline]
pub(super) fn has_all(here: &Here<'_>, first: f64) -> bool {
    let &Here { reuse: &Reuse { blocks, .. }, alone, place, level, recency } = here;
    let there = f64::from(place.there);
    if there < blocks || alone.misses != 0.0 || recency.is_gone(place.newest) {
        return false;
    }
    // No more lines came since than were touched: mostly that is enough to know.
    let own = there * alone.density;
    let since = recency.clock() - place.oldest;
    level.sets.has_room(own + level.a_set(since)) || has_all_closely(here, own, first)
}

/// The same by the lines that were touched since, each once.
#[inline(never)]
fn has_all_closely(here: &Here<'_>, own: f64, first: f64) -> bool {
    let &Here { place, level, recency, .. } = here;
    let sets = &level.sets;
    let there = f64::from(place.there);
    let is_one_pass = place.newest - place.oldest <= there * 1.000_001;
    let part = if is_one_pass { 0.0 } else { first / there };
    // At least so many of the lines that were touched since the last touch of one that is touched now are own lines.
    let own_since = there * (1.0 - LAST_PART * part);
    let has_room = |since: f64| sets.has_room(own + level.a_set(since - own_since));
    let is_clear = |others: f64| others <= NONE || sets.is_clear(own, level.a_set(others));
    let since = recency.since(place.oldest, place.run);
    match is_one_pass {
        true => is_clear(since - there),
        false => has_room(since) || others_between(here, part).into_iter().all(is_clear),
    }
}

/// Lines of others that came before the touches of a pass of a cycle, at [`PARTS`] of some part of it.
#[inline]
fn others_between(here: &Here<'_>, part: f64) -> [f64; PARTS.len()] {
    let &Here { place, recency, .. } = here;
    let span = place.newest - place.oldest;
    let parts = PARTS.map(|place| place * part);
    let since = recency.since_each(parts.map(|part| place.oldest + span * part), place.run);
    std::array::from_fn(|moment| since[moment] - f64::from(place.there) * (1.0 - parts[moment]))
}

#[inline]
fn ask_cycle(here: &Here<'_>, asked: Asked, missing: Cause, by_cause: &mut ByCause) -> Answer {
    let &Here { reuse: &Reuse { blocks, .. }, alone, place, level, recency } = here;
    let sets = &level.sets;
    let there = f64::from(place.there);
    let fresh = greater(lesser(asked.first, blocks - there), 0.0);
    let old = asked.first - fresh;
    let (mut undisturbed, mut kept) = (alone.misses, alone.kept);
    let own = (there + fresh) * alone.density;
    if there + fresh < blocks && old > 0.0 {
        (undisturbed, kept) = (sets.misses(own, 0.0) / own, sets.kept(own, 0.0) / own);
    }
    let (mut ratio, mut gone) = (undisturbed, 0.0);
    let span = place.newest - place.oldest;
    if old > 0.0 && recency.is_gone(place.newest) {
        (ratio, gone) = (1.0, kept);
    } else if old > 0.0 {
        // Others came between the touches of this pass only where the last run was shorter than a pass.
        let mut between = [0.0; PARTS.len()];
        let (between, weight) = if span <= there * 1.000_001 {
            between[0] = recency.since(place.oldest, place.run) - there;
            (&between[..1], 1.0)
        } else {
            between = others_between(here, old / there);
            (&between[..], 1.0 / 3.0)
        };
        let between = || between.iter().filter(|&&others| others > NONE).map(|&others| level.a_set(others));
        for others in between() {
            ratio += (greater(sets.misses(own, others) / own, undisturbed) - undisturbed) * weight;
        }
        // What is gone matters where something misses.
        if ratio > undisturbed {
            for others in between() {
                gone += greater(kept - sets.kept(own, others) / own, 0.0) * weight;
            }
        }
    }
    let too_many = old * (ratio - undisturbed);
    let replaced = lesser(too_many, old * gone);
    let again_misses = asked.again * alone.misses;
    let compulsory = lesser(asked.unknown, fresh);
    by_cause[Cause::Compulsory as usize] = compulsory;
    by_cause[missing as usize] += fresh - compulsory;
    by_cause[Cause::Capacity as usize] += old * undisturbed + again_misses;
    by_cause[Cause::Replaced as usize] += replaced;
    by_cause[Cause::Reordered as usize] += too_many - replaced;
    let first_misses = fresh + old * ratio;
    let total = first_misses + again_misses;
    let change = Change { touched: asked.first, touched_again: old, came: fresh };
    Answer { total, first_misses, again_misses, change }
}
