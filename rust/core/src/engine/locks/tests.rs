//! What locks promise, what they cost, and how they say no.

use super::super::{Run, RunError, RunOptions};
use crate::base::Picos;
use crate::memory::MachineConfig;
use crate::workload::Scenario;
use serde_json::{Value, json};

fn machine(cpus: u32) -> MachineConfig {
    let tree = json!({
        "cpus": cpus,
        "frequency_mhz": 1000,
        "transfer_cycles": 60,
        "memory_size": "64MiB",
        "caches": [{"name": "L1D", "size": "32KiB", "ways": 8}],
        "kernel": {"timer": {"tick_ns": 0}},
    });
    MachineConfig::from_json(&tree.to_string()).unwrap()
}

fn try_run(cpus: u32, scenario: &Value) -> Result<Value, RunError> {
    let scenario = Scenario::from_json(&scenario.to_string())?;
    let mut run = Run::new(machine(cpus), scenario, &RunOptions::default())?;
    let mut pieces = 0;
    while !run.advance(10_000, Picos::NEVER)? {
        pieces += 1;
        assert!(pieces < 1000, "it goes on for ever");
    }
    assert!(run.is_over());
    Ok(run.finish().0)
}

/// One process with a thread for each program.
fn threads(programs: &[Value], locks: Value) -> Value {
    let mut program: Vec<Value> = programs.iter().map(|program| json!({"op": "thread", "child": program})).collect();
    program.push(json!({"op": "join"}));
    json!({"name": "t", "processes": [{"name": "p", "program": program}], "locks": locks, "kernel": {"scheduler": "round-robin"}})
}

fn op(name: &str, field: &str, value: &str) -> Value {
    json!({"op": name, field: value})
}

fn lock(name: &str) -> Value {
    op("lock", "lock", name)
}

fn unlock(name: &str) -> Value {
    op("unlock", "lock", name)
}

fn compute(ns: u64) -> Value {
    json!({"op": "compute", "ns": ns})
}

fn problem(program: Value) -> String {
    try_run(1, &threads(&[program], json!({}))).unwrap_err().to_string()
}

#[test]
fn unlock_by_a_stranger_is_an_error() {
    assert!(problem(json!([unlock("A")])).contains("thread 1 unlocks lock A, which nobody holds"));
    let two = [json!([lock("A"), compute(100_000)]), json!([compute(1000), unlock("A")])];
    let error = try_run(2, &threads(&two, json!({}))).unwrap_err().to_string();
    assert!(error.contains("thread 2 unlocks lock A, which thread 1 holds"), "{error}");
}

#[test]
fn waiting_without_the_lock_is_an_error() {
    let error = problem(json!([{"op": "wait", "condition": "c", "lock": "A"}]));
    assert!(error.contains("thread 1 waits for a condition under lock A, which nobody holds"), "{error}");
}

#[test]
fn destroying_a_lock_in_use_and_using_a_destroyed_one_are_errors() {
    let destroy = || op("destroy", "lock", "A");
    assert!(problem(json!([lock("A"), destroy()])).contains("destroys lock A, which thread 1 holds"));
    assert!(problem(json!([destroy(), lock("A")])).contains("uses lock A, which is destroyed"));
    let waiting =
        [json!([lock("A"), compute(100_000)]), json!([compute(1000), lock("A")]), json!([compute(50_000), destroy()])];
    assert!(try_run(3, &threads(&waiting, json!({}))).unwrap_err().to_string().contains("which thread 1 holds"));
}

