//! Why memory was waited for: misses and stalls by cause, by level, by thread, and by the time since a switch.

use super::footprints::Spent;
use crate::base::Picos;
use crate::kernel::Tid;
use crate::memory::{Cause, Causes};
use serde_json::{Map, Value, json};

const CAUSES: usize = Cause::ALL.len();

/// Powers of two of nanoseconds since a switch that are told apart.
const AGES: usize = 40;

/// What memory cost one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ThreadBook {
    /// Misses of all levels; expected numbers have fractions.
    pub misses: [f64; CAUSES],
    /// Time.
    pub stalls: [Picos; CAUSES],
}

/// Accesses of some age: so long after their thread was switched to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Age {
    accesses: u64,
    misses: f64,
    pollution: f64,
    pollution_stall: Picos,
}

/// What memory cost, by cause. The kernel's own misses are in `kernel`.
#[derive(Clone, Debug)]
pub(super) struct Books {
    /// What a level's miss costs beyond its own latency, in cycles, if the next level has the line.
    beyond: Vec<u64>,
    /// The caches on the way of data.
    data: Vec<usize>,
    levels: Vec<[f64; CAUSES]>,
    /// By cause, over all threads and the kernel.
    stalls: [Picos; CAUSES],
    kernel: ThreadBook,
    threads: Vec<ThreadBook>,
    ages: [Age; AGES],
}

impl Books {
    /// Empty books of a machine whose levels have such latencies beyond their own.
    pub fn new(beyond: Vec<u64>, data: Vec<usize>) -> Self {
        Self {
            data,
            levels: vec![[0.0; CAUSES]; beyond.len()],
            beyond,
            stalls: [Picos::ZERO; CAUSES],
            kernel: ThreadBook::default(),
            threads: Vec::new(),
            ages: [Age::default(); AGES],
        }
    }

    /// Notes an access that waited so long for caches; of who runs, or of the kernel. `since` is how long ago the thread
    /// was switched to.
    #[inline]
    pub fn note(&mut self, tid: Option<Tid>, causes: Causes, stall: Picos, since: Picos) {
        if let Some(tid) = tid {
            let age = &mut self.ages[age_of(since)];
            age.accesses += 1;
            if causes.is_empty() && stall == Picos::ZERO {
                return;
            }
            self.note_miss(Some(tid), causes, stall, since);
        } else if !causes.is_empty() || stall > Picos::ZERO {
            self.note_miss(None, causes, stall, since);
        }
    }

    fn note_miss(&mut self, tid: Option<Tid>, causes: Causes, stall: Picos, since: Picos) {
        if let Some((level, cause)) = causes.only() {
            self.levels[usize::from(level)][cause as usize] += 1.0;
            return self.enter_one(tid, cause, stall, since);
        }
        let mut parts = [Picos::ZERO; CAUSES];
        let mut misses = [0.0; CAUSES];
        let weight: u64 = causes.iter().map(|(level, _)| self.beyond[usize::from(level)]).sum();
        let (mut left, mut last) = (stall, Cause::Coherence);
        for (level, cause) in causes.iter() {
            let part = self.beyond[usize::from(level)];
            let share = u64::try_from(u128::from(stall.0) * u128::from(part) / u128::from(weight.max(1)));
            let share = Picos(share.expect("a part of a stall"));
            parts[cause as usize] += share;
            left = left - share;
            last = cause;
            misses[cause as usize] += 1.0;
            self.levels[usize::from(level)][cause as usize] += 1.0;
        }
        // What is left of rounding goes to the outermost level; a stall without a miss is a line that another cpu has.
        parts[last as usize] += left;
        self.enter(tid, &misses, &parts, since);
    }

    /// Notes a run of accesses of working sets: expected misses of the caches on the way of data, and stalls.
    #[inline(always)]
    pub fn note_run(&mut self, tid: Option<Tid>, accesses: u64, spent: &Spent, since: Picos) {
        let mut misses = [0.0; CAUSES];
        for (&level, counts) in self.data.iter().zip(&spent.misses) {
            for cause in 0..CAUSES {
                misses[cause] += counts[cause];
                self.levels[level][cause] += counts[cause];
            }
        }
        if tid.is_some() {
            self.ages[age_of(since)].accesses += accesses;
        }
        self.enter(tid, &misses, &spent.stalls, since);
    }

    /// Notes accesses of a thread that all hit, at one time since the switch or up to [`Books::age_end`].
    pub fn note_hits(&mut self, accesses: u64, since: Picos) {
        self.ages[age_of(since)].accesses += accesses;
    }

