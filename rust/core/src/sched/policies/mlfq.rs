//! Multi-level feedback queue: who uses much cpu sinks, who blocks early stays on top, and now and then all rise again.
//!
//! The rules are those of *Operating Systems: Three Easy Pieces* (ch. 8) after Corbató's CTSS and Solaris' time-sharing
//! class: the highest level that has a job runs, in turns by the slice of its level; a job that has used up its allotment
//! of a level sinks by one, however often it blocked on the way; after `boost_us` all rise to the top. It approximates
//! STCF without knowing the future. Its corners are gaming (a job that blocks just before its slice ends stays on top,
//! if blocking renews the allotment: `io_renews`) and starvation, which the boost is against.

use crate::base::{ConfigError, Picos};
use crate::sched::keyed::entry;
use crate::sched::list::Lists;
use crate::sched::{Carry, Enqueue, Scheduler, Task, TaskId, micros};
use serde::{Deserialize, Serialize};

/// Levels that there may be.
const LEVELS_MAX: usize = 64;

/// The levels, from the top.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlfqConfig {
    /// The slice of each level.
    #[serde(with = "micros::list")]
    pub time_slices_us: Vec<Picos>,
    /// How many slices a job has in each level but the last before it sinks; one number for each level.
    pub allotments: Vec<u32>,
    /// After how long all rise to the top; never, if absent.
    #[serde(with = "micros::option")]
    pub boost_us: Option<Picos>,
    /// Whether a job that blocks gets its allotment anew.
    pub io_renews: bool,
}

impl Default for MlfqConfig {
    fn default() -> Self {
        let slices = [10_000_000, 20_000_000, 40_000_000];
        Self {
            time_slices_us: slices.into_iter().map(Picos::from_nanos).collect(),
            allotments: vec![1; slices.len()],
            boost_us: Some(Picos::from_nanos(1_000_000_000)),
            io_renews: false,
        }
    }
}

impl MlfqConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        let levels = self.time_slices_us.len();
        if !(1..=LEVELS_MAX).contains(&levels) {
            return Err(ConfigError::new("mlfq.time_slices_us", "must be 1 to 64 times", format!("{levels} of them")));
        }
        for (level, &slice) in self.time_slices_us.iter().enumerate() {
            crate::sched::config::above_zero(&format!("mlfq.time_slices_us[{level}]"), slice)?;
        }
        if self.allotments.len() != levels {
            let rule = format!("must be as many as time_slices_us ({levels})");
            return Err(ConfigError::new("mlfq.allotments", rule, self.allotments.len()));
        }
        if let Some(level) = self.allotments.iter().position(|&slices| slices == 0) {
            return Err(ConfigError::new(format!("mlfq.allotments[{level}]"), "must be at least 1", 0));
        }
        self.boost_us.map_or(Ok(()), |boost| crate::sched::config::above_zero("mlfq.boost_us", boost))
    }
}

/// What stands of a task. Packed: with the links of its queue it takes 32 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// Of the allotment of its level.
    used: Picos,
    /// Of its slice.
    slice_used: Picos,
    /// The boosts that it has seen, and in the low bits its level. No run has 2^58 of them.
    boosts_and_level: u64,
}

const _: () = assert!(size_of::<Standing>() <= 24, "and 8 bytes of links");

impl Standing {
    const LEVEL_BITS: u32 = LEVELS_MAX.ilog2();

    /// That of one who joins a level.
    fn at(boosts: u64, level: usize) -> Self {
        let mut standing = Self { boosts_and_level: boosts << Self::LEVEL_BITS, ..Self::default() };
        standing.set_level(level);
        standing
    }

    const fn boosts(&self) -> u64 {
        self.boosts_and_level >> Self::LEVEL_BITS
    }

    #[allow(clippy::cast_possible_truncation, reason = "a level has 6 bits")]
    const fn level(&self) -> usize {
        (self.boosts_and_level % LEVELS_MAX as u64) as usize
    }

    const fn set_level(&mut self, level: usize) {
        self.boosts_and_level = (self.boosts() << Self::LEVEL_BITS) + level as u64;
    }
}

/// A multi-level feedback queue.
#[derive(Clone, Debug)]
pub struct Mlfq {
    config: MlfqConfig,
    levels: Lists,
    tasks: Vec<Standing>,
    /// Boosts that took effect.
    boosts: u64,
    /// The last multiple of the period that was seen.
    periods: u64,
}

