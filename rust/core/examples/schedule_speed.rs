//! How many scheduling events a second each policy does: `schedule_speed [EVENTS [TASKS...]]`.
//!
//! `queue` asks a policy alone, as an engine would at the end of each slice: charge, must it yield, enqueue, pick, how
//! long may it run. `jobs` runs so many jobs with I/O on one cpu. Both keep that many tasks queued. Medians of five.

use runq_core::base::{Picos, Rng};
use runq_core::sched::policies::{
    Cfs, CfsConfig, Eevdf, EevdfConfig, Fifo, Lottery, LotteryConfig, Mlfq, MlfqConfig, Priority, PriorityConfig,
    RoundRobin, RoundRobinConfig, Sjf, Stcf, Stride, StrideConfig,
};
use runq_core::sched::{Enqueue, Job, JobsOptions, PolicyConfig, Scheduler, Task, TaskId, simulation};
use std::time::Instant;

const US: u64 = 1_000_000;
const WEIGHTS: [u32; 5] = [1024, 335, 3121, 820, 15];
const NAMES: [&str; 10] =
    ["fifo", "sjf", "stcf", "round-robin", "mlfq", "lottery", "stride", "priority", "cfs", "eevdf"];

fn task(id: u32, rng: &mut Rng) -> Task {
    let burst = Picos(u64::from(1 + rng.below(20_000)) * US);
    let weight = WEIGHTS[id as usize % WEIGHTS.len()];
    Task { id: TaskId(id), burst, weight, tickets: weight, priority: id % 40 }
}

/// Events a second of a policy with so many tasks queued and one that runs.
fn queue_rate(mut policy: impl Scheduler, tasks: u32, events: u32) -> f64 {
    let mut rng = Rng::stream(0, "schedule_speed", 0);
    let mut now = Picos::ZERO;
    for id in 0..=tasks {
        policy.enqueue(&task(id, &mut rng), Enqueue::New, now);
    }
    let mut cycles = |policy: &mut dyn FnMut(Picos, &mut Rng) -> Picos, count: u32| {
        let start = Instant::now();
        for _ in 0..count {
            now = policy(now, &mut rng);
        }
        start.elapsed().as_secs_f64()
    };
    let mut runs = policy.pick(Picos::ZERO).expect("somebody is queued");
    let mut cycle = |now: Picos, rng: &mut Rng| {
        let until = policy.runs_until(runs, now).min(now + Picos(10_000 * US));
        policy.charge(runs, until - now, until);
        if policy.must_yield(runs, until) {
            policy.enqueue(&task(runs.0, rng), Enqueue::SliceUsed, until);
            runs = policy.pick(until).expect("somebody is queued");
        }
        until
    };
    cycles(&mut cycle, tasks.min(events));
    f64::from(events) / cycles(&mut cycle, events)
}

fn queue_rate_of(name: &str, tasks: u32, events: u32) -> f64 {
    match name {
        "fifo" => queue_rate(Fifo::default(), tasks, events),
        "sjf" => queue_rate(Sjf::default(), tasks, events),
        "stcf" => queue_rate(Stcf::default(), tasks, events),
        "round-robin" => queue_rate(RoundRobin::new(&RoundRobinConfig::default()), tasks, events),
        "mlfq" => queue_rate(Mlfq::new(&MlfqConfig::default()), tasks, events),
        "lottery" => queue_rate(Lottery::new(&LotteryConfig::default(), 0, 0), tasks, events),
        "stride" => queue_rate(Stride::new(&StrideConfig::default()), tasks, events),
        "priority" => queue_rate(Priority::new(&PriorityConfig::default()), tasks, events),
        "cfs" => queue_rate(Cfs::new(&CfsConfig::default(), 1), tasks, events),
        _ => queue_rate(Eevdf::new(&EevdfConfig::default(), 1), tasks, events),
    }
}

/// Events a second of jobs under a policy. Each has as many bursts of some 10 ms as give so many events in all.
fn jobs_rate(name: &str, tasks: u32, events: u32) -> f64 {
    let policy: PolicyConfig = serde_json::from_str(&format!("{{\"{name}\": {{}}}}")).expect("a policy");
    let bursts = u64::from((events / 3 / tasks).max(2));
    let mut rng = Rng::stream(0, "schedule_speed", 1);
    let jobs = (0..=tasks).map(|id| {
        let Task { weight, tickets, priority, .. } = task(id, &mut rng);
        let every = u64::from(5_000 + rng.below(10_000)) * US;
        let job = Job::new(Picos::ZERO, Picos(bursts * every));
        Job { weight, tickets, priority, io_every: Some(Picos(every)), io: Picos(US), ..job }
    });
    let mut run = simulation(&policy, jobs.collect(), &JobsOptions::default()).expect("rules hold");
    let start = Instant::now();
    run.advance(u64::from(events)).expect("it goes on");
    run.events() as f64 / start.elapsed().as_secs_f64()
}

fn median(mut rate: impl FnMut() -> f64) -> f64 {
    let mut rates: Vec<f64> = (0..5).map(|_| rate()).collect();
    rates.sort_by(f64::total_cmp);
    rates[2] / 1e6
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let events = arguments.next().unwrap_or(Ok(300_000))?;
    let mut sizes = arguments.collect::<Result<Vec<_>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![2, 100, 100_000];
    }
    println!("{:<12} {:>8} {:>12} {:>12}", "policy", "queued", "queue M/s", "jobs M/s");
    for name in NAMES {
        for &tasks in &sizes {
            let queue = median(|| queue_rate_of(name, tasks, events));
            let jobs = median(|| jobs_rate(name, tasks, events));
            println!("{name:<12} {tasks:>8} {queue:>12.1} {jobs:>12.1}");
        }
    }
    Ok(())
}
