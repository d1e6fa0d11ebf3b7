//! One set, played under the machine's replacement policy: its thread goes over its lines, others over theirs, in turn.

use crate::base::Rng;
use crate::memory::config::ReplacementKind;
use crate::memory::geometry::Geometry;
use crate::memory::replacement::Replacement;
use crate::with_policy;

/// Own and others' lines that are played, as a multiple of the ways; with more, misses only go on rising as they do there.
const EXTENT: usize = 2;

/// Passes of a turn.
const PASSES: usize = 3;
const PASSES_OTHERS: usize = 2;

/// Turns until the play repeats itself, and turns that are counted.
const TURNS_BEFORE: usize = 3;
const TURNS: usize = 4;
const TURNS_DRAWN: usize = 32;

/// Orders in which all lines come first, where who came first stays.
const STARTS: usize = 16;

/// What was counted, for each number of own lines and of others'.
pub(super) struct Played {
    extent: usize,
    results: Vec<[f64; 2]>,
}

impl Played {
    /// Plays sets of `ways` ways.
    pub fn new(policy: ReplacementKind, ways: u32) -> Self {
        let extent = EXTENT * ways as usize + 2;
        let mut results = Vec::with_capacity((extent + 1) * (extent + 1));
        for own in 0..=extent {
            let alone = match policy {
                ReplacementKind::Lru => 0.0,
                _ => with_policy!(policy, ways, P => alone::<P>(own, ways, counted_turns(policy))),
            };
            for others in 0..=extent {
                results.push(match policy {
                    ReplacementKind::Lru => stack(own, others, ways as usize),
                    // There is room for all.
                    _ if own + others <= ways as usize => [0.0, own as f64],
                    _ => with_policy!(policy, ways, P => turns::<P>(own, others, ways, policy, alone)),
                });
            }
        }
        Self { extent, results }
    }

    /// Lines of a pass that miss after others touched theirs, and own lines that were still there when it began.
    pub fn at(&self, own: usize, others: usize) -> [f64; 2] {
        let beyond = own.saturating_sub(self.extent);
        let [misses, kept] = self.results[(own - beyond) * (self.extent + 1) + others.min(self.extent)];
        [misses + beyond as f64, kept]
    }
}

/// What the stack says: a line is there if fewer than `ways` others were touched since.
fn stack(own: usize, others: usize, ways: usize) -> [f64; 2] {
    let misses = if own + others > ways { own } else { 0 };
    [misses as f64, own.min(ways.saturating_sub(others)) as f64]
}

/// A set and the lines in its ways.
struct Set<P> {
    policy: P,
    lines: Vec<usize>,
    /// By line: its way.
    places: Vec<Option<usize>>,
    ways: usize,
}

impl<P: Replacement> Set<P> {
    /// An empty one, for so many lines.
    fn new(ways: u32, lines: usize) -> Self {
        let geometry = Geometry { set_bits: 0, ways, line_bits: 6 };
        let policy = P::new(geometry, Rng::stream(0, "footprint.play", u64::from(ways)));
        Self { policy, lines: Vec::new(), places: vec![None; lines], ways: ways as usize }
    }

    /// Uses a line. Returns whether it missed.
    fn misses(&mut self, line: usize) -> bool {
        if let Some(way) = self.places[line] {
            self.policy.touch(0, way);
            return false;
        }
        let way = if self.lines.len() < self.ways {
            self.lines.push(line);
            self.lines.len() - 1
        } else {
            let way = self.policy.victim(0);
            let victim = std::mem::replace(&mut self.lines[way], line);
            self.places[victim] = None;
            way
        };
        self.places[line] = Some(way);
        self.policy.fill(0, way);
        true
    }

    fn pass(&mut self, lines: impl IntoIterator<Item = usize>) -> usize {
        lines.into_iter().filter(|&line| self.misses(line)).count()
    }

    /// Empties it.
    fn clear(&mut self) {
        self.lines.clear();
        self.places.fill(None);
    }
}

/// Turns that are counted.
fn counted_turns(policy: ReplacementKind) -> usize {
    match policy {
        ReplacementKind::Random | ReplacementKind::Brrip | ReplacementKind::Drrip => TURNS_DRAWN,
        _ => TURNS,
    }
}

