//! In which order lines were touched at one cache or TLB: the stack of Mattson et al. (IBM Systems Journal 1970), by runs.
//!
//! Time is a count of lines touched. The lines that were touched since a moment, each once, are a sum over what was run since
//! then. The last runs are told apart, since most lines are touched again soon; those before them are joined, about as
//! many lines at a time. What lies behind more lines than `reach` has left any cache and is dropped.

/// Runs that there is room for, and how many at most are left when it was used up.
const ROOM: usize = 48;
const LEFT: usize = 32;

/// Runs that are never joined.
const YOUNG: usize = 8;

/// Joined runs that what a cache holds is cut into.
const GRAINS: f64 = 8.0;

/// Runs that a search passes over at a time.
const STRIDE: usize = 8;

/// Lines that are none.
const SPECK: f64 = 1e-6;

/// Lines by the time of their last touch.
#[derive(Clone, Debug)]
pub(super) struct Recency {
    /// Lines touched so far.
    clock: f64,
    /// What was touched before is gone.
    start: f64,
    /// Most lines of joined runs.
    grain: f64,
    /// Most lines of runs that are joined at once.
    at_once: f64,
    reach: f64,
    /// Lines that were touched again and are still counted where they were before.
    owed: f64,
    count: usize,
    // The runs, the oldest first: between which moments lines were touched, and how many of them not since.
    begins: [f64; ROOM],
    ends: [f64; ROOM],
    lines: [f64; ROOM],
}

impl Recency {
    /// For a cache of so many lines; nothing was touched. Lines behind `reach` others need not be told apart. Runs of
    /// cpus that share it, which happen at the same time, are joined at once.
    pub fn new(capacity: f64, reach: f64, is_shared: bool) -> Self {
        let grain = capacity / GRAINS;
        Self {
            clock: 0.0,
            start: 0.0,
            grain,
            at_once: if is_shared { grain } else { 0.0 },
            reach,
            owed: 0.0,
            count: 0,
            begins: [0.0; ROOM],
            ends: [0.0; ROOM],
            lines: [0.0; ROOM],
        }
    }

    /// The time, in lines touched.
    #[inline]
    pub fn clock(&self) -> f64 {
        self.clock
    }

    /// Whether what was touched last at `mark` is gone.
    #[inline]
    pub fn is_gone(&self, mark: f64) -> bool {
        mark < self.start
    }

    /// The last run: where a search for a moment that is now begins later on.
    #[inline]
    pub fn last(&self) -> u16 {
        #[allow(clippy::cast_possible_truncation, reason = "few runs")]
        let last = self.count.saturating_sub(1) as u16;
        last
    }

    /// Lines touched since `mark`, each counted once. Infinite if what was touched then is gone. The search for `mark` begins
    /// at the run `near`: it is short if that was the last one when `mark` was now.
    #[inline(always)]
    pub fn since(&self, mark: f64, near: u16) -> f64 {
        if mark < self.start {
            return f64::INFINITY;
        }
        match self.find(near.into(), |begin| begin <= mark) {
            Some(run) => self.between(run, mark, self.clock) + sum(&self.lines[run + 1..self.count]),
            None => sum(&self.lines[..self.count]),
        }
    }

    /// The same for some moments: as a rule they lie in one run.
    #[inline]
    pub fn since_each<const N: usize>(&self, marks: [f64; N], near: u16) -> [f64; N] {
        let (mut last, mut later) = (usize::MAX, 0.0);
        marks.map(|mark| {
            let from = if last == usize::MAX { near.into() } else { last };
            match self.find(from, |begin| begin <= mark) {
                Some(run) if mark >= self.start => {
                    if run != last {
                        (last, later) = (run, sum(&self.lines[run + 1..self.count]));
                    }
                    self.between(run, mark, self.clock) + later
                }
                _ => self.since(mark, near),
            }
        })
    }

    /// Takes out so many of the lines whose last touch was between `from` and `to`, since they are touched again. The search
    /// begins at the run `near`, as that of [`since`](Self::since) does.
    #[inline]
    pub fn take(&mut self, from: f64, to: f64, lines: f64, near: u16) {
        match self.find(near.into(), |begin| begin < to) {
            // As a rule they are of one run.
            Some(run) if self.begins[run] <= from + SPECK => self.lose(run, lines),
            Some(run) => self.take_from_many(run, from, to, lines),
            None => {}
        }
    }

    /// The last run that begins early enough; those before it do as well.
    #[inline(always)]
    fn find(&self, near: usize, is_early: impl Fn(f64) -> bool) -> Option<usize> {
        let begins = &self.begins[..self.count];
        let last = self.count.checked_sub(1)?;
        let run = near.min(last);
        match is_early(begins[run]) {
            true if run == last || !is_early(begins[run + 1]) => Some(run),
            true => last_of(begins, is_early),
            false => last_of(&begins[..run], is_early),
        }
    }

