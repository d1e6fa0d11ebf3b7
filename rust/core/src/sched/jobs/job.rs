//! Jobs and options as they come in, and their rules.

use crate::base::{ConfigError, Picos};
use crate::sched::micros;
use crate::sched::weight::NICE_0;
use serde::{Deserialize, Serialize};

/// All service times, I/O and the last arrival add up to no more: a day and more.
const TOTAL_MAX: Picos = Picos(100_000_000_000_000_000);
/// The longest switch.
const SWITCH_MAX: Picos = Picos(1_000_000_000_000);
const CPUS_MAX: u32 = 4096;
const SHARE_MAX: u32 = 1 << 24;

/// One job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// When it comes.
    pub arrival: Picos,
    /// How much it runs in all.
    pub service: Picos,
    /// Its share under policies that weigh as Linux does: 1024 is nice 0.
    pub weight: u32,
    /// Its share under lottery and stride.
    pub tickets: u32,
    /// Its urgency; smaller goes first.
    pub priority: u32,
    /// After how much running it waits for I/O; never, if absent. There is none at its end.
    pub io_every: Option<Picos>,
    /// How long an I/O takes.
    pub io: Picos,
}

impl Job {
    /// A job of nice 0 without I/O.
    pub const fn new(arrival: Picos, service: Picos) -> Self {
        Self { arrival, service, weight: NICE_0, tickets: 100, priority: 0, io_every: None, io: Picos::ZERO }
    }
}

/// Whether cpus share a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Queues {
    /// As the policy has it: `per-cpu` for CFS and EEVDF, else `shared`.
    #[default]
    Auto,
    /// One queue for all cpus.
    Shared,
    /// One queue a cpu. New jobs go where fewest are, woken ones where they ran.
    PerCpu,
}

/// What is said beside jobs and policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsOptions {
    /// How many jobs run at a time.
    pub cpus: u32,
    /// Whether cpus share a queue.
    pub queues: Queues,
    /// Whether an idle cpu takes from the longest queue of another.
    pub steal: bool,
    /// What it costs a cpu to run another job than the last.
    #[serde(rename = "context_switch_us", with = "micros")]
    pub context_switch: Picos,
    /// When the run ends, if not with the last job.
    #[serde(rename = "until_us", with = "micros::option")]
    pub until: Option<Picos>,
    /// Whether to keep who ran where and when.
    pub timeline: bool,
    /// Of all random numbers.
    pub seed: u64,
}

impl Default for JobsOptions {
    fn default() -> Self {
        Self {
            cpus: 1,
            queues: Queues::Auto,
            steal: true,
            context_switch: Picos::ZERO,
            until: None,
            timeline: false,
            seed: 0,
        }
    }
}

impl JobsOptions {
    /// How many queues there are.
    pub fn queues_of(&self, is_per_cpu: bool) -> u32 {
        match self.queues {
            Queues::PerCpu => self.cpus,
            Queues::Auto if is_per_cpu => self.cpus,
            Queues::Auto | Queues::Shared => 1,
        }
    }
}

/// A run that cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobsError {
    /// The policy lets nobody run though somebody could.
    #[error("the policy picks nobody at {} us, though {waiting} wait and nothing else will happen", .at.0 as f64 / 1e6)]
    Stuck {
        /// How many could run.
        waiting: u32,
        /// Since when.
        at: Picos,
    },
    /// More than 2^63 ps.
    #[error("the run is longer than 2^63 ps (106 days): fewer jobs, or cheaper switches")]
    TooLong,
}

/// Holds the rules of jobs and options.
///
/// # Errors
/// The first that is broken, with its path and the value.
pub fn check(jobs: &[Job], options: &JobsOptions, is_per_cpu: bool) -> Result<(), ConfigError> {
    if !(1..=CPUS_MAX).contains(&options.cpus) {
        return Err(ConfigError::new("cpus", "must be 1 to 4096", options.cpus));
    }
    if is_per_cpu && options.queues == Queues::Shared && options.cpus > 1 {
        let rule = "must be per-cpu: the policy keeps account of one running task a queue";
        return Err(ConfigError::new("queues", rule, "shared"));
    }
    if options.context_switch > SWITCH_MAX {
        let got = options.context_switch.0 as f64 / 1e6;
        return Err(ConfigError::new("context_switch_us", "must be at most 1e6 us", got));
    }
    if u32::try_from(jobs.len()).is_err() {
        return Err(ConfigError::new("jobs", "must be fewer than 2^32", jobs.len()));
    }
    let mut total = jobs.iter().map(|job| job.arrival).max().unwrap_or_default();
    for (index, job) in jobs.iter().enumerate() {
        total = check_job(index, job, total)?;
    }
    Ok(())
}

fn check_job(index: usize, job: &Job, total: Picos) -> Result<Picos, ConfigError> {
    let fail = |field: &str, rule: &str, got: &dyn std::fmt::Display| {
        Err(ConfigError::new(format!("jobs[{index}].{field}"), rule, got))
    };
    if job.service == Picos::ZERO {
        return fail("service_us", "must be at least 1e-6 us", &0);
    }
    if job.io_every == Some(Picos::ZERO) {
        return fail("io_every_us", "must be at least 1e-6 us", &0);
    }
    if job.io_every.is_some() && job.io == Picos::ZERO {
        return fail("io_us", "must be at least 1e-6 us where io_every_us is given", &0);
    }
    for (name, value) in [("weight", job.weight), ("tickets", job.tickets)] {
        if !(1..=SHARE_MAX).contains(&value) {
            return fail(name, "must be 1 to 2^24", &value);
        }
    }
    let bursts = job.io_every.map_or(0, |every| (job.service.0 - 1) / every.0);
    let needs = bursts.checked_mul(job.io.0).and_then(|io| io.checked_add(job.service.0));
    let sum = needs.and_then(|needs| needs.checked_add(total.0)).filter(|&sum| sum <= TOTAL_MAX.0);
    match sum {
        Some(sum) => Ok(Picos(sum)),
        None => fail(
            "service_us",
            "must add up to at most 1e11 us over all jobs, with I/O and the last arrival",
            &(job.service.0 as f64 / 1e6),
        ),
    }
}
