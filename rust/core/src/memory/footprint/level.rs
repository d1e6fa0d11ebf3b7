//! One cache or TLB asked for blocks of a working set: how many are there, and what it remembers afterwards.
//!
//! A block is there if fewer other blocks than fit were touched since its own last touch. In a cycle the next block is the
//! one touched longest ago, so a pass meets the blocks of others that were touched since its last one. Of drawn blocks
//! those survive whose last touch is recent enough; see [`Draws`].

use super::cost::{ByCause, Cause};
use super::draws::Draws;
use super::profile::Order;
use super::recency::Recency;
use super::sets::Sets;

/// No cpu.
pub(super) const NOWHERE: u16 = u16::MAX;

/// A cache or TLB of the machine, as the model sees it.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// Sets, as a number to divide by.
    pub count: f64,
    /// The place of its [`Sets`].
    pub sets: usize,
    /// From hit to use.
    pub latency: f64,
    pub is_shared: bool,
    /// The place of the [`Recency`] of the first cpu.
    pub first: usize,
}

/// A working set at a level.
#[derive(Clone, Debug)]
pub(super) struct Reuse {
    pub blocks: f64,
    pub accesses_a_touch: f64,
    pub order: Order,
    /// For each level: what a thread finds there that is alone.
    pub alone: Vec<Alone>,
}

impl Reuse {
    pub fn order_is_drawn(&self) -> bool {
        matches!(self.order, Order::Drawn(_))
    }

    /// Blocks that a level holds, the `place`-th of all.
    pub fn held(&self, there: &Place, sets: &Sets, level: &Level, place: usize, recency: &Recency) -> f64 {
        let blocks = match &self.order {
            Order::Cycle => f64::from(there.there),
            Order::Drawn(draws) => self.blocks * draws.at(f64::from(there.there) / self.blocks)[0],
        };
        let density = self.alone[place].density;
        sets.kept(blocks * density, recency.since(there.newest) / level.count) / density
    }

    /// Takes a share of the blocks away.
    pub fn lose(&self, place: &mut Place, share: f64) {
        let there = f64::from(place.there);
        let left = match &self.order {
            Order::Cycle => there * (1.0 - share),
            Order::Drawn(draws) => {
                let touched = draws.at(there / self.blocks)[0];
                draws.time_of(touched * (1.0 - share)).min(there / self.blocks) * self.blocks
            }
        };
        #[allow(clippy::cast_possible_truncation, reason = "24 bits of a number of blocks are enough")]
        let left = left as f32;
        place.there = left;
    }
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

impl Answer {
    /// Different blocks touched.
    pub fn touched(&self) -> f64 {
        self.touched
    }

    pub fn has_touched(&self) -> bool {
        self.touched > 0.0
    }
}

/// Alone on the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alone {
    /// Own blocks a set for one block of the working set.
    pub density: f64,
    /// Blocks of a pass that miss, by all of them.
    pub misses: f64,
    /// For drawn blocks: the touches until one that is not used leaves, by blocks.
    pub time: f64,
}

/// What a level remembers of a working set: 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// The clock of the level when the block was touched that was touched longest ago; for drawn blocks, some as many
    /// touches ago as there are blocks.
    pub oldest: f64,
    /// The clock after the last run.
    pub newest: f64,
    /// Blocks that have come here; for drawn ones, draws.
    pub there: f32,
    /// Where, for a level that is not shared.
    pub cpu: u16,
}

impl Place {
    pub const EMPTY: Self = Self { oldest: 0.0, newest: 0.0, there: 0.0, cpu: NOWHERE };
}

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
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    pub misses: ByCause,
    pub total: f64,
    /// What the next level is asked for, in the terms of [`Asked`].
    pub first_misses: f64,
    pub again_misses: f64,
    /// Different blocks touched, and those of them that had been here before.
    touched: f64,
    touched_again: f64,
    fresh: f64,
}

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

/// Asks a level. `missing` is why blocks are not here that are known.
#[inline]
pub(super) fn ask(here: &Here<'_>, asked: Asked, missing: Cause) -> Answer {
    match &here.reuse.order {
        Order::Cycle => ask_cycle(here, asked, missing),
        Order::Drawn(draws) => ask_drawn(here, draws, asked, missing),
    }
}

