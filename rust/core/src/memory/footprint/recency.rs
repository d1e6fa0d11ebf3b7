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
    /// A bit for each bucket that has lines: walks pass over the others.
    filled: u32,
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
            filled: 0,
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
        let mut left = self.filled_places();
        while let Some(place) = left.checked_ilog2() {
            left ^= 1 << place;
            let (bucket, begin) = self.stretch(place as usize);
            if begin <= mark {
                let (end, length) = (self.ends[bucket], self.ends[bucket] - begin);
                return if mark < end { sum + self.lines[bucket] * ((end - mark) / length) } else { sum };
            }
            sum += self.lines[bucket];
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
        let mut left = self.filled_places();
        while let Some(place) = left.checked_ilog2() {
            left ^= 1 << place;
            let (bucket, begin) = self.stretch(place as usize);
            let end = self.ends[bucket];
            let overlap = if end < to { end } else { to } - if begin > from { begin } else { from };
            if overlap > 0.0 {
                let (there, asked) = (self.lines[bucket], a_touch * overlap);
                let taken = if asked < there { asked } else { there };
                self.lines[bucket] = there - taken;
                self.total -= taken;
                self.mark(bucket);
            }
            if begin <= from {
                break;
            }
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
        self.mark(newest);
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
        self.filled = 0;
    }

    /// Notes whether a bucket has lines.
    #[inline]
    fn mark(&mut self, bucket: usize) {
        let bit = 1 << bucket;
        self.filled = if self.lines[bucket] > 0.0 { self.filled | bit } else { self.filled & !bit };
    }

    /// A bit for each place, from the oldest bucket on, that has lines.
    #[inline]
    fn filled_places(&self) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "fewer than 32")]
        self.filled.rotate_right(self.first as u32)
    }

    /// The bucket of a place, and where it begins.
    #[inline]
    fn stretch(&self, place: usize) -> (usize, f64) {
        let bucket = self.bucket(place);
        (bucket, if place == 0 { self.start } else { self.ends[bucket.wrapping_sub(1) % BUCKETS] })
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
            self.filled &= !(1 << self.first);
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
        self.filled &= !(1 << newest);
    }

    /// Joins the two neighbours that hold the fewest lines.
    fn merge(&mut self) {
        let least = self.least_pair();
        let (kept, joined) = (self.bucket(least), self.bucket(least + 1));
        let lines = self.lines[kept] + self.lines[joined];
        if least < self.count / 2 {
            // Those before them move up.
            self.lines[joined] = lines;
            self.mark(joined);
            for place in (0..least).rev() {
                self.copy(place, place + 1);
            }
            self.filled &= !(1 << self.first);
            self.first = (self.first + 1) % BUCKETS;
        } else {
            self.lines[kept] = lines;
            self.ends[kept] = self.ends[joined];
            self.mark(kept);
            for place in least + 1..self.count - 1 {
                self.copy(place + 1, place);
            }
            self.filled &= !(1 << self.newest());
        }
        self.count -= 1;
    }

    /// The first of the neighbours that hold the fewest lines, where all buckets are in use.
    fn least_pair(&self) -> usize {
        let empty = !self.filled_places();
        // The last one has none behind it.
        let both_empty = empty & empty >> 1 & !(1 << (BUCKETS - 1));
        if both_empty != 0 {
            return both_empty.trailing_zeros() as usize;
        }
        let (newer, older) = self.lines.split_at(self.first);
        let mut lines = [0.0; BUCKETS];
        lines[..older.len()].copy_from_slice(older);
        lines[older.len()..].copy_from_slice(newer);
        let pairs: [f64; BUCKETS - 1] = std::array::from_fn(|place| lines[place] + lines[place + 1]);
        let mut least = [f64::INFINITY; 4];
        for four in pairs.chunks(4) {
            for (least, &pair) in least.iter_mut().zip(four) {
                *least = if pair < *least { pair } else { *least };
            }
        }
        let least = least.into_iter().fold(f64::INFINITY, f64::min);
        pairs.iter().position(|&pair| pair == least).expect("one of them is the least")
    }

    fn copy(&mut self, from: usize, to: usize) {
        let (from, to) = (self.bucket(from), self.bucket(to));
        self.lines[to] = self.lines[from];
        self.ends[to] = self.ends[from];
        self.mark(to);
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
