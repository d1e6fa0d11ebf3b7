//! Laws of runs, and what processes do to one another.

use super::{Run, RunError, RunOptions};
use crate::base::Picos;
use crate::memory::MachineConfig;
use crate::workload::Scenario;
use proptest::prelude::*;
use serde_json::{Value, json};

fn machine(cpus: u32, memory: &str) -> MachineConfig {
    let tree = json!({
        "cpus": cpus,
        "memory_size": memory,
        "caches": [{"name": "L1D", "size": "32KiB", "ways": 8}, {"name": "L2", "size": "256KiB", "ways": 8, "shared": cpus > 1}],
        "tlbs": [{"name": "L1 dTLB", "entries": 64, "ways": 4}],
        "kernel": {"processes_max": 40},
    });
    MachineConfig::from_json(&tree.to_string()).unwrap()
}

fn run_on(machine: &MachineConfig, scenario: &Value, budget: u64) -> Result<Value, RunError> {
    let scenario = Scenario::from_json(&scenario.to_string())?;
    let mut run = Run::new(machine.clone(), scenario, &RunOptions { seed: 1, ..RunOptions::default() })?;
    let mut pieces = 0;
    while !run.advance(budget, Picos::NEVER)? {
        pieces += 1;
        assert!(pieces < 1_000_000, "{}", serde_json::to_string(&run.scenario).unwrap());
    }
    assert!(run.is_over(), "nothing is left to happen");
    run.kernel().vm().audit().unwrap();
    Ok(run.finish().0)
}

fn run(program: Value) -> Value {
    let scenario = json!({"name": "test", "processes": [{"name": "p", "program": program}]});
    run_on(&machine(1, "64MiB"), &scenario, 1 << 20).unwrap()
}

fn process(result: &Value, pid: u64) -> &Value {
    result["processes"].as_array().unwrap().iter().find(|process| process["pid"] == pid).unwrap()
}