    /// Of each run up to `last` its share in that stretch.
    #[inline(never)]
    fn take_from_many(&mut self, last: usize, from: f64, to: f64, lines: f64) {
        if from < self.start {
            // Most of them are gone, and the others may be anywhere.
            self.owed += lines * ((to - self.start) / (to - from)).max(0.0);
            return;
        }
        let first = last_of(&self.ends[..last], |end| end <= from).map_or(0, |before| before + 1);
        let at_first = self.between(first, from, to);
        let at_last = if last > first { self.between(last, from, to) } else { 0.0 };
        let whole = first + 1..last.max(first + 1);
        let inside = at_first + sum(&self.lines[whole.clone()]) + at_last;
        let share = if lines < inside { lines / inside } else { 1.0 };
        self.lose(first, at_first * share);
        self.lose(last, at_last * share);
        let left = 1.0 - share;
        self.lines[whole].iter_mut().for_each(|lines| *lines *= left);
    }

    /// Lines are touched: new ones, or such as were taken out before.
    #[inline]
    pub fn touch(&mut self, lines: f64) {
        let begin = self.clock;
        self.clock += lines;
        if let Some(last) = self.count.checked_sub(1)
            && self.lines[last] + lines <= self.at_once
        {
            self.lines[last] += lines;
            self.ends[last] = self.clock;
            return;
        }
        if self.count == ROOM {
            self.make_room();
        }
        self.begins[self.count] = begin;
        self.ends[self.count] = self.clock;
        self.lines[self.count] = lines;
        self.count += 1;
    }

    /// Everything is gone.
    pub fn clear(&mut self) {
        // A moment passes, so that marks of now are gone as well.
        self.clock += 1.0;
        self.start = self.clock;
        self.owed = 0.0;
        self.count = 0;
    }

    /// Lines of a run that were touched between two moments.
    #[inline]
    fn between(&self, run: usize, from: f64, to: f64) -> f64 {
        let (begin, end, lines) = (self.begins[run], self.ends[run], self.lines[run]);
        if begin >= from && end <= to {
            return lines;
        }
        let overlap = if end < to { end } else { to } - if begin > from { begin } else { from };
        if overlap > 0.0 { lines * (overlap / (end - begin)) } else { 0.0 }
    }

    #[inline]
    fn lose(&mut self, run: usize, lines: f64) {
        let left = self.lines[run] - lines;
        self.lines[run] = if left > SPECK { left } else { 0.0 };
    }

    /// Drops runs of which nothing is left and those out of reach, and joins the older ones.
    #[inline(never)]
    fn make_room(&mut self) {
        let mut behind = sum(&self.lines);
        if self.owed > 0.0 {
            let left = (1.0 - self.owed / behind).max(0.0);
            self.lines.iter_mut().for_each(|lines| *lines *= left);
            (behind, self.owed) = (behind * left, 0.0);
        }
        let mut first = 0;
        while behind - self.lines[first] > self.reach {
            behind -= self.lines[first];
            self.start = self.ends[first];
            self.lines[first] = 0.0;
            first += 1;
        }
        let mut grain = self.grain;
        self.join(grain);
        while self.count > LEFT {
            grain *= 1.5;
            self.join(grain);
        }
    }

    /// Joins neighbours that have no more than so many lines together, but for the youngest.
    fn join(&mut self, grain: f64) {
        let runs = self.count.min(ROOM);
        let old = runs.saturating_sub(YOUNG);
        let (mut count, mut before) = (0, f64::INFINITY);
        for run in 0..runs {
            let lines = self.lines[run];
            if lines <= SPECK {
                continue;
            }
            if run < old && before + lines <= grain {
                before += lines;
            } else {
                self.begins[count] = self.begins[run];
                before = lines;
                count += 1;
            }
            self.ends[count - 1] = self.ends[run];
            self.lines[count - 1] = before;
        }
        self.count = count;
    }
}

/// The last of moments in order that is early enough, sought from the end.
#[inline(never)]
fn last_of(moments: &[f64], is_early: impl Fn(f64) -> bool) -> Option<usize> {
    let mut end = moments.len();
    while end > STRIDE && !is_early(moments[end - STRIDE]) {
        end -= STRIDE;
    }
    moments[..end].iter().rposition(|&moment| is_early(moment))
}

