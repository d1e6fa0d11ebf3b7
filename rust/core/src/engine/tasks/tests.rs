//! Laws of tasks that need the engine's own handle: how a run is cut changes no bit of it, under any model.

use crate::base::Picos;
use crate::engine::{Run, RunOptions, RunResult};
use crate::memory::MachineConfig;
use crate::runtime::Model;
use crate::workload::Scenario;
use proptest::prelude::*;
use serde_json::{Value, json};

fn machine(cpus: u32) -> MachineConfig {
    let tree = json!({
        "cpus": cpus,
        "memory_size": "64MiB",
        "caches": [{"name": "L1D", "size": "32KiB", "ways": 8}],
        "tlbs": [{"name": "L1 dTLB", "entries": 64, "ways": 4}],
        "kernel": {"processes_max": 200, "threads_max": 200},
    });
    MachineConfig::from_json(&tree.to_string()).unwrap()
}

/// The result of a run in pieces of so many steps, and up to times so far apart.
fn run(model: &str, cpus: u32, program: &Value, budget: u64, distance: Picos) -> RunResult {
    let mut channels = json!({});
    for (name, capacity) in [("q0", 0), ("q2", 2)] {
        if program.to_string().contains(&format!(r#""channel":"{name}""#)) {
            channels[name] = json!({"kind": "queue", "capacity": capacity});
        }
    }
    let scenario = json!({"name": "test", "model": model, "processes": [{"name": "p", "program": program}],
        "channels": channels,
        "dependencies": {"db": {"service_ns": 3000, "queue_max": 2, "network_ns": {"exponential": {"mean_ns": 500}}}}});
    let scenario = Scenario::from_json(&scenario.to_string()).unwrap();
    let options = RunOptions { seed: 1, event_log_max: 100_000, ..RunOptions::default() };
    let mut run = Run::new(machine(cpus), scenario, &options).unwrap();
    let mut until = distance;
    for _ in 0..2_000_000 {
        if run.advance(budget, until).unwrap() {
            if run.is_over() {
                return run.finish();
            }
            until = Picos(until.0.saturating_add(distance.0));
        }
    }
    panic!("it does not end: {program}");
}

/// Programs whose tasks compute, wait and have tasks of their own.
fn program() -> impl Strategy<Value = Value> {
    let op = prop_oneof![
        (0u64..20_000).prop_map(|ns| json!({"op": "compute", "ns": ns})),
        (0u64..20_000).prop_map(|ns| json!({"op": "sleep", "ns": ns})),
        (0u64..20_000).prop_map(|ns| json!({"op": "io", "ns": ns})),
        (0u64..20_000).prop_map(|ns| json!({"op": "block", "ns": ns})),
        Just(json!({"op": "compute", "ns": {"exponential": {"mean_ns": 3000}}})),
        Just(json!({"op": "yield_now"})),
        Just(json!({"op": "join"})),
        Just(json!({"op": "acquire", "semaphore": "s"})),
        Just(json!({"op": "release", "semaphore": "s"})),
        Just(json!({"op": "send", "channel": "c"})),
        Just(json!({"op": "call", "to": "db"})),
        (1000u64..9000).prop_map(|ns| json!({"op": "call", "to": "db", "policy": {
            "timeout_ns": ns, "retries": 2, "backoff": {"strategy": "full-jitter", "base_ns": 2000},
        }})),
        Just(json!({"op": "recv", "channel": "c"})),
        prop::sample::select(vec![("send", "q0"), ("recv", "q0"), ("send", "q2"), ("recv", "q2")])
            .prop_map(|(op, channel)| json!({"op": op, "channel": channel})),
        Just(json!({"op": "increment", "variable": "v", "how": "locked"})),
        (1u64..20_000).prop_map(|ns| json!({"op": "deadline", "ns": ns, "body": [{"op": "call", "to": "db"}]})),
        (0u64..5000).prop_map(|ns| json!({"op": "repeat", "times": 1, "body": [
            {"op": "lock", "lock": "l"}, {"op": "compute", "ns": ns}, {"op": "unlock", "lock": "l"},
        ]})),
    ];
    let leaf = prop::collection::vec(op.clone(), 0..6).prop_map(|mut child| {
        child.push(json!({"op": "join"}));
        child
    });
    let plain = prop::collection::vec(op.clone(), 0..6);
    let rare = prop_oneof![
        2 => plain.clone().prop_map(|child| json!({"op": "fork", "child": child})),
        1 => plain.clone().prop_map(|child| json!({"op": "thread", "child": child})),
        1 => plain.prop_map(|program| json!({"op": "exec", "name": "new", "program": program})),
        1 => Just(json!({"op": "kill"})),
        1 => Just(json!({"op": "exit"})),
    ];
    let inner = prop_oneof![9 => op, 6 => leaf.prop_map(|child| json!({"op": "task", "child": child})), 1 => rare];
    let body = prop::collection::vec(inner.clone(), 0..6).prop_map(|mut child| {
        child.push(json!({"op": "join"}));
        json!({"op": "task", "child": child})
    });
    let load = json!({"arrivals": {"poisson": {"rate_per_s": 200_000}}, "requests": 10});
    let serve = prop::collection::vec(inner.clone(), 0..3).prop_map(move |mut request| {
        request.push(json!({"op": "join"}));
        json!({"op": "serve", "load": load.clone(), "request": request})
    });
    prop::collection::vec(prop_oneof![3 => inner, 3 => body, 1 => serve], 0..6).prop_map(|mut ops| {
        ops.push(json!({"op": "join"}));
        Value::Array(ops)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn pieces_change_no_bit(
        program in program(),
        model in prop::sample::select(Model::presets().map(|preset| preset.name).to_vec()),
        cpus in 1u32..5,
        budget in 1u64..40,
        distance in prop::sample::select(vec![700_000u64, 9_999_999, u64::MAX]),
    ) {
        let RunResult(whole, _, events) = run(&model, cpus, &program, 1 << 20, Picos::NEVER);
        let RunResult(pieces, _, events_of_pieces) = run(&model, cpus, &program, budget, Picos(distance));
        prop_assert_eq!(events, events_of_pieces);
        prop_assert_eq!(&whole["digest"], &pieces["digest"]);
        let runtime = &whole["runtime"];
        let ends_early = ["\"exit\"", "\"exec\""].iter().any(|op| program.to_string().contains(op));
        if runtime.is_object() && !ends_early {
            // The first thread of some runtimes is a task too, and ends with its process.
            let left = runtime["tasks"].as_u64().unwrap() - runtime["tasks_ended"].as_u64().unwrap();
            prop_assert!(left <= 1 || !whole["deadlock"].as_array().unwrap().is_empty());
        }
    }
}