fn log(result: &Value) -> String {
    result["log"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Programs with all that processes do to one another.
fn program() -> impl Strategy<Value = Value> {
    let op = prop_oneof![
        (1u64..5000).prop_map(|ns| json!({"op": "compute", "ns": ns})),
        (1u64..5000).prop_map(|ns| json!({"op": "sleep", "ns": ns})),
        (1u64..40, "read|write").prop_map(|(count, access)| json!({
            "op": "touch", "region": "heap", "count": count, "access": access, "pattern": "uniform", "unit": "line"
        })),
        Just(json!({"op": "discard", "region": "heap", "size": 8192})),
        Just(json!({"op": "mprotect", "region": "heap", "permissions": "r", "size": 4096})),
        Just(json!({"op": "mprotect", "region": "heap", "permissions": "rw"})),
        Just(json!({"op": "wait_child"})),
        Just(json!({"op": "kill"})),
    ];
    let ops = prop::collection::vec(op, 0..6);
    let body = ops.clone().prop_flat_map(move |body| {
        prop_oneof![
            Just(json!({"op": "fork", "child": body})),
            Just(json!({"op": "vfork", "child": body})),
            Just(json!({"op": "clone_vm", "child": body})),
            Just(json!({"op": "repeat", "times": 3, "body": body})),
            Just(json!({"op": "measure", "name": "m", "body": body})),
            Just(json!({"op": "choose", "weights": [1, 2], "bodies": [body, []]})),
        ]
    });
    (prop::collection::vec(prop_oneof![body], 0..6), ops).prop_map(|(bodies, ops)| {
        let mut program = vec![json!({"op": "mmap", "region": "heap", "size": "128KiB"})];
        program.extend(bodies.into_iter().chain(ops));
        Value::Array(program)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// The caller's pieces change nothing, memory's books balance, every picosecond belongs to one account.
    #[test]
    fn pieces_change_no_bit(
        programs in prop::collection::vec(program(), 1..4),
        cpus in 1u32..4,
        budget in 1u64..50,
        memory in prop::sample::select(vec!["none", "addresses"]),
    ) {
        let processes: Vec<Value> = programs
            .into_iter()
            .enumerate()
            .map(|(index, program)| json!({"name": format!("p{index}"), "program": program, "start_ns": index * 700}))
            .collect();
        let scenario = json!({"name": "random", "processes": processes, "memory": memory});
        let machine = machine(cpus, "8MiB");
        let whole = run_on(&machine, &scenario, 1 << 20).unwrap();
        let pieces = run_on(&machine, &scenario, budget).unwrap();
        prop_assert_eq!(&whole["digest"], &pieces["digest"]);
    }
}

#[test]
fn child_pays_for_the_page_that_it_writes() {
    let result = run(json!([
        {"op": "mmap", "region": "heap", "size": "64KiB"},
        {"op": "touch", "region": "heap"},
        {"op": "fork", "child": [{"op": "touch", "region": "heap", "count": 3}]},
        {"op": "wait_child"},
        {"op": "touch", "region": "heap"},
    ]));
    assert_eq!(process(&result, 3)["faults"], json!({"cow_copy": 3}));
    assert_eq!(process(&result, 2)["faults"], json!({"first_touch": 16, "reuse": 16}));
    let fork = &result["forks"][0];
    assert_eq!(fork["dirtied"].as_u64().unwrap() + fork["scattered"].as_u64().unwrap(), 16);
}

#[test]
fn on_demand_fork_copies_tables_when_they_change() {
    let fork = |policy: &str| {
        let scenario = json!({"name": "fork", "kernel": {"fork_policy": policy}, "processes": [{"name": "p", "program": [
            {"op": "mmap", "region": "heap", "size": "16MiB"},
            {"op": "touch", "region": "heap"},
            {"op": "measure", "name": "fork", "body": [{"op": "fork", "child": [{"op": "exit"}]}]},
            {"op": "wait_child"},
        ]}]});
        let result = run_on(&machine(1, "64MiB"), &scenario, 1 << 20).unwrap();
        (
            result["measures"]["fork"]["total_ns"].as_f64().unwrap(),
            result["forks"][0]["shared_tables"].as_u64().unwrap(),
        )
    };
    let ((copied, none), (shared, tables)) = (fork("copy"), fork("on-demand"));
    assert_eq!(none, 0);
    assert!((8..=9).contains(&tables), "{tables}");
    assert!(shared < copied / 2.0, "{shared} {copied}");
}

#[test]
fn vfork_stops_the_parent_until_exec() {
    let result = run(json!([
        {"op": "measure", "name": "vfork", "body": [
            {"op": "vfork", "child": [{"op": "compute", "ns": 1000}, {"op": "exec", "name": "true", "program": [
                {"op": "compute", "ns": 900_000_000},
            ]}]},
        ]},
        {"op": "wait_child"},
    ]));
    let time = result["measures"]["vfork"]["total_ns"].as_f64().unwrap();
    let kernel = machine(1, "64MiB").kernel;
    let least = 1000.0 + kernel.fork.vfork_ns.nanos() + kernel.fork.exec_ns.nanos();
    assert!(time >= least, "{time}");
    assert_eq!(process(&result, 3)["name"], "true");
}

#[test]
fn segmentation_fault_ends_the_offender_alone() {
    let result = run(json!([
        {"op": "fork", "child": [{"op": "touch", "region": "text", "count": 1}, {"op": "compute", "ns": 5000}]},
        {"op": "wait_child"},
        {"op": "compute", "ns": 77},
    ]));
    let child = process(&result, 3);
    assert_eq!(child["exit_code"], 139);
    assert!(child["end"].as_str().unwrap().contains("segmentation fault: write of 0x400000"), "{child}");
    assert!(child["end"].as_str().unwrap().contains("r-xs text"), "{child}");
    assert_eq!(process(&result, 2)["exit_code"], 0);
}

#[test]
fn orphans_go_to_process_1() {
    let result = run(json!([
        {"op": "fork", "child": [{"op": "sleep", "ns": 100_000}]},
        {"op": "exit", "code": 3},
    ]));
    assert_eq!(process(&result, 3)["parent"], 1);
    assert_eq!(process(&result, 2)["exit_code"], 3);
}

#[test]
fn fork_bomb_meets_the_limit() {
    let result =
        run(json!([{"op": "repeat", "times": 7, "body": [{"op": "fork"}]}, {"op": "sleep", "ns": 1_000_000_000}]));
    assert!(log(&result).contains("the limit of 40 processes is reached"), "{}", log(&result));
    assert_eq!(result["processes"].as_array().unwrap().len(), 40);
}

#[test]
fn full_memory_ends_the_largest_process_by_name() {
    let scenario = json!({"name": "oom", "processes": [
        {"name": "small", "program": [{"op": "mmap", "region": "a", "size": "1MiB"}, {"op": "touch", "region": "a"}, {"op": "compute", "ns": 1e9}]},
        {"name": "large", "program": [{"op": "mmap", "region": "a", "size": "64MiB"}, {"op": "touch", "region": "a"}]},
    ]});
    let result = run_on(&machine(1, "16MiB"), &scenario, 1 << 20).unwrap();
    assert!(log(&result).contains("out of memory: killed process 3 (large)"), "{}", log(&result));
    assert_eq!(process(&result, 3)["exit_code"], 137);
    assert_eq!(process(&result, 2)["exit_code"], 0);
}

#[test]
fn swap_lets_a_large_set_run_at_a_price() {
    let program = json!([{"op": "mmap", "region": "a", "size": "20MiB"}, {"op": "repeat", "times": 2, "body": [{"op": "touch", "region": "a"}]}]);
    let scenario = json!({"name": "swap", "processes": [{"name": "p", "program": program}]});
    let mut machine = machine(1, "16MiB");
    machine.kernel.swap_size = crate::memory::config::Size::from_bytes(32 << 20);
    let result = run_on(&machine, &scenario, 1 << 20).unwrap();
    let swapped_in = result["faults"]["swap_in"].as_u64().unwrap();
    // LRU on a loop that is larger than memory brings every page back.
    assert_eq!(swapped_in, 20 * 256);
    assert_eq!(process(&result, 2)["exit_code"], 0);
}

#[test]
fn what_cannot_be_names_process_and_reason() {
    let problem = |program: Value| {
        let scenario = json!({"name": "bad", "processes": [{"name": "p", "program": program}]});
        run_on(&machine(1, "16MiB"), &scenario, 1 << 20).unwrap_err().to_string()
    };
    let map = json!({"op": "mmap", "region": "a", "size": 8192, "address": 0x10000});
    assert_eq!(
        problem(json!([map, {"op": "mmap", "region": "b", "size": 4096, "address": 0x11000}])),
        "process 2 (p): process 2: 0x11000..0x12000 overlaps the region a at 0x10000"
    );
    assert_eq!(problem(json!([{"op": "touch", "region": "b"}])), "process 2 (p): there is no region b");
    assert!(
        problem(json!([map, {"op": "munmap", "region": "a", "offset": 8192}]))
            .contains("do not lie in the 8192 bytes of a")
    );
    let nested = (0..40).fold(json!([]), |body, _| json!([{"op": "repeat", "times": 1, "body": body}]));
    assert!(problem(nested).contains("must not lie in more than 32 bodies"));
    assert!(problem(json!([{"op": "choose", "weights": [], "bodies": []}])).contains("weights: must be one number"));
    assert!(
        problem(json!([{"op": "touch", "region": "a", "pattern": "zipf", "skew": -1}]))
            .contains("skew: must be 0 to 20")
    );
    assert!(problem(json!([{"op": "fly"}])).contains("fly"));
}

#[test]
fn time_ends_in_an_error_before_it_wraps() {
    let program = json!([{"op": "repeat", "times": 100_000, "body": [{"op": "compute", "ns": 1e14}]}]);
    let scenario = json!({"name": "ages", "processes": [{"name": "p", "program": program}]});
    let error = run_on(&machine(1, "16MiB"), &scenario, 1 << 20).unwrap_err();
    assert_eq!(error.to_string(), "ages runs for more than 100000 s of simulated time");
}

#[test]
fn waiting_without_children_does_nothing() {
    let result = run(json!([{"op": "wait_child"}, {"op": "wait_children"}, {"op": "compute", "ns": 5}]));
    assert_eq!(process(&result, 2)["exit_code"], 0);
}

#[test]
fn two_cpus_run_two_processes_at_once() {
    let program = json!([{"op": "compute", "ns": 10_000_000}]);
    let scenario =
        json!({"name": "two", "processes": [{"name": "a", "program": program}, {"name": "b", "program": program}]});
    let makespan = |cpus| run_on(&machine(cpus, "16MiB"), &scenario, 1 << 20).unwrap()["makespan_ns"].as_f64().unwrap();
    assert!(makespan(2) < 0.6 * makespan(1));
}

#[test]
fn threads_have_stacks_of_their_own_with_a_guard_page() {
    let result = run(json!([
        {"op": "thread", "child": [{"op": "touch", "region": "stack", "offset": 4096 * 2040, "count": 8}]},
        {"op": "join"},
        {"op": "touch", "region": "stack", "count": 4},
        {"op": "fork", "child": [
            {"op": "thread", "child": [
                {"op": "mmap", "region": "below", "size": 4096},
                {"op": "touch", "region": "below"},
                {"op": "touch", "region": "stack", "pattern": "list", "indices": [0, 2047]},
            ]},
            {"op": "join"},
        ]},
        {"op": "wait_child"},
    ]));
    assert_eq!(process(&result, 2)["faults"], json!({"first_touch": 12}));
    assert_eq!(process(&result, 3)["faults"], json!({"first_touch": 3}));
    // The stack of the first thread has gone with it.
    assert!(result["memory"]["frames_peak"].as_u64().unwrap() < 40);
}

#[test]
fn a_process_takes_its_threads_along() {
    let result = run(json!([
        {"op": "thread", "name": "worker", "child": [{"op": "repeat", "times": 1_000_000, "body": [{"op": "compute", "ns": 1000}]}]},
        {"op": "thread", "name": "sleeper", "child": [{"op": "sleep", "ns": 1e12}]},
        {"op": "compute", "ns": 1000},
    ]));
    assert!(result["makespan_ns"].as_f64().unwrap() < 1e7);
    assert_eq!(result["scheduling"]["threads"], 3);
    assert_eq!(result["deadlock"], json!([]));
}

#[test]
fn joins_wait_for_names_or_for_all_that_were_made() {
    let join = |name: Value| {
        let result = run(json!([
            {"op": "thread", "name": "short", "child": [{"op": "sleep", "ns": 1000}]},
            {"op": "thread", "name": "long", "child": [{"op": "sleep", "ns": 5_000_000}]},
            {"op": "measure", "name": "join", "body": [name]},
        ]));
        result["measures"]["join"]["total_ns"].as_f64().unwrap()
    };
    assert!(join(json!({"op": "join", "name": "short"})) < 1e5);
    assert!(join(json!({"op": "join", "name": "long"})) > 4.9e6);
    assert!(join(json!({"op": "join"})) > 4.9e6);
    assert!(join(json!({"op": "join", "name": "nobody"})) < 1e3);
}

#[test]
fn who_waits_for_ever_is_told() {
    let itself = json!({"name": "test", "processes": [{"name": "p", "program": [
        {"op": "thread", "name": "me", "child": [{"op": "join", "name": "me"}]}, {"op": "join"}]}]});
    let error = run_on(&machine(1, "16MiB"), &itself, 1 << 20).unwrap_err();
    assert_eq!(error.to_string(), "process 2 (p): thread me waits for its own end");
    let result = run(json!([
        {"op": "thread", "name": "a", "child": [{"op": "sleep", "ns": 1_000_000}, {"op": "join", "name": "b"}]},
        {"op": "thread", "name": "b", "child": [{"op": "sleep", "ns": 1_000_000}, {"op": "join", "name": "a"}]},
        {"op": "join"},
    ]));
    let waits: Vec<&str> =
        result["deadlock"].as_array().unwrap().iter().map(|row| row["waits_for"].as_str().unwrap()).collect();
    assert_eq!(waits, ["the threads that it made", "thread b", "thread a"]);
    assert!(log(&result).contains("deadlock"), "{}", log(&result));
}

#[test]
fn a_computation_that_ends_as_another_thread_comes_is_not_begun_again() {
    let one = |name: &str, ns: u64, start: u64| json!({"name": name, "program": [{"op": "compute", "ns": ns}], "start_ns": start});
    let scenario = json!({
        "name": "tie",
        "processes": [one("a", 10_000, 0), one("b", 1000, 5000), one("c", 1000, 10_000)],
        "kernel": {"scheduler": "fifo"},
    });
    let result = run_on(&machine(1, "16MiB"), &scenario, 1 << 20).unwrap();
    assert_eq!(result["ledger"]["user"], 12_000);
}

#[test]
fn whether_causes_are_told_changes_no_other_number() {
    let program = json!([
        {"op": "mmap", "region": "heap", "size": "256KiB"},
        {"op": "touch", "region": "heap", "unit": "line", "pattern": "uniform"},
        {"op": "thread", "child": [{"op": "touch", "region": "heap", "unit": "line", "pattern": "chase"}]},
        {"op": "touch", "region": "heap", "unit": "line", "access": "read"},
        {"op": "join"},
    ]);
    let scenario = json!({"name": "test", "memory": "addresses", "processes": [{"name": "p", "program": program}]});
    let digest = |causes| {
        let scenario = Scenario::from_json(&scenario.to_string()).unwrap();
        let options = RunOptions { causes, ..RunOptions::default() };
        let mut run = Run::new(machine(2, "64MiB"), scenario, &options).unwrap();
        while !run.advance(1 << 20, Picos::NEVER).unwrap() {}
        let result = run.finish().0;
        assert_eq!(result.get("misses").is_some(), causes);
        result["digest"].clone()
    };
    assert_eq!(digest(true), digest(false));
}

#[test]
fn a_run_without_end_is_given_up() {
    let forever = json!([{"op": "repeat", "times": 1_u64 << 60, "body": [{"op": "release", "semaphore": "s"}]}]);
    let scenario = json!({"name": "forever", "processes": [{"name": "p", "program": forever}], "events_max": 5000});
    let scenario = Scenario::from_json(&scenario.to_string()).unwrap();
    let mut run = Run::new(machine(1, "16MiB"), scenario, &RunOptions::default()).unwrap();
    let error = std::iter::repeat_with(|| run.advance(1000, Picos::NEVER)).take(20).find_map(Result::err);
    assert!(error.unwrap().to_string().starts_with("forever takes more than 5000 events"));
}

/// One process with one thread: what it does to its pages does not depend on how memory is simulated.
#[test]
fn working_sets_fault_as_addresses_do() {
    let touch = |access: &str, unit: u64| json!({"op": "touch", "region": "heap", "access": access, "unit": unit, "count": 300});
    let program = json!([
        {"op": "mmap", "region": "heap", "size": "128KiB"},
        touch("read", 1024), touch("read", 1024), touch("write", 1024), touch("write", 1024),
        {"op": "discard", "region": "heap", "size": "32KiB"},
        touch("read", 1024), touch("write", 1024),
        {"op": "fork", "child": []},
        {"op": "wait_child"},
        touch("read", 1024), touch("write", 1024), touch("write", 1024),
        {"op": "mprotect", "region": "heap", "permissions": "r"},
        touch("read", 1024), touch("write", 1024),
    ]);
    let of = |memory: &str| {
        let scenario = json!({"name": "test", "memory": memory, "processes": [{"name": "p", "program": program}]});
        let result = run_on(&machine(1, "64MiB"), &scenario, 1 << 20).unwrap();
        (result["faults"].clone(), process(&result, 2)["end"].clone())
    };
    let (faults, end) = of("footprint");
    assert_eq!((&faults, &end), (&of("addresses").0, &of("addresses").1));
    assert!(faults["zero_page"].as_u64() > Some(0) && faults["write_after_zero"].as_u64() > Some(0), "{faults}");
    assert!(end.as_str().unwrap().contains("write"), "{end}");
}

/// The same bytes in two orders are two ways of using them: each costs what it costs.
#[test]
fn working_sets_know_in_which_order_they_are_used() {
    let touch = |name: &str, pattern: &str, dependent: bool| {
        let touch = json!({
            "op": "touch", "region": "heap", "access": "read", "unit": "line", "pattern": pattern, "dependent": dependent
        });
        json!({"op": "repeat", "times": 5, "body": [{"op": "measure", "name": name, "body": [touch]}]})
    };
    let program = json!([
        {"op": "mmap", "region": "heap", "size": "128KiB"},
        {"op": "touch", "region": "heap"},
        touch("stream", "sequential", false),
        touch("chase", "chase", true),
    ]);
    let times = |memory: &str| {
        let scenario = json!({"name": "test", "memory": memory, "processes": [{"name": "p", "program": program}]});
        let result = run_on(&machine(1, "64MiB"), &scenario, 1 << 20).unwrap();
        ["stream", "chase"].map(|name| result["measures"][name]["min_ns"].as_f64().unwrap())
    };
    for (own, exact) in times("footprint").into_iter().zip(times("addresses")) {
        assert!((own / exact - 1.0).abs() < 0.15, "{own} {exact}");
    }
}