/// A sum, four at a time.
#[inline]
fn sum(lines: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let fours = lines.chunks_exact(4);
    let rest: f64 = fours.remainder().iter().sum();
    for four in fours {
        for (sum, lines) in sums.iter_mut().zip(four) {
            *sum += lines;
        }
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_touched_again_count_once() {
        let mut recency = Recency::new(64.0, 192.0, false);
        recency.touch(10.0);
        let mark = recency.clock();
        recency.touch(20.0);
        let (from, to) = (mark, recency.clock());
        recency.touch(5.0);
        assert_eq!(recency.since(mark, 0), 25.0);
        recency.take(from, to, 20.0, 0);
        recency.touch(20.0);
        assert_eq!(recency.since(mark, 0), 25.0);
    }

    #[test]
    fn what_lies_behind_more_lines_than_the_reach_is_gone() {
        let mut recency = Recency::new(64.0, 192.0, false);
        recency.touch(1.0);
        let mark = recency.clock();
        for _ in 0..1000 {
            recency.touch(3.0);
        }
        assert!(recency.since(mark, 0).is_infinite());
        assert!(recency.since(recency.clock() - 30.0, 0) >= 29.0);
    }

    #[test]
    fn two_that_alternate_do_not_drive_out_a_third() {
        let mut recency = Recency::new(64.0, 192.0, false);
        recency.touch(10.0);
        let mark = recency.clock();
        let mut starts = [None; 2];
        for round in 0..10_000 {
            let (from, start) = (starts[round % 2], recency.clock());
            if let Some(from) = from {
                recency.take(from, from + 12.0, 12.0, 0);
            }
            recency.touch(12.0);
            starts[round % 2] = Some(start);
        }
        assert!((recency.since(mark, 0) - 24.0).abs() < 3.0, "{}", recency.since(mark, 0));
    }

    #[test]
    fn the_last_runs_are_told_apart() {
        let mut recency = Recency::new(64.0, 192.0, false);
        let marks = [3.0, 20.0, 1.0, 7.0].map(|lines| {
            recency.touch(lines);
            recency.clock()
        });
        assert_eq!(marks.map(|mark| recency.since(mark, 0)), [28.0, 8.0, 7.0, 0.0]);
        // The second run again: those before it are one place further, those after it count no line twice.
        recency.take(3.0, 23.0, 20.0, 0);
        recency.touch(20.0);
        assert_eq!(marks.map(|mark| recency.since(mark, 0)), [28.0, 28.0, 27.0, 20.0]);
        assert_eq!(recency.since(27.5, 0), 23.5);
    }

    #[test]
    fn runs_of_cpus_that_share_a_cache_are_joined() {
        let mut recency = Recency::new(64.0, 192.0, true);
        for lines in [2.0, 4.0, 2.0, 1.0] {
            recency.touch(lines);
        }
        // An eighth of the cache is one run: which of its lines came first is not told.
        recency.take(2.0, 6.0, 4.0, 0);
        assert_eq!((recency.since(0.0, 0), recency.since(4.0, 0), recency.since(8.0, 0)), (5.0, 3.0, 1.0));
    }

    #[test]
    fn runs_in_a_stretch_lose_in_proportion_to_their_lines() {
        let mut recency = Recency::new(64.0, 192.0, false);
        for lines in [10.0, 30.0, 10.0] {
            recency.touch(lines);
        }
        recency.take(5.0, 45.0, 10.0, 0);
        let left = [5.0, 5.0 * 0.75, 30.0 * 0.75, 5.0 * 0.75, 5.0];
        for (mark, place) in [(0.0, 0), (5.0, 1), (10.0, 2), (40.0, 3)] {
            let expected: f64 = left[place..].iter().sum();
            assert!((recency.since(mark, 0) - expected).abs() < 1.5, "{mark}: {} {expected}", recency.since(mark, 0));
        }
        let sum: f64 = left.iter().sum();
        assert!((recency.since(0.0, 0) - sum).abs() < 1e-9);
    }

    #[test]
    fn what_may_be_anywhere_is_taken_from_all() {
        let mut recency = Recency::new(64.0, 192.0, false);
        for _ in 0..1000 {
            recency.touch(3.0);
        }
        // A tenth of what there is, of lines that were touched up to now since long ago.
        let now = recency.clock();
        let (from, there) = (now - 1920.0, 192.0);
        for _ in 0..500 {
            recency.take(from, now, there / 10.0, 0);
        }
        for _ in 0..60 {
            recency.touch(1.0);
        }
        assert!(recency.since(now, 0) <= 60.0 && recency.since(now - 1.0, 0) < 61.5, "{}", recency.since(now - 1.0, 0));
    }

    #[test]
    fn where_a_search_begins_changes_no_answer() {
        let mut recency = Recency::new(64.0, 192.0, false);
        let mut marks = Vec::new();
        for turn in 0..500 {
            recency.touch(f64::from(turn * 7 % 11) / 3.0);
            marks.push(recency.clock());
            let old = &marks[marks.len().saturating_sub(60)..];
            if let [from, .., to] = old[..old.len() / 2] {
                let near = [0, recency.last(), u16::MAX].map(|near| {
                    let mut other = recency.clone();
                    other.take(from, to, 2.0, near);
                    format!("{other:?}")
                });
                assert!(near[0] == near[1] && near[1] == near[2], "{turn}");
                recency.take(from, to, 2.0, 0);
            }
            for window in old.windows(3) {
                let expected = [0, 1, 2].map(|mark| recency.since(window[mark], u16::MAX));
                for near in [0, u16::try_from(turn % 48).unwrap(), recency.last()] {
                    assert_eq!([0, 1, 2].map(|mark| recency.since(window[mark], near)), expected);
                    assert_eq!(recency.since_each([window[0], window[1], window[2]], near), expected);
                }
            }
        }
    }

    #[test]
    fn clearing_forgets_all() {
        let mut recency = Recency::new(64.0, 192.0, false);
        recency.touch(10.0);
        let mark = recency.clock();
        recency.clear();
        assert!(recency.since(mark, 0).is_infinite());
        assert_eq!(recency.since(recency.clock(), 0), 0.0);
    }
}