#[inline]
fn ask_cycle(here: &Here<'_>, asked: Asked, missing: Cause) -> Answer {
    let &Here { reuse: &Reuse { blocks, .. }, alone, place, sets, count, recency } = here;
    let there = f64::from(place.there);
    let fresh = asked.first.min(blocks - there).max(0.0);
    let old = asked.first - fresh;
    let own = (there + fresh) * alone.density;
    let [mut ratio, mut evicted] = [0.0; 2];
    let undisturbed = if fresh > 0.0 && own > 0.0 { sets.misses(own, 0.0) / own } else { alone.misses };
    if old > 0.0 {
        let span = place.newest - place.oldest;
        let at = |part: f64| {
            let mark = place.oldest + span * part;
            let others = (recency.since(mark) - there * (1.0 - part)).max(0.0) / count;
            let misses = sets.misses(own, others);
            let gone = sets.kept(own, 0.0) - sets.kept(own, others);
            [misses / own, gone / own]
        };
        // Others came between the touches of this pass only where the last run was shorter than a pass.
        let is_whole = span <= there * 1.000_001;
        let parts: &[f64] = if is_whole { &[0.0] } else { &[0.05, 0.5, 0.95] };
        for part in parts {
            let [one_ratio, one_evicted] = at(part * old / there);
            ratio += one_ratio;
            evicted += one_evicted;
        }
        ratio /= parts.len() as f64;
        evicted /= parts.len() as f64;
    }
    let ratio = ratio.max(undisturbed);
    let too_many = old * (ratio - undisturbed);
    let replaced = too_many.min(old * evicted);
    let again = asked.again * alone.misses;
    let compulsory = asked.unknown.min(fresh);
    let mut misses = ByCause::default();
    misses[Cause::Compulsory as usize] = compulsory;
    misses[missing as usize] += fresh - compulsory;
    misses[Cause::Capacity as usize] += old * undisturbed + again;
    misses[Cause::Replaced as usize] += replaced;
    misses[Cause::Reordered as usize] += too_many - replaced;
    let first_misses = fresh + old * ratio;
    Answer {
        misses,
        total: first_misses + again,
        first_misses,
        again_misses: again,
        touched: asked.first,
        touched_again: old,
        fresh,
    }
}

#[inline]
fn ask_drawn(here: &Here<'_>, draws: &Draws, asked: Asked, missing: Cause) -> Answer {
    let &Here { reuse: &Reuse { blocks, .. }, alone, place, sets, count, recency } = here;
    let n = asked.first / blocks;
    let there = f64::from(place.there) / blocks;
    let touched = draws.at(n)[0];
    let before = draws.at(there)[0];
    let fresh = draws.at(there + n)[0] - before;
    // The misses if what was touched up to `from` ago is there at first, and in the end up to `to` ago.
    let misses = |from: f64, to: f64| {
        let from = from.min(to);
        let first = if from < n { from * draws.at(from)[1] } else { n * draws.at(from)[1] };
        let between = draws.at(n.min(to))[0] - draws.at(n.min(from))[0];
        let last = if n > to { (n - to) * draws.at(to)[1] } else { 0.0 };
        first + between + last
    };
    let undisturbed = misses(alone.time.min(there), alone.time).max(fresh);
    let mut total = undisturbed;
    let mut replaced = 0.0;
    if there > 0.0 {
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
    let mut by_cause = ByCause::default();
    by_cause[Cause::Compulsory as usize] = compulsory * scale;
    by_cause[missing as usize] += (fresh - compulsory) * scale;
    by_cause[Cause::Capacity as usize] += (undisturbed - fresh).max(0.0) * scale;
    by_cause[Cause::Replaced as usize] += replaced * scale;
    by_cause[Cause::Reordered as usize] += (total - undisturbed - replaced).max(0.0) * scale;
    let touched = (touched * blocks).min(asked.limit);
    Answer {
        misses: by_cause,
        total: total * scale,
        first_misses: asked.first,
        again_misses: 0.0,
        touched,
        touched_again: (touched - fresh).max(0.0),
        fresh: asked.first,
    }
}

/// Puts down what an answer changes.
#[inline]
pub(super) fn settle(answer: &Answer, reuse: &Reuse, place: &mut Place, recency: &mut Recency) {
    let blocks = reuse.blocks;
    if answer.touched <= 0.0 {
        return;
    }
    let span = place.newest - place.oldest;
    let was_empty = place.there <= 0.0;
    let is_drawn = matches!(reuse.order, Order::Drawn(_));
    let part = match is_drawn {
        true => 1.0,
        false => answer.touched_again / f64::from(place.there).max(1e-9),
    };
    if answer.touched_again > 0.0 {
        recency.take(place.oldest, place.oldest + span * part, answer.touched_again);
    }
    let before = recency.clock();
    recency.touch(answer.touched);
    let now = recency.clock();
    let there = f64::from(place.there) + answer.fresh;
    #[allow(clippy::cast_possible_truncation, reason = "24 bits of a number of blocks are enough")]
    let there = if is_drawn { there.min(64.0 * blocks) } else { there.min(blocks) } as f32;
    if was_empty {
        place.oldest = before;
    } else if is_drawn {
        // `fresh` is the number of draws.
        let passes = answer.fresh / blocks;
        place.oldest = if passes >= 1.0 { before } else { place.oldest + span * passes };
    } else if answer.touched >= blocks * 0.999_999 {
        place.oldest = now - blocks;
    } else {
        place.oldest += span * part;
    }
    place.newest = now;
    place.there = there;
}