    /// Before when accesses have the age of one so long after a switch.
    #[inline]
    pub fn age_end(since: Picos) -> Picos {
        let power = age_of(since);
        if power == AGES - 1 { Picos::NEVER } else { Picos(1000 << power) }
    }

    /// One miss of one level.
    fn enter_one(&mut self, tid: Option<Tid>, cause: Cause, stall: Picos, since: Picos) {
        let place = cause as usize;
        self.stalls[place] += stall;
        let book = match tid {
            None => &mut self.kernel,
            Some(tid) => {
                let age = &mut self.ages[age_of(since)];
                age.misses += 1.0;
                if cause.is_pollution() {
                    age.pollution += 1.0;
                    age.pollution_stall += stall;
                }
                self.thread(tid)
            }
        };
        book.misses[place] += 1.0;
        book.stalls[place] += stall;
    }

    fn thread(&mut self, tid: Tid) -> &mut ThreadBook {
        if self.threads.len() <= tid.index() {
            self.threads.resize(tid.index() + 1, ThreadBook::default());
        }
        &mut self.threads[tid.index()]
    }

    #[inline(always)]
    fn enter(&mut self, tid: Option<Tid>, misses: &[f64; CAUSES], parts: &[Picos; CAUSES], since: Picos) {
        self.stalls.iter_mut().zip(parts).for_each(|(stall, &part)| *stall += part);
        let book = match tid {
            None => &mut self.kernel,
            Some(tid) => {
                let age = &mut self.ages[age_of(since)];
                let pollution = [Cause::Replaced as usize, Cause::Reordered as usize];
                age.misses += misses.iter().sum::<f64>();
                age.pollution += pollution.iter().map(|&cause| misses[cause]).sum::<f64>();
                age.pollution_stall += pollution.iter().map(|&cause| parts[cause]).sum();
                self.thread(tid)
            }
        };
        for cause in 0..CAUSES {
            book.misses[cause] += misses[cause];
            book.stalls[cause] += parts[cause];
        }
    }

    /// What threads have cost so far, in the order in which they were made; nothing has missed behind the last one told.
    pub fn of_threads(&self) -> &[ThreadBook] {
        &self.threads
    }

    /// All stalls: what the ledger has of them.
    pub fn total(&self) -> Picos {
        self.stalls.iter().copied().sum()
    }

    /// As a result shows it. `levels` are the names of the machine's caches.
    pub fn row(&self, levels: &[String]) -> Value {
        let counts = |counts: &[f64; CAUSES]| by_cause(|cause| whole(counts[cause as usize]).into());
        let stalls = |stalls: &[Picos; CAUSES]| by_cause(|cause| json!(stalls[cause as usize]));
        let by_level: Map<String, Value> = levels.iter().cloned().zip(self.levels.iter().map(counts)).collect();
        let mut all = [0.0; CAUSES];
        for level in &self.levels {
            all.iter_mut().zip(level).for_each(|(all, count)| *all += count);
        }
        let last = self.ages.iter().rposition(|age| age.accesses > 0).map_or(0, |last| last + 1);
        let ages = self.ages[..last].iter().enumerate().map(|(power, age)| {
            json!({
                "since_ns": if power == 0 { 0 } else { 1_u64 << (power - 1) },
                "accesses": age.accesses,
                "misses": whole(age.misses),
                "pollution": whole(age.pollution),
                "pollution_stall_ns": age.pollution_stall,
            })
        });
        json!({
            "by_cause": counts(&all),
            "by_level": by_level,
            "stall_ns_by_cause": stalls(&self.stalls),
            "kernel": {
                "by_cause": counts(&self.kernel.misses),
                "stall_ns_by_cause": stalls(&self.kernel.stalls),
            },
            "reload": ages.collect::<Vec<_>>(),
        })
    }
}

/// A count, rounded where it is an expected number.
pub(super) fn whole(count: f64) -> u64 {
    if count == 0.0 {
        // Most are, and rounding is a call.
        return 0;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are small and not negative")]
    let whole = count.round() as u64;
    whole
}

fn by_cause(value: impl Fn(Cause) -> Value) -> Value {
    Cause::ALL.into_iter().map(|cause| (cause.name().to_owned(), value(cause))).collect::<Map<_, _>>().into()
}

/// The power of two of a time: 0 below a nanosecond.
fn age_of(since: Picos) -> usize {
    let nanos = since.0 / 1000;
    ((u64::BITS - nanos.leading_zeros()) as usize).min(AGES - 1)
}
