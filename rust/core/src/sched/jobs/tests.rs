use super::*;
use crate::sched::policies::{EevdfConfig, MlfqConfig, RoundRobinConfig};
use crate::sched::{Fcfs, Open, OpenConfig};
use proptest::prelude::*;

const US: u64 = 1_000_000;

fn jobs(services: &[u64]) -> Vec<Job> {
    services.iter().map(|&service| Job::new(Picos::ZERO, Picos(service * US))).collect()
}

fn policy(text: &str) -> PolicyConfig {
    serde_json::from_str(text).expect("a policy")
}

fn every_policy() -> Vec<PolicyConfig> {
    ["fifo", "sjf", "stcf", "round-robin", "mlfq", "lottery", "stride", "priority", "cfs", "eevdf"]
        .iter()
        .map(|name| policy(&format!("{{\"{name}\": {{}}}}")))
        .collect()
}

fn run(policy: &PolicyConfig, jobs: Vec<Job>, options: &JobsOptions, budget: u64) -> JobsResult {
    let mut run = simulation(policy, jobs, options).expect("rules hold");
    while !run.advance(budget).expect("it goes on") {}
    run.finish()
}

fn ends(result: &JobsResult) -> Vec<u64> {
    result.end.iter().map(|end| end.0 / US).collect()
}

#[test]
fn a_convoy_waits_under_fifo_and_not_under_sjf() {
    let options = JobsOptions::default();
    assert_eq!(ends(&run(&policy("{\"fifo\": {}}"), jobs(&[100, 10, 10]), &options, 99)), [100, 110, 120]);
    assert_eq!(ends(&run(&policy("{\"sjf\": {}}"), jobs(&[100, 10, 10]), &options, 99)), [120, 10, 20]);
}

#[test]
fn switches_cost_and_going_on_does_not() {
    let policy = PolicyConfig::RoundRobin(RoundRobinConfig { time_slice_us: Picos(5 * US) });
    let options = JobsOptions { context_switch: Picos(US), ..JobsOptions::default() };
    let result = run(&policy, jobs(&[10, 5]), &options, 99);
    assert_eq!(ends(&result), [17, 11]);
    assert_eq!(result.switches, [2]);
    assert_eq!(result.switching, [Picos(2 * US)]);
    assert_eq!(ends(&run(&policy, jobs(&[50]), &options, 99)), [50]);
}

#[test]
fn rules_name_path_rule_and_value() {
    let told = |policy: PolicyConfig| policy.check().expect_err("it breaks a rule").to_string();
    let slices = MlfqConfig { time_slices_us: vec![], allotments: vec![], ..MlfqConfig::default() };
    assert_eq!(told(PolicyConfig::Mlfq(slices)), "mlfq.time_slices_us: must be 1 to 64 times, got 0 of them");
    let eevdf = EevdfConfig { tick_us: Picos::ZERO, ..EevdfConfig::default() };
    assert_eq!(told(PolicyConfig::Eevdf(eevdf)), "eevdf.tick_us: must be at least 1e-6 us, got 0");
    assert!(serde_json::from_str::<PolicyConfig>("{\"fifo\": {\"slice\": 1}}").is_err());
}

#[test]
fn a_policy_that_picks_nobody_is_told() {
    #[derive(Debug)]
    struct Nobody;
    impl Scheduler for Nobody {
        fn enqueue(&mut self, _task: &Task, _reason: Enqueue, _now: Picos) {}
        fn remove(&mut self, _id: TaskId, _now: Picos) {}
        fn pick(&mut self, _now: Picos) -> Option<TaskId> {
            None
        }
    }
    let mut run = simulation_under(jobs(&[1, 1]), &JobsOptions::default(), || Nobody).expect("rules hold");
    assert_eq!(run.advance(99), Err(JobsError::Stuck { waiting: 2, at: Picos::ZERO }));
}

#[test]
fn round_robin_without_end_takes_no_memory_and_can_be_stopped() {
    let policy = PolicyConfig::RoundRobin(RoundRobinConfig { time_slice_us: Picos(US) });
    let options = JobsOptions { until: Some(Picos(1_000_000 * US)), ..JobsOptions::default() };
    let result = run(&policy, jobs(&[1 << 30, 1 << 30]), &options, 1000);
    assert_eq!(result.run, [Picos(500_000 * US); 2]);
    assert_eq!(result.end, [Picos::NEVER; 2]);
}

#[test]
fn the_fast_queue_is_fifo() {
    for servers in [1, 3, 8] {
        let config = OpenConfig { jobs: 3000, utilization: 0.9, ..OpenConfig::default() };
        let open: Vec<Job> = Open::new(&config, servers, 4).expect("rules hold").collect();
        let arrivals: Vec<Picos> = open.iter().map(|job| job.arrival).collect();
        let options = JobsOptions { cpus: servers, ..JobsOptions::default() };
        let slow = run(&policy("{\"fifo\": {}}"), open, &options, 99);
        let mut queue = Fcfs::new(&config, servers, 4).expect("rules hold");
        while !queue.advance(7) {}
        let fast = queue.finish();
        let wait: u128 = slow.first_run.iter().zip(&arrivals).map(|(&run, &came)| u128::from((run - came).0)).sum();
        assert_eq!((fast.wait, fast.elapsed), (wait, slow.elapsed));
    }
}

fn some_jobs() -> impl Strategy<Value = Vec<Job>> {
    let job = (0..50_u64, 1..60_u64, 1..5_u32, 0..5_u32, proptest::option::of(1..20_u64), 1..20_u64);
    let job = job.prop_map(|(arrival, service, tickets, priority, every, io)| Job {
        weight: 300 * tickets,
        tickets,
        priority,
        io_every: every.map(|every| Picos(every * US)),
        io: Picos(io * US),
        ..Job::new(Picos(arrival * US), Picos(service * US))
    });
    proptest::collection::vec(job, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// How a run is cut changes no bit of it; every job gets what it needs; a cpu's time is all accounted for.
    #[test]
    fn runs_can_be_cut_anywhere(jobs in some_jobs(), cpus in 1..4_u32, per_cpu: bool, steal: bool, switch in 0..3_u64) {
        for policy in every_policy() {
            let queues = if per_cpu { Queues::PerCpu } else { Queues::Auto };
            let context_switch = Picos(switch * US);
            let options = JobsOptions { cpus, queues, steal, context_switch, ..JobsOptions::default() };
            let whole = run(&policy, jobs.clone(), &options, u64::MAX);
            prop_assert_eq!(&run(&policy, jobs.clone(), &options, 1), &whole);
            prop_assert!(whole.end.iter().all(|&end| end <= whole.elapsed));
            for (job, &ran) in jobs.iter().zip(&whole.run) {
                prop_assert_eq!(job.service, ran);
            }
            let busy: Picos = whole.busy.iter().copied().sum();
            prop_assert_eq!(busy, jobs.iter().map(|job| job.service).sum());
        }
    }
}
