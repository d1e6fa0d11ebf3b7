//! A cache or TLB, a working set at it, and what it remembers of one.

use super::ask::Change;
use super::number::lesser;
use super::profile::Order;
use super::recency::Recency;
use super::sets::{Sets, Shape};
use std::sync::Arc;

/// No cpu.
pub(super) const NOWHERE: u16 = u16::MAX;

/// A cache or TLB of the machine, as the model sees it.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// Sets, as a number to divide by.
    pub count: f64,
    /// What to multiply by instead, where that is the same: for powers of two.
    inverse: Option<f64>,
    pub sets: Arc<Sets>,
    /// From hit to use.
    pub latency: f64,
    pub is_shared: bool,
    /// The place of the [`Recency`] of the first cpu.
    pub first: usize,
}

impl Level {
    /// So many sets of a shape.
    pub fn new(count: f64, shape: Shape, latency: f64, is_shared: bool, first: usize) -> Self {
        let inverse = Some(1.0 / count).filter(|_| libm::frexp(count).0 == 0.5);
        Self { count, inverse, sets: Sets::of(shape), latency, is_shared, first }
    }

    /// Lines by the number of sets.
    #[inline]
    pub fn a_set(&self, lines: f64) -> f64 {
        match self.inverse {
            Some(inverse) => lines * inverse,
            None => lines / self.count,
        }
    }
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
    pub fn held(&self, there: &Place, level: &Level, place: usize, recency: &Recency) -> f64 {
        let blocks = match &self.order {
            Order::Cycle => f64::from(there.there),
            Order::Drawn(draws) => self.blocks * draws.at(f64::from(there.there) / self.blocks)[0],
        };
        let density = self.alone[place].density;
        level.sets.kept(blocks * density, level.a_set(recency.since(there.newest, there.run))) / density
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

/// Alone on the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alone {
    /// Own blocks a set for one block of the working set.
    pub density: f64,
    /// Blocks of a pass that miss, and blocks that are kept, by all of them.
    pub misses: f64,
    pub kept: f64,
    /// For drawn blocks: the touches until one that is not used leaves, by blocks, and the share of blocks that is touched
    /// meanwhile.
    pub time: f64,
    pub touched: f64,
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
    /// Near which run of the [`Recency`] these moments are.
    pub run: u16,
}

impl Place {
    pub const EMPTY: Self = Self { oldest: 0.0, newest: 0.0, there: 0.0, cpu: NOWHERE, run: u16::MAX };
}

/// Puts down a change.
#[inline]
pub(super) fn settle(change: &Change, reuse: &Reuse, place: &mut Place, recency: &mut Recency) {
    let blocks = reuse.blocks;
    if change.touched <= 0.0 {
        return;
    }
    let was_empty = place.there <= 0.0;
    let is_drawn = reuse.order_is_drawn();
    if !is_drawn && change.came == 0.0 && !was_empty {
        settle_hits(change.touched, blocks, place, recency);
        return;
    }
    let to = match is_drawn {
        true => place.newest,
        false => place.until(change.touched_again),
    };
    if change.touched_again > 0.0 {
        recency.take(place.oldest, to, change.touched_again, place.run);
    }
    let before = recency.clock();
    recency.touch(change.touched);
    let now = recency.clock();
    let there = f64::from(place.there) + change.came;
    #[allow(clippy::cast_possible_truncation, reason = "24 bits of a number of blocks are enough")]
    let there = if is_drawn { lesser(there, 64.0 * blocks) } else { lesser(there, blocks) } as f32;
    if was_empty {
        place.oldest = before;
    } else if is_drawn {
        // `came` is the number of draws.
        let passes = change.came / blocks;
        place.oldest = if passes >= 1.0 { before } else { place.oldest + (place.newest - place.oldest) * passes };
    } else {
        place.oldest = oldest_after(change.touched, blocks, to, now);
    }
    (place.newest, place.run) = (now, recency.last());
    place.there = there;
}

/// Puts down that so many blocks of a cycle were touched again, and no new ones.
#[inline]
pub(super) fn settle_hits(touched: f64, blocks: f64, place: &mut Place, recency: &mut Recency) {
    let to = place.until(touched);
    recency.take(place.oldest, to, touched, place.run);
    recency.touch(touched);
    (place.newest, place.run) = (recency.clock(), recency.last());
    place.oldest = oldest_after(touched, blocks, to, place.newest);
}

/// When the block of a cycle was touched that was touched longest ago, after those up to a moment were touched again.
#[inline]
fn oldest_after(touched: f64, blocks: f64, until: f64, now: f64) -> f64 {
    if touched >= blocks * 0.999_999 { now - blocks } else { until }
}

impl Place {
    /// Up to when blocks of a cycle were touched that are touched again, so many of them.
    #[inline]
    fn until(&self, again: f64) -> f64 {
        let there = f64::from(self.there);
        if again >= there { self.newest } else { self.oldest + (self.newest - self.oldest) * (again / there) }
    }
}
