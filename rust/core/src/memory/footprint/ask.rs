//! One cache or TLB asked for blocks of a working set: how many are there.
//!
//! A block is there if fewer other blocks than fit were touched since its own last touch. In a cycle the next block is the
//! one touched longest ago, so a pass meets the blocks of others that were touched since its last one. Of drawn blocks
//! those survive whose last touch is recent enough; see [`Draws`].

use super::cost::ByCause;
use super::draws::Draws;
use super::level::{Alone, Place, Reuse};
use super::profile::Order;
use super::recency::Recency;
use super::sets::Sets;
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
}

/// What a level answers, and the changes that follow from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// All misses.
    pub total: f64,
    /// What the next level is asked for, in the terms of [`Asked`].
    first_misses: f64,
    again_misses: f64,
    /// Different blocks touched, and those of them that had been here before.
    pub touched: f64,
    pub touched_again: f64,
    /// Blocks that came here; for drawn ones, draws.
    pub came: f64,
}

impl Answer {
    /// Nothing was asked.
    pub const NONE: Self =
        Self { total: 0.0, first_misses: 0.0, again_misses: 0.0, touched: 0.0, touched_again: 0.0, came: 0.0 };
}

impl Asked {
    /// What so many accesses ask the first level. `known`: blocks, or draws, that were asked for before.
    #[inline]
    pub fn of(reuse: &Reuse, accesses: f64, known: f64) -> Self {
        let touches = accesses / reuse.accesses_a_touch;
        match &reuse.order {
            Order::Cycle => {
                let first = touches.min(reuse.blocks);
                let unknown = first.min((reuse.blocks - known).max(0.0));
                Self { first, again: touches - first, unknown, limit: touches }
            }
            Order::Drawn(draws) => {
                let (known, touches_share) = (known / reuse.blocks, touches / reuse.blocks);
                let unknown = reuse.blocks * (draws.at(known + touches_share)[0] - draws.at(known)[0]);
                Self { first: touches, again: 0.0, unknown, limit: touches }
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
    pub fn drop(&mut self, lines: f64) {
        self.first = (self.first - lines).max(0.0);
        self.limit = (self.limit - lines).max(0.0);
    }
}

/// Draws, by the number of blocks, after which all blocks that matter have come.
const SETTLED: f64 = 60.0;

/// Blocks of others that are none.
const NONE: f64 = 1e-6;

/// The parts of what is touched at which a cycle is asked that others have come between.
const PARTS: [f64; 3] = [0.1, 0.5, 0.9];

/// A working set at a level of a cpu.
pub(super) struct Here<'a> {
    pub reuse: &'a Reuse,
    pub alone: &'a Alone,
    pub place: Place,
    pub sets: &'a Sets,
    /// Sets, as a number to divide by.
    pub count: f64,
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
    let &Here { reuse: &Reuse { blocks, .. }, alone, place, sets, count, recency } = here;
    let there = f64::from(place.there);
    if there < blocks || alone.misses != 0.0 || recency.is_gone(place.newest) {
        return false;
    }
    // No more lines came since than were touched: mostly that is enough to know.
    let own = there * alone.density;
    let since = recency.clock() - place.oldest;
    sets.has_room(own + since / count) || has_all_closely(here, own, first)
}

/// The same by the lines that were touched since, each once.
fn has_all_closely(here: &Here<'_>, own: f64, first: f64) -> bool {
    let &Here { place, sets, count, recency, .. } = here;
    let there = f64::from(place.there);
    let span = place.newest - place.oldest;
    let is_clear = |part: f64| {
        let others = recency.since(place.oldest + span * part) - there * (1.0 - part);
        others <= NONE || sets.is_clear(own, others / count)
    };
    if span <= there * 1.000_001 {
        return is_clear(0.0);
    }
    let part = first / there;
    PARTS.iter().all(|place| is_clear(place * part))
}

#[inline]
fn ask_cycle(here: &Here<'_>, asked: Asked, missing: Cause, by_cause: &mut ByCause) -> Answer {
    let &Here { reuse: &Reuse { blocks, .. }, alone, place, sets, count, recency } = here;
    let there = f64::from(place.there);
    let fresh = asked.first.min(blocks - there).max(0.0);
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
        let others = |part: f64| recency.since(place.oldest + span * part) - there * (1.0 - part);
        // Others came between the touches of this pass only where the last run was shorter than a pass.
        let mut between = [0.0; PARTS.len()];
        let (between, weight) = if span <= there * 1.000_001 {
            between[0] = others(0.0);
            (&between[..1], 1.0)
        } else {
            let part = old / there;
            between = PARTS.map(|place| others(place * part));
            (&between[..], 1.0 / 3.0)
        };
        let between = || between.iter().filter(|&&others| others > NONE).map(|others| others / count);
        for others in between() {
            ratio += ((sets.misses(own, others) / own).max(undisturbed) - undisturbed) * weight;
        }
        // What is gone matters where something misses.
        if ratio > undisturbed {
            for others in between() {
                gone += (kept - sets.kept(own, others) / own).max(0.0) * weight;
            }
        }
    }
    let too_many = old * (ratio - undisturbed);
    let replaced = too_many.min(old * gone);
    let again_misses = asked.again * alone.misses;
    let compulsory = asked.unknown.min(fresh);
    by_cause[Cause::Compulsory as usize] = compulsory;
    by_cause[missing as usize] += fresh - compulsory;
    by_cause[Cause::Capacity as usize] += old * undisturbed + again_misses;
    by_cause[Cause::Replaced as usize] += replaced;
    by_cause[Cause::Reordered as usize] += too_many - replaced;
    let first_misses = fresh + old * ratio;
    let total = first_misses + again_misses;
    Answer { total, first_misses, again_misses, touched: asked.first, touched_again: old, came: fresh }
}

#[inline]
fn ask_drawn(here: &Here<'_>, draws: &Draws, asked: Asked, missing: Cause, by_cause: &mut ByCause) -> Answer {
    let &Here { reuse: &Reuse { blocks, .. }, alone, place, sets, count, recency } = here;
    let n = asked.first / blocks;
    let there = f64::from(place.there) / blocks;
    let touched = draws.at(n)[0];
    // After so many passes what has never come does not count.
    let is_settled = there >= SETTLED;
    let before = if is_settled { 1.0 } else { draws.at(there)[0] };
    let fresh = if is_settled { 0.0 } else { draws.at(there + n)[0] - before };
    // The misses if what was touched up to `from` ago is there at first, and in the end up to `to` ago.
    let misses = |from: f64, to: f64| {
        let from = from.min(to);
        if n <= from {
            return n * draws.at(from)[1];
        }
        let first = from * draws.at(from)[1];
        let between = draws.at(n.min(to))[0] - draws.at(from)[0];
        let last = if n > to { (n - to) * draws.at(to)[1] } else { 0.0 };
        first + between + last
    };
    let undisturbed =
        if is_settled && alone.time.is_infinite() { 0.0 } else { misses(alone.time.min(there), alone.time).max(fresh) };
    let mut total = undisturbed;
    let mut replaced = 0.0;
    if there > 0.0 && recency.is_gone(place.newest) {
        total = if alone.time.is_infinite() { touched } else { misses(0.0, alone.time) }.max(undisturbed);
        replaced = total - undisturbed;
    } else if there > 0.0 {
        let own = blocks * alone.density;
        let time = |others: f64| {
            let kept = sets.kept(own, others / count);
            draws.time_of(kept / own)
        };
        let last = recency.since(place.newest);
        if last > 0.0 || place.newest - place.oldest > blocks {
            let mut survive = time(last);
            let span = place.newest - place.oldest;
            if span > blocks * 1.000_001 && survive > 0.0 {
                let own_since = blocks * draws.at(1.0)[0].min(before);
                let long = (recency.since(place.oldest) - own_since).max(last);
                // Others that came between earlier runs drive out what is older than these.
                for _ in 0..2 {
                    survive = time(last + (long - last) * survive.min(2.0));
                }
            }
            let survive = survive.min(there).min(alone.time);
            total = misses(survive, alone.time).max(undisturbed);
            let (gone, gone_alone) = (
                draws.at(survive + n)[0] - draws.at(survive)[0],
                draws.at(alone.time + n)[0] - draws.at(alone.time)[0],
            );
            replaced = (gone - gone_alone).max(0.0).min(total - undisturbed);
        }
    }
    // In blocks; no more than missed inside.
    let (fresh, undisturbed, total, replaced) =
        (fresh * blocks, undisturbed * blocks, total * blocks, replaced * blocks);
    let scale = if total > asked.limit { asked.limit / total } else { 1.0 };
    let compulsory = asked.unknown.min(fresh);
    by_cause[Cause::Compulsory as usize] = compulsory * scale;
    by_cause[missing as usize] += (fresh - compulsory) * scale;
    by_cause[Cause::Capacity as usize] += (undisturbed - fresh).max(0.0) * scale;
    by_cause[Cause::Replaced as usize] += replaced * scale;
    by_cause[Cause::Reordered as usize] += (total - undisturbed - replaced).max(0.0) * scale;
    let touched = (touched * blocks).min(asked.limit);
    Answer {
        total: total * scale,
        first_misses: asked.first,
        again_misses: 0.0,
        touched,
        touched_again: (touched - fresh).max(0.0),
        came: asked.first,
    }
}