#[test]
fn configurations_that_cannot_be_are_refused_by_path() {
    let cases = [
        (json!([{"op": "barrier", "barrier": "b", "parties": 0}]), json!({}), "parties: must be at least 1, got 0"),
        (
            json!([{"op": "barrier", "barrier": "b", "parties": 2}, {"op": "barrier", "barrier": "b", "parties": 3}]),
            json!({}),
            "parties: must be 2, as elsewhere for barrier b, got 3",
        ),
        (json!([lock("A")]), json!({"B": {"kind": "fair"}}), "locks.B: must be a lock that a program uses"),
        (json!([lock("A")]), json!({"A": {"kind": "rwlock"}}), "[0].lock: must be no reader-writer lock"),
        (json!([op("read_lock", "lock", "A")]), json!({"A": {"kind": "fair"}}), "must be a lock of kind rwlock"),
        (
            json!([{"op": "wait", "condition": "c", "lock": "A"}]),
            json!({"A": {"kind": "mcs"}}),
            "must be a mutex to wait for a condition",
        ),
        (json!([lock("A")]), json!({"A": {"kind": "tas", "protocol": "inherit"}}), "locks.A.protocol: must be none"),
        (json!([lock("A")]), json!({"A": {"prefer": "fifo"}}), "locks.A.prefer: must be absent"),
        (json!([lock("A")]), json!({"A": {"kind": "fast"}}), "locks.A.kind"),
    ];
    for (program, locks, text) in cases {
        let error = try_run(1, &threads(&[program], locks)).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn taking_a_lock_twice_is_a_deadlock_with_oneself() {
    for kind in ["barging", "fair", "adaptive", "go", "tas", "ttas", "ticket", "mcs"] {
        for cpus in [1, 2] {
            let result =
                try_run(cpus, &threads(&[json!([lock("A"), lock("A")])], json!({"A": {"kind": kind}}))).unwrap();
            let row = &result["deadlock"][0];
            assert_eq!(row["waits_for"], "lock A, which thread 1 holds", "{kind}");
            assert_eq!(row["holds"], json!(["A"]), "{kind}");
        }
    }
}

#[test]
fn a_cycle_is_told_while_others_go_on() {
    let one = json!([lock("A"), compute(50_000), lock("B")]);
    let other = json!([lock("B"), compute(50_000), lock("A")]);
    let busy = json!([compute(10_000_000)]);
    let result = try_run(3, &threads(&[one, other, busy], json!({}))).unwrap();
    let deadlock = result["deadlock"].as_array().unwrap();
    assert_eq!(deadlock.len(), 3, "the cycle, and who joins it");
    assert_eq!(deadlock[0]["holds"], json!(["B"]));
    assert_eq!(deadlock[0]["waits_for"], "lock A, which thread 1 holds");
    let first = result["log"][0].clone();
    assert!(first["text"].as_str().unwrap().starts_with("deadlock: thread 2 waits for lock A"), "{first}");
    assert!(first["at_ns"].as_f64().unwrap() < 200_000.0);
}

#[test]
fn a_lock_that_is_never_given_back_is_told() {
    let result = try_run(2, &threads(&[json!([lock("A")]), json!([compute(9000), lock("A")])], json!({}))).unwrap();
    assert_eq!(result["deadlock"][1]["waits_for"], "lock A, which thread 1 held when it ended");
    assert_eq!(result["log"][0]["text"], "thread 1 ends and holds lock A");
}

#[test]
fn a_mutex_costs_what_the_machine_says() {
    let pair = json!([{"op": "repeat", "times": 10, "body": [lock("A"), unlock("A")]}]);
    let alone = json!({"name": "t", "processes": [{"name": "p", "program": pair}]});
    let user = |scenario: &Value| try_run(1, scenario).unwrap()["ledger"]["user"].as_f64().unwrap();
    assert_eq!(user(&alone), 30.0, "no atomics in a process of one thread");
    assert_eq!(user(&threads(std::slice::from_ref(&pair), json!({}))), 140.0);
    assert_eq!(user(&threads(&[pair], json!({"A": {"kind": "ttas"}}))), 90.0);
}

#[test]
fn everybody_meets_at_a_barrier() {
    let come = |ns: u64| json!([compute(ns), {"op": "barrier", "barrier": "b", "parties": 3}, {"op": "measure", "name": "after", "body": []}]);
    let result = try_run(3, &threads(&[come(10_000), come(20_000), come(90_000)], json!({}))).unwrap();
    assert_eq!(result["measures"]["after"]["count"], 3);
    assert!(result["makespan_ns"].as_f64().unwrap() > 90_000.0);
    let stuck = try_run(3, &threads(&[come(10), come(20)], json!({}))).unwrap();
    assert_eq!(stuck["deadlock"][1]["waits_for"], "barrier b, to which 2 of 3 have come");
}

#[test]
fn readers_share_and_writers_do_not() {
    let hold = |op_name: &str| json!([op(op_name, "lock", "A"), compute(1_000_000), unlock("A")]);
    let time = |programs: &[Value]| try_run(4, &threads(programs, json!({}))).unwrap()["makespan_ns"].as_f64().unwrap();
    assert!(time(&[hold("read_lock"), hold("read_lock"), hold("read_lock")]) < 1_300_000.0);
    assert!(time(&[hold("write_lock"), hold("write_lock"), hold("write_lock")]) > 3_000_000.0);
    assert!(time(&[hold("read_lock"), hold("write_lock"), hold("read_lock")]) > 2_000_000.0);
}

#[test]
fn a_signal_wakes_one_and_a_broadcast_all() {
    let wait = || json!([lock("A"), {"op": "wait", "condition": "c", "lock": "A"}, unlock("A")]);
    let tell = |how: &str| json!([{"op": "sleep", "ns": 1_000_000}, lock("A"), op(how, "condition", "c"), unlock("A")]);
    for kind in ["barging", "fair", "adaptive", "go"] {
        let locks = json!({"A": {"kind": kind}});
        let result = try_run(2, &threads(&[wait(), wait(), tell("signal")], locks.clone())).unwrap();
        assert_eq!(result["deadlock"].as_array().unwrap().len(), 2, "one waits on, and who joins it");
        assert_eq!(result["deadlock"][1]["waits_for"], "condition c");
        let result = try_run(2, &threads(&[wait(), wait(), tell("broadcast")], locks)).unwrap();
        assert_eq!(result["deadlock"], json!([]), "{kind}");
    }
}

/// A spinner whose holder is not on a cpu spins for its whole slice.
#[test]
fn spinning_for_a_preempted_holder_takes_whole_slices() {
    let program = |ns: u64| json!([lock("A"), compute(ns), unlock("A")]);
    let programs = [program(15_000_000), program(1000)];
    let result = try_run(1, &threads(&programs, json!({"A": {"kind": "ticket"}}))).unwrap();
    assert!(result["ledger"]["spin"].as_f64().unwrap() >= 9.9e6, "{}", result["ledger"]);
    let sleeping = try_run(1, &threads(&programs, json!({}))).unwrap();
    assert_eq!(sleeping["ledger"]["spin"], 0);
}

#[test]
fn inheritance_cures_inversion() {
    let run = |protocol: &str, scheduler: Value| {
        let low = json!([lock("A"), compute(50_000_000), unlock("A")]);
        let high = json!([{"op": "sleep", "ns": 1_000_000}, {"op": "measure", "name": "high", "body": [lock("A"), unlock("A")]}]);
        let middle = json!([{"op": "sleep", "ns": 2_000_000}, compute(100_000_000)]);
        let made = |child: Value, priority: u32, nice: i32| json!({"op": "thread", "child": child, "priority": priority, "nice": nice});
        let program = json!([made(low, 3, 19), made(high, 1, -20), made(middle, 2, -10), {"op": "join"}]);
        let scenario = json!({
            "name": "t",
            "processes": [{"name": "p", "program": program}],
            "locks": {"A": {"kind": "barging", "protocol": protocol}},
            "kernel": {"scheduler": scheduler},
        });
        try_run(1, &scenario).unwrap()["measures"]["high"]["max_ns"].as_f64().unwrap()
    };
    let fixed = || json!({"priority": {"aging_us": null}});
    assert!(run("none", fixed()) > 100e6, "the one in the middle runs first");
    assert!(run("inherit", fixed()) < 51e6);
    for scheduler in ["eevdf", "cfs"] {
        let (plain, cured) = (run("none", scheduler.into()), run("inherit", scheduler.into()));
        assert!(1.4 * cured < plain, "{scheduler}: {cured} against {plain}");
    }
}
