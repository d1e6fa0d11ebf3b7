//! In which order lines were touched at one cache or TLB, by groups: the stack of Mattson et al. (IBM Systems Journal
//! 1970), a bounded number of buckets deep.
//!
//! Time is a count of lines touched. A bucket holds how many lines were touched last in a stretch of that time, so the
//! lines that were touched since a moment, each once, are a sum over few buckets. What lies behind more lines than
//! `reach` has left any cache and is dropped.

/// Buckets of one cache: a power of two.
const BUCKETS: usize = 32;

/// Buckets that what a cache holds is cut into.
const GRAINS: f64 = 8.0;

/// Lines that are none.
const SPECK: f64 = 1e-6;

/// Lines by the time of their last touch.
#[derive(Clone, Debug)]
pub(super) struct Recency {
    /// Lines touched so far.
    clock: f64,
    /// Where the oldest bucket begins: what was touched before is gone.
    start: f64,
    /// Lines of one bucket, unless one touch brings more.
    grain: f64,
    reach: f64,
    total: f64,
    first: usize,
    count: usize,
    // The clock at the end of each bucket, and the lines whose last touch lies in it.
    ends: [f64; BUCKETS],
    lines: [f64; BUCKETS],
}

impl Recency {
    /// For a cache of so many lines; nothing was touched. Lines behind `reach` others need not be told apart.
    pub fn new(capacity: f64, reach: f64) -> Self {
        Self {
            clock: 0.0,
            start: 0.0,
            grain: capacity / GRAINS,
            reach,
            total: 0.0,
            first: 0,
            count: 1,
            ends: [0.0; BUCKETS],
            lines: [0.0; BUCKETS],
        }
    }

    /// The time, in lines touched.
    pub fn clock(&self) -> f64 {
        self.clock
    }

    /// Whether what was touched last at `mark` is gone.
    #[inline]
    pub fn is_gone(&self, mark: f64) -> bool {
        mark < self.start
    }

    /// Lines touched since `mark`, each counted once. Infinite if what was touched then is gone.
    #[inline]
    pub fn since(&self, mark: f64) -> f64 {
        if mark < self.start {
            return f64::INFINITY;
        }
        let mut sum = 0.0;
        let mut bucket = self.newest();
        for left in (0..self.count).rev() {
            let before = bucket.wrapping_sub(1) % BUCKETS;
            let begin = if left == 0 { self.start } else { self.ends[before] };
            if begin <= mark {
                let (end, length) = (self.ends[bucket], self.ends[bucket] - begin);
                return if mark < end { sum + self.lines[bucket] * ((end - mark) / length) } else { sum };
            }
            sum += self.lines[bucket];
            bucket = before;
        }
        sum
    }

    /// Takes out lines whose last touch was between `from` and `to`, since they are touched again.
    #[inline]
    pub fn take(&mut self, from: f64, to: f64, lines: f64) {
        if to <= self.start {
            return;
        }
        let a_touch = lines / (to - from).max(f64::MIN_POSITIVE);
        let mut bucket = self.newest();
        for left in (0..self.count).rev() {
            let before = bucket.wrapping_sub(1) % BUCKETS;
            let begin = if left == 0 { self.start } else { self.ends[before] };
            let overlap = self.ends[bucket].min(to) - begin.max(from);
            if overlap > 0.0 {
                let taken = (a_touch * overlap).min(self.lines[bucket]);
                self.lines[bucket] -= taken;
                self.total -= taken;
            }
            if begin <= from {
                break;
            }
            bucket = before;
        }
    }

    /// Lines are touched: new ones, or such as were taken out before.
    #[inline]
    pub fn touch(&mut self, lines: f64) {
        let mut newest = self.newest();
        if self.lines[newest] + lines > self.grain && self.lines[newest] > 0.0 {
            self.push();
            newest = self.newest();
        }
        self.clock += lines;
        self.ends[newest] = self.clock;
        self.lines[newest] += lines;
        self.total += lines;
    }

    /// Everything is gone.
    pub fn clear(&mut self) {
        // A moment passes, so that marks of now are gone as well.
        self.clock += 1.0;
        self.start = self.clock;
        self.total = 0.0;
        self.first = 0;
        self.count = 1;
        self.ends[0] = self.clock;
        self.lines[0] = 0.0;
    }

    fn bucket(&self, place: usize) -> usize {
        (self.first + place) % BUCKETS
    }

    #[inline]
    fn newest(&self) -> usize {
        (self.first + self.count - 1) % BUCKETS
    }

    /// Begins a bucket.
    #[inline]
    fn push(&mut self) {
        while self.count > 1 && (self.total - self.lines[self.first] > self.reach || self.lines[self.first] <= SPECK) {
            self.total -= self.lines[self.first];
            self.start = self.ends[self.first];
            self.first = (self.first + 1) % BUCKETS;
            self.count -= 1;
        }
        if self.count == BUCKETS {
            self.merge();
        }
        self.count += 1;
        let newest = self.newest();
        self.ends[newest] = self.clock;
        self.lines[newest] = 0.0;
    }

    /// Joins the two neighbours that hold the fewest lines.
    fn merge(&mut self) {
        let pair = |place: usize| self.lines[self.bucket(place)] + self.lines[self.bucket(place + 1)];
        let mut least = 0;
        for place in 1..self.count - 1 {
            if pair(place) < pair(least) {
                least = place;
            }
        }
        let (kept, joined) = (self.bucket(least), self.bucket(least + 1));
        self.lines[kept] += self.lines[joined];
        self.ends[kept] = self.ends[joined];
        for place in least + 1..self.count - 1 {
            let (to, from) = (self.bucket(place), self.bucket(place + 1));
            self.lines[to] = self.lines[from];
            self.ends[to] = self.ends[from];
        }
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_touched_again_count_once() {
        let mut recency = Recency::new(64.0, 192.0);
        recency.touch(10.0);
        let mark = recency.clock();
        recency.touch(20.0);
        let (from, to) = (mark, recency.clock());
        recency.touch(5.0);
        assert_eq!(recency.since(mark), 25.0);
        recency.take(from, to, 20.0);
        recency.touch(20.0);
        assert_eq!(recency.since(mark), 25.0);
    }

    #[test]
    fn what_lies_behind_more_lines_than_the_reach_is_gone() {
        let mut recency = Recency::new(64.0, 192.0);
        recency.touch(1.0);
        let mark = recency.clock();
        for _ in 0..1000 {
            recency.touch(3.0);
        }
        assert!(recency.since(mark).is_infinite());
        assert!(recency.since(recency.clock() - 30.0) >= 29.0);
    }

    #[test]
    fn two_that_alternate_do_not_drive_out_a_third() {
        let mut recency = Recency::new(64.0, 192.0);
        recency.touch(10.0);
        let mark = recency.clock();
        let mut starts = [None; 2];
        for round in 0..10_000 {
            let (from, start) = (starts[round % 2], recency.clock());
            if let Some(from) = from {
                recency.take(from, from + 12.0, 12.0);
            }
            recency.touch(12.0);
            starts[round % 2] = Some(start);
        }
        assert!((recency.since(mark) - 24.0).abs() < 3.0, "{}", recency.since(mark));
    }

    #[test]
    fn clearing_forgets_all() {
        let mut recency = Recency::new(64.0, 192.0);
        recency.touch(10.0);
        let mark = recency.clock();
        recency.clear();
        assert!(recency.since(mark).is_infinite());
        assert_eq!(recency.since(recency.clock()), 0.0);
    }
}
