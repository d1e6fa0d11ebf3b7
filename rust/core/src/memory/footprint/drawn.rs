//! One cache or TLB asked for drawn blocks: those are there whose last touch is recent enough; see [`Draws`].

use super::ask::{Answer, Asked, Change, Here};
use super::cost::ByCause;
use super::draws::Draws;
use super::level::Reuse;
use super::number::{greater, lesser};
use crate::memory::causes::Cause;

/// Draws, by the number of blocks, after which all blocks that matter have come.
const SETTLED: f64 = 60.0;

/// So many draws, by the number of blocks, with the share of blocks that they touch and the odds that one more finds a block
/// that none of them touched.
struct Span {
    time: f64,
    touched: f64,
    untouched: f64,
}

impl Span {
    #[inline]
    fn of(draws: &Draws, time: f64) -> Self {
        let [touched, untouched] = draws.at(time);
        Self { time, touched, untouched }
    }

    /// The shorter of two.
    #[inline]
    fn or_shorter<'a>(&'a self, other: &'a Self) -> &'a Self {
        if self.time <= other.time { self } else { other }
    }

    /// The misses of draws if what was touched up to `self` ago is there at first, and in the end up to `long` ago.
    #[inline]
    fn misses(&self, draws: &Self, long: &Self) -> f64 {
        let from = self.or_shorter(long);
        if draws.time <= from.time {
            return draws.time * from.untouched;
        }
        let first = from.time * from.untouched;
        let between = draws.or_shorter(long).touched - from.touched;
        let last = if draws.time > long.time { (draws.time - long.time) * long.untouched } else { 0.0 };
        first + between + last
    }
}

/// Misses of drawn blocks, by the number of blocks.
struct Missed {
    /// Of an undisturbed thread, and of them those of blocks that never came.
    undisturbed: f64,
    fresh: f64,
    total: f64,
    /// Of those that others have caused, the ones of blocks that they drove out.
    replaced: f64,
}

/// Asks a level for drawn blocks.
#[inline]
pub(super) fn ask_drawn(
    here: &Here<'_>,
    draws: &Draws,
    asked: Asked,
    missing: Cause,
    by_cause: &mut ByCause,
) -> Answer {
    let blocks = here.reuse.blocks;
    let missed = missed(here, draws, &asked);
    // In blocks; no more than missed inside.
    let (fresh, undisturbed) = (missed.fresh * blocks, missed.undisturbed * blocks);
    let (total, replaced) = (missed.total * blocks, missed.replaced * blocks);
    let scale = if total > asked.limit { asked.limit / total } else { 1.0 };
    let compulsory = lesser(asked.unknown, fresh);
    by_cause[Cause::Compulsory as usize] = compulsory * scale;
    by_cause[missing as usize] += (fresh - compulsory) * scale;
    by_cause[Cause::Capacity as usize] += greater(undisturbed - fresh, 0.0) * scale;
    by_cause[Cause::Replaced as usize] += replaced * scale;
    by_cause[Cause::Reordered as usize] += greater(total - undisturbed - replaced, 0.0) * scale;
    let touched = lesser(asked.touched * blocks, asked.limit);
    let change = Change { touched, touched_again: greater(touched - fresh, 0.0), came: asked.first };
    Answer { total: total * scale, first_misses: asked.first, again_misses: 0.0, change }
}

/// The misses of a level that is asked for drawn blocks.
#[inline]
fn missed(here: &Here<'_>, draws: &Draws, asked: &Asked) -> Missed {
    let &Here { reuse: &Reuse { blocks, .. }, alone, place, recency, .. } = here;
    let run = Span { time: asked.passes, touched: asked.touched, untouched: 0.0 };
    let long = Span { time: alone.time, touched: alone.touched, untouched: alone.misses };
    let there = Span::of(draws, f64::from(place.there) / blocks);
    // After so many passes what has never come does not count.
    let is_settled = there.time >= SETTLED;
    let before = if is_settled { 1.0 } else { there.touched };
    let fresh = if is_settled { 0.0 } else { draws.at(there.time + run.time)[0] - before };
    let fits = long.time.is_infinite();
    let undisturbed = if is_settled && fits { 0.0 } else { greater(there.misses(&run, &long), fresh) };
    let nothing_more = Missed { undisturbed, fresh, total: undisturbed, replaced: 0.0 };
    if there.time <= 0.0 {
        return nothing_more;
    }
    if recency.is_gone(place.newest) {
        let total = if fits { run.touched } else { Span::of(draws, 0.0).misses(&run, &long) };
        let total = greater(total, undisturbed);
        return Missed { total, replaced: total - undisturbed, ..nothing_more };
    }
    let Some(survive) = survive(here, draws, before) else { return nothing_more };
    let lasts = there.or_shorter(&long);
    if survive >= lasts.time && !(is_settled && fits) {
        return nothing_more;
    }
    let survive = if survive < lasts.time { &Span::of(draws, survive) } else { lasts };
    let total = greater(survive.misses(&run, &long), undisturbed);
    let gone = draws.at(survive.time + run.time)[0] - survive.touched;
    let gone_alone = draws.at(long.time + run.time)[0] - long.touched;
    Missed { total, replaced: lesser(greater(gone - gone_alone, 0.0), total - undisturbed), ..nothing_more }
}

/// Up to how long ago drawn blocks were touched that others have left, who came since; `before`: the share of blocks that
/// were ever touched. Nothing if no others came.
#[inline]
fn survive(here: &Here<'_>, draws: &Draws, before: f64) -> Option<f64> {
    let &Here { reuse: &Reuse { blocks, .. }, alone, place, level, recency } = here;
    let own = blocks * alone.density;
    let time = |others: f64| draws.time_of(level.sets.kept(own, level.a_set(others)) / own);
    let last = recency.since(place.newest, place.run);
    let span = place.newest - place.oldest;
    if last <= 0.0 && span <= blocks {
        return None;
    }
    let mut survive = time(last);
    if span > blocks * 1.000_001 && survive > 0.0 {
        let own_since = blocks * lesser(draws.in_a_pass(), before);
        let long = greater(recency.since(place.oldest, place.run) - own_since, last);
        // Others that came between earlier runs drive out what is older than these.
        let after = |survive: f64| time(last + (long - last) * lesser(survive, 2.0));
        let (first, again) = (survive, after(survive));
        survive = if lesser(again, 2.0) == lesser(first, 2.0) { again } else { after(again) };
    }
    Some(survive)
}