impl Mlfq {
    /// Empty queues.
    pub fn new(config: &MlfqConfig) -> Self {
        Self {
            levels: Lists::new(config.time_slices_us.len()),
            config: config.clone(),
            tasks: Vec::new(),
            boosts: 0,
            periods: 0,
        }
    }

    fn lowest(&self) -> usize {
        self.config.time_slices_us.len() - 1
    }

    /// Lets all rise if the time for it has come: those that wait in the order of their levels, others when they are
    /// looked at next.
    fn boost(&mut self, now: Picos) {
        let Some(period) = self.config.boost_us else { return };
        let periods = now.0 / period.0;
        if periods > self.periods {
            self.periods = periods;
            self.boosts += 1;
            for level in 1..=self.lowest() {
                self.levels.append(0, level);
            }
        }
    }

    /// What stands of a task now.
    fn standing(&mut self, id: TaskId) -> &mut Standing {
        let boosts = self.boosts;
        let standing = entry(&mut self.tasks, id);
        if standing.boosts() < boosts {
            *standing = Standing::at(boosts, 0);
        }
        standing
    }

    fn allotment(&self, level: usize) -> Picos {
        Picos(self.config.time_slices_us[level].0.saturating_mul(u64::from(self.config.allotments[level])))
    }

    /// Whether a task had used up its allotment, and has sunk.
    fn sinks(&mut self, id: TaskId) -> bool {
        let level = self.standing(id).level();
        let allotment = self.allotment(level);
        let lowest = self.lowest();
        let standing = self.standing(id);
        let sinks = standing.used >= allotment;
        if sinks {
            standing.set_level((level + 1).min(lowest));
            standing.used = Picos::ZERO;
        }
        sinks
    }
}

impl Scheduler for Mlfq {
    fn enqueue(&mut self, task: &Task, reason: Enqueue, now: Picos) {
        self.boost(now);
        let boosts = self.boosts;
        let mut sank = false;
        match reason {
            Enqueue::New => *entry(&mut self.tasks, task.id) = Standing::at(boosts, 0),
            Enqueue::Migrated(carry) => {
                let level = usize::try_from(carry).expect("a level was handed on");
                *entry(&mut self.tasks, task.id) = Standing::at(boosts, level);
            }
            Enqueue::Wake if self.config.io_renews => self.standing(task.id).used = Picos::ZERO,
            _ => sank = self.sinks(task.id),
        }
        let standing = self.standing(task.id);
        let level = standing.level();
        if reason == Enqueue::Preempted && !sank {
            // It goes on with what is left of its slice as soon as its level has its turn again.
            self.levels.push_front(level, task.id);
        } else {
            standing.slice_used = Picos::ZERO;
            self.levels.push_back(level, task.id);
        }
    }

    fn remove(&mut self, id: TaskId, _now: Picos) {
        let level = self.standing(id).level();
        self.levels.remove(level, id);
    }

    fn pick(&mut self, now: Picos) -> Option<TaskId> {
        self.boost(now);
        (0..=self.lowest()).find_map(|level| self.levels.pop_front(level))
    }

    fn runs_until(&mut self, id: TaskId, now: Picos) -> Picos {
        let standing = *self.standing(id);
        let Standing { used, slice_used, .. } = standing;
        let level = standing.level();
        let slice = self.config.time_slices_us[level].saturating_sub(slice_used);
        let allotment = self.allotment(level).saturating_sub(used);
        now + slice.min(allotment).max(Picos(1))
    }

    fn charge(&mut self, id: TaskId, ran: Picos, now: Picos) {
        self.boost(now);
        let standing = self.standing(id);
        standing.used += ran;
        standing.slice_used += ran;
    }

    fn is_preemptive(&self) -> bool {
        true
    }

    fn victim(&mut self, woken: TaskId, running: &[TaskId], now: Picos) -> Option<usize> {
        self.boost(now);
        let level = self.standing(woken).level();
        let mut victim = None;
        let mut lowest = level;
        for (place, &id) in running.iter().enumerate() {
            let level = self.standing(id).level();
            if level > lowest {
                (victim, lowest) = (Some(place), level);
            }
        }
        victim
    }

    fn give_away(&mut self, now: Picos) -> Option<(TaskId, Carry)> {
        let id = self.pick(now)?;
        let level = self.standing(id).level();
        Some((id, Carry::try_from(level).expect("a level is small")))
    }
}
