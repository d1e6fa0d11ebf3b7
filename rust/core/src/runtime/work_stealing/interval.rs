//! How often a slot takes from the shared queue before its own.
//!
//! Tokio measures how long tasks run and looks as often as makes 200 us of them in between, but after 2 to 127 of them.
//! The mean forgets: one batch of n tasks weighs 1 - 0.9^n against all before. It ends when the slot finds nothing of its
//! own, and after 61 tasks. What follows from the mean counts once it is off by more than 2.
//! Source: `tokio/src/runtime/scheduler/multi_thread/stats.rs`; numbers are whole here, not floating.

use super::config::Interval;
use crate::base::Picos;

/// Tasks between two looks at the shared queue that Tokio starts with, and after which a batch ends.
pub const BATCH_MAX: u32 = 61;

const TARGET: u64 = Picos::from_nanos(200_000).0;
const LEAST: u64 = 2;
const MOST: u64 = 127;
const JITTER: u32 = 2;

/// One, with 32 bits behind the point.
const ONE: u64 = 1 << 32;

/// When one slot takes from the shared queue first.
#[derive(Clone, Copy, Debug)]
pub struct SharedTurn {
    kind: Interval,
    tasks: u32,
    interval: u32,
    /// How long a task runs, in the mean.
    mean: Picos,
    batch_time: Picos,
    batch_tasks: u32,
}

impl SharedTurn {
    /// Before the first task.
    pub const fn new(kind: Interval) -> Self {
        let interval = match kind {
            Interval::Fixed(tasks) => tasks,
            Interval::Never | Interval::Tuned => BATCH_MAX,
        };
        // Go looks before its first task, and then before every 61st after it; Tokio looks before its 61st.
        let tasks = if matches!(kind, Interval::Tuned) { 1 } else { 0 };
        let mean = Picos(TARGET / BATCH_MAX as u64);
        Self { kind, tasks, interval, mean, batch_time: Picos::ZERO, batch_tasks: 0 }
    }

    /// Whether it is the turn of the shared queue.
    pub fn is_now(&mut self) -> bool {
        let is_now = self.kind != Interval::Never && self.tasks.is_multiple_of(self.interval);
        if is_now && self.kind == Interval::Tuned {
            let tuned = self.tuned();
            if self.interval.abs_diff(tuned) > JITTER {
                self.interval = tuned;
            }
        }
        is_now
    }

    /// Whether a batch is over by the number of its tasks.
    pub const fn is_batch_over(&self) -> bool {
        self.tasks.is_multiple_of(BATCH_MAX)
    }

    /// A task was picked.
    pub const fn picked(&mut self) {
        self.tasks = self.tasks.wrapping_add(1);
    }

    /// A task has run for so long. One that is a part of the pick before it is no task of its own.
    pub fn polled(&mut self, time: Picos, is_part: bool) {
        // Nobody else asks for the mean.
        if self.kind == Interval::Tuned {
            self.batch_time += time;
            self.batch_tasks += u32::from(!is_part);
        }
    }

    /// The batch is over: its mean joins that of all before.
    pub fn end_batch(&mut self) {
        if self.batch_tasks == 0 {
            return;
        }
        let batch = i128::from(self.batch_time.0 / u64::from(self.batch_tasks));
        let kept = (0..self.batch_tasks.min(10 * BATCH_MAX)).fold(ONE, |kept, _| kept * 9 / 10);
        let mean = batch + (i128::from(self.mean.0) - batch) * i128::from(kept) / i128::from(ONE);
        self.mean = Picos(u64::try_from(mean).expect("between two times"));
        (self.batch_time, self.batch_tasks) = (Picos::ZERO, 0);
    }

    fn tuned(&self) -> u32 {
        let tasks = (TARGET / self.mean.0.max(1)).clamp(LEAST, MOST);
        u32::try_from(tasks).expect("it is small")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(turn: &mut SharedTurn, tasks: u32) -> Vec<u32> {
        let mut turns = Vec::new();
        for task in 1..=tasks {
            if turn.is_now() {
                turns.push(task);
            }
            turn.picked();
        }
        turns
    }

    #[test]
    fn go_looks_before_the_first_task_and_each_61st_after_it() {
        assert_eq!(turns(&mut SharedTurn::new(Interval::Fixed(61)), 150), [1, 62, 123]);
        assert!(turns(&mut SharedTurn::new(Interval::Never), 150).is_empty());
    }

    #[test]
    fn tokio_begins_with_the_61st_task() {
        assert_eq!(turns(&mut SharedTurn::new(Interval::Tuned), 150), [61, 122]);
    }

    /// The interval once tasks have run for so long forever.
    fn settled(nanos: u64) -> u32 {
        let mut turn = SharedTurn::new(Interval::Tuned);
        for _ in 0..100 {
            turn.polled(Picos::from_nanos(nanos), false);
            turn.end_batch();
        }
        turn.tuned()
    }

    #[test]
    fn tokio_looks_every_200_us_but_after_2_to_127_tasks() {
        assert_eq!([1_000_000, 100_000, 10_000, 5_000, 4_000, 100, 0].map(settled), [2, 2, 20, 40, 50, 127, 127]);
    }

    #[test]
    fn a_batch_weighs_as_its_tasks_one_by_one() {
        let mut turn = SharedTurn::new(Interval::Tuned);
        let mut one_by_one = turn;
        for _ in 0..8 {
            turn.polled(Picos::from_nanos(50_000), false);
            one_by_one.polled(Picos::from_nanos(50_000), false);
            one_by_one.end_batch();
        }
        turn.end_batch();
        assert!(turn.mean.0.abs_diff(one_by_one.mean.0) < 100, "{turn:?} {one_by_one:?}");
        // 3278.69 x 0.9^8 + 50000 x (1 - 0.9^8), by hand
        assert_eq!(turn.mean.nanos().round(), 29_888.0);
    }

    #[test]
    fn small_changes_of_the_mean_change_no_interval() {
        let mut turn = SharedTurn::new(Interval::Tuned);
        turn.polled(Picos::from_nanos(4_000), false);
        turn.end_batch();
        assert_eq!(turn.tuned(), 59);
        assert_eq!(turns(&mut turn, 150), [61, 122]);
        turn.polled(Picos::from_nanos(5_000), false);
        turn.end_batch();
        assert!(turn.tuned() < 59);
    }
}