/// From how many starts it is played. Where most lines that come are the next to go, those stay that came first: whose they
/// are is drawn.
fn starts(policy: ReplacementKind) -> usize {
    match policy {
        ReplacementKind::Brrip => STARTS,
        _ => 1,
    }
}

/// Own turns and others' turns until they repeat themselves. What the passes of an undisturbed thread would miss is no part
/// of what later passes miss too many.
fn turns<P: Replacement>(own: usize, others: usize, ways: u32, policy: ReplacementKind, alone: f64) -> [f64; 2] {
    let starts = starts(policy);
    let counted = counted_turns(policy).div_ceil(starts);
    let mut set = Set::<P>::new(ways, own + others);
    let mut draws = Rng::stream(1, "footprint.play", 0);
    let mut order: Vec<_> = (0..own + others).collect();
    let (mut misses, mut kept) = (0, 0);
    for _ in 0..starts {
        if starts > 1 {
            set.clear();
            shuffle(&mut order, &mut draws);
            set.pass(order.iter().copied());
        }
        for turn in 0..TURNS_BEFORE + counted {
            let is_counted = turn >= TURNS_BEFORE;
            kept += set.lines.iter().filter(|&&line| line < own && is_counted).count();
            for _ in 0..PASSES {
                misses += set.pass(0..own) * usize::from(is_counted);
            }
            for _ in 0..PASSES_OTHERS {
                set.pass(own..own + others);
            }
        }
    }
    let counted = (counted * starts) as f64;
    let (misses, kept) = (misses as f64 / counted, kept as f64 / counted);
    let alone = if others == 0 || own == 0 { misses / PASSES as f64 } else { alone };
    [(misses - alone * (PASSES - 1) as f64).clamp(alone.min(own as f64), own as f64), kept]
}

/// Any order is as likely (Fisher & Yates).
fn shuffle(lines: &mut [usize], draws: &mut Rng) {
    for last in (1..lines.len()).rev() {
        let other = draws.below(u32::try_from(last + 1).expect("few lines")) as usize;
        lines.swap(last, other);
    }
}

/// Misses of a pass of a thread that is alone.
fn alone<P: Replacement>(own: usize, ways: u32, counted: usize) -> f64 {
    let mut set = Set::<P>::new(ways, own);
    for _ in 0..TURNS_BEFORE * PASSES {
        set.pass(0..own);
    }
    let misses: usize = (0..counted * PASSES).map(|_| set.pass(0..own)).sum();
    misses as f64 / (counted * PASSES) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn play_of_lru_is_its_stack() {
        for (own, others) in [(3, 0), (3, 1), (3, 2), (2, 4), (5, 0), (1, 3), (4, 3)] {
            type Lru = crate::memory::replacement::Lru;
            let alone = alone::<Lru>(own, 4, counted_turns(ReplacementKind::Lru));
            let played = turns::<Lru>(own, others, 4, ReplacementKind::Lru, alone);
            assert_eq!(played, stack(own, others, 4), "{own} {others}");
        }
    }

    #[test]
    fn no_policy_misses_more_than_all_lines_or_with_room_for_all() {
        use ReplacementKind::{BitPlru, Brrip, Drrip, Lip, Mru, Qlru, Random, Srrip, TreePlru};
        for policy in [BitPlru, Brrip, Drrip, Lip, Mru, Qlru, Random, Srrip, TreePlru] {
            let played = Played::new(policy, 4);
            for own in 0..12 {
                assert!((0..12).all(|others| played.at(own, others)[0] <= own as f64), "{policy} {own}");
            }
            assert_eq!(played.at(2, 2), [0.0, 2.0], "{policy}");
        }
    }

    #[test]
    fn where_lines_stay_that_came_first_anybodys_may() {
        let played = Played::new(ReplacementKind::Brrip, 8);
        let [_, kept] = played.at(8, 8);
        assert!((3.0..5.0).contains(&kept), "{kept}");
        let [misses, kept] = played.at(10, 0);
        assert!(kept > 6.0 && misses < 4.0, "{misses} {kept}");
    }
}
