//! Stream prefetching (after Jouppi, ISCA 1990, and the L2 streamer of Intel's optimization manual): runs of lines in one
//! direction, followed in 16 pages at a time.

use super::{Named, PAGE_BITS, Prefetcher, Trigger};

const STREAMS: usize = 16;
const STEP_MAX: u64 = 4;
const CONFIDENCE_MAX: u8 = 3;
const CONFIDENCE_TRUSTED: u8 = 2;

/// A page that is followed.
#[derive(Clone, Copy)]
struct Run {
    page: u64,
    last: u64,
    // +1, -1, or 0 while unknown.
    direction: i64,
    confidence: u8,
}

/// The pages that are followed.
pub struct Stream {
    degree: i64,
    // invariant: the most recently used first
    runs: Vec<Run>,
}

impl Stream {
    pub fn new(degree: u32) -> Self {
        Self { degree: i64::from(degree), runs: Vec::with_capacity(STREAMS) }
    }

    /// The run of a page, made the most recent; a new one if there was none.
    fn run_of(&mut self, page: u64, line: u64) -> &mut Run {
        let place = match self.runs.iter().position(|run| run.page == page) {
            Some(place) => place,
            None => {
                self.runs.truncate(STREAMS - 1);
                self.runs.push(Run { page, last: line, direction: 0, confidence: 0 });
                self.runs.len() - 1
            }
        };
        self.runs[..=place].rotate_right(1);
        &mut self.runs[0]
    }
}

impl Run {
    /// Learns from the next line. Returns whether it goes on from there.
    fn learn(&mut self, line: u64) -> bool {
        let step = line.cast_signed() - self.last.cast_signed();
        if step == 0 {
            return false;
        }
        if step.signum() == self.direction && step.unsigned_abs() <= STEP_MAX {
            self.confidence = (self.confidence + 1).min(CONFIDENCE_MAX);
        } else {
            self.direction = step.signum();
            self.confidence = 1;
        }
        self.last = line;
        self.confidence >= CONFIDENCE_TRUSTED
    }
}

impl Prefetcher for Stream {
    fn observe(&mut self, trigger: &Trigger, named: &mut Named) {
        let degree = self.degree;
        let run = self.run_of(trigger.paddr >> PAGE_BITS, trigger.line);
        if run.learn(trigger.line) {
            // Lines below 0 do not exist.
            (1..=degree)
                .map_while(|distance| trigger.line.checked_add_signed(run.direction * distance))
                .for_each(|line| named.push(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::observe;
    use super::*;

    /// What is named on each of some lines.
    fn named(prefetcher: &mut Stream, lines: &[u64]) -> Vec<Vec<u64>> {
        lines.iter().map(|line| observe(prefetcher, line * 64, 0, false)).collect()
    }

    #[test]
    fn run_is_trusted_from_its_second_step_on() {
        let mut prefetcher = Stream::new(2);
        assert_eq!(named(&mut prefetcher, &[0, 1, 3]), [vec![], vec![], vec![4, 5]]);
    }

    #[test]
    fn same_line_again_changes_nothing() {
        let mut prefetcher = Stream::new(1);
        assert_eq!(named(&mut prefetcher, &[0, 1, 1, 2, 2]), [vec![], vec![], vec![], vec![3], vec![]]);
    }

    #[test]
    fn turn_or_long_step_starts_over() {
        let mut prefetcher = Stream::new(1);
        assert_eq!(named(&mut prefetcher, &[10, 11, 12, 11, 10]), [vec![], vec![], vec![13], vec![], vec![9]]);
        assert_eq!(named(&mut prefetcher, &[5, 4]), [vec![], vec![3]]);
    }

    #[test]
    fn descending_run_ends_at_line_zero() {
        let mut prefetcher = Stream::new(4);
        assert_eq!(named(&mut prefetcher, &[4, 3, 2])[2], [1, 0]);
    }

    #[test]
    fn seventeenth_page_takes_the_place_of_the_least_recent() {
        let mut prefetcher = Stream::new(1);
        let page = |page: u64| page * 64;
        named(&mut prefetcher, &[page(0), page(0) + 1, page(1), page(1) + 1]);
        (2..16).for_each(|other| drop(named(&mut prefetcher, &[page(other)])));
        // Page 0 is used without a step, so page 1 goes.
        named(&mut prefetcher, &[page(0) + 1, page(16)]);
        assert_eq!(named(&mut prefetcher, &[page(0) + 2, page(1) + 2]), [vec![3], vec![]]);
    }
}
