use super::*;
use crate::trace::Batch;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(60);

fn machine() -> String {
    json!({"caches": [{"name": "L1D", "size": "1KiB", "ways": 2}]}).to_string()
}

fn replay(paths: &[&str], metrics: &[&str]) -> Job {
    let words = (0..4000_u64).map(|index| index * index * 64 % 8192).collect();
    let trace = Trace::new(Batch { words, ..Batch::default() });
    let spec = json!({"target": "replay", "paths": paths, "metrics": metrics}).to_string();
    Job::from_json(&spec, Some(Arc::new(trace))).unwrap()
}

fn chunk(points: &[Value]) -> Chunk {
    let points = points
        .iter()
        .map(|values| json!({"machine": 0, "scenario": 0, "seed": 1, "values": values}))
        .collect::<Vec<_>>();
    let paths = points.first().map_or(0, |point| point["values"].as_array().unwrap().len());
    Chunk::from_json(&json!({"machines": [machine()], "points": points}).to_string(), Target::Replay, paths).unwrap()
}

fn run(job: &Job, values: Value) -> Row {
    let chunk = chunk(&[values]);
    job.run(&chunk, &chunk.points[0], &AtomicBool::new(false))
}

#[test]
fn a_point_is_what_a_replay_of_the_changed_machine_counts() {
    let job = replay(&["machine.caches.L1D.ways", "options.warmup"], &["accesses", "levels.L1D.misses"]);
    let row = run(&job, json!([4, 1000]));
    let machine = json!({"caches": [{"name": "L1D", "size": "1KiB", "ways": 4}]}).to_string();
    let machine = crate::memory::MachineConfig::from_json(&machine).unwrap();
    let options = crate::replay::ReplayOptions { warmup: 1000, seed: 1, ..Default::default() };
    let mut single = crate::replay::Replay::new(&machine, &options).unwrap();
    single.feed(job.trace.as_ref().unwrap().batch().as_ref()).unwrap();
    let single = single.finish().unwrap();
    let count = |number: u64| Cell::Int(i64::try_from(number).unwrap());
    let names = Names::from(["accesses", "levels.L1D.misses"].map(str::to_owned));
    let expected = vec![count(single.accesses), count(single.levels[0].1.misses)];
    assert_eq!(row.outcome, Outcome::Done(names, expected, None));
}

#[test]
fn points_written_in_two_ways_are_the_same_point() {
    let by_size = replay(&["machine.caches.L1D.size"], &["cycles"]);
    let by_ways = replay(&["machine.caches[0].ways"], &["cycles"]);
    let identity = run(&by_size, json!(["1KiB"])).identity;
    assert!(identity.is_some());
    assert_eq!(run(&by_size, json!([1024])).identity, identity);
    assert_eq!(run(&by_ways, json!([2])).identity, identity);
    assert_ne!(run(&by_ways, json!([4])).identity, identity);
    assert_ne!(run(&replay(&["machine.caches.L1D.size"], &["accesses"]), json!([1024])).identity, identity);
}

#[test]
fn a_broken_rule_is_a_row_and_the_chunk_goes_on() {
    let job = Arc::new(replay(&["machine.caches.L1D.ways"], &["cycles"]));
    let pool = Pool::new(job, 2).unwrap();
    pool.submit(7, chunk(&[json!([2]), json!([3]), json!(["x"]), json!([4])]));
    let (number, rows) = pool.wait(WAIT).unwrap();
    assert_eq!(number, 7);
    let failed: Vec<bool> = rows.iter().map(|row| matches!(row.outcome, Outcome::Failed(_))).collect();
    assert_eq!(failed, [false, true, true, false]);
}

#[test]
fn rows_do_not_depend_on_threads_or_on_chunks() {
    let values: Vec<Value> = (0..40).map(|index| json!([1 << (index % 5), index])).collect();
    let rows = |threads: usize, cut: usize| -> Vec<Row> {
        let paths = ["machine.caches.L1D.ways", "options.skip"];
        let pool = Pool::new(Arc::new(replay(&paths, &["cycles", "digest"])), threads).unwrap();
        let chunks: Vec<&[Value]> = values.chunks(cut).collect();
        for (number, part) in (0..).zip(&chunks) {
            pool.submit(number, chunk(part));
        }
        let mut done: Vec<_> = chunks.iter().map(|_| pool.wait(WAIT).unwrap()).collect();
        done.sort_by_key(|&(number, _)| number);
        done.into_iter().flat_map(|(_, rows)| rows).collect()
    };
    let expected = rows(1, 40);
    assert!(expected.iter().all(|row| matches!(row.outcome, Outcome::Done(..))));
    assert_eq!(rows(3, 40), expected);
    assert_eq!(rows(2, 7), expected);
}

#[test]
fn a_pool_that_stops_gives_nothing_more_and_ends() {
    let pool = Pool::new(Arc::new(replay(&["options.skip"], &["cycles"])), 2).unwrap();
    pool.submit(0, chunk(&(0..10_000).map(|skip| json!([skip % 100])).collect::<Vec<_>>()));
    pool.stop();
    assert_eq!(pool.wait(Duration::from_millis(20)), None);
    drop(pool);
}

#[test]
fn an_empty_chunk_is_done_at_once() {
    let pool = Pool::new(Arc::new(replay(&[], &["cycles"])), 1).unwrap();
    pool.submit(3, Chunk::default());
    assert_eq!(pool.wait(WAIT), Some((3, Vec::new())));
}

#[test]
fn paths_and_points_that_fit_no_job_are_refused() {
    let error = |spec: Value| Job::from_json(&spec.to_string(), None).unwrap_err().to_string();
    assert_eq!(error(json!({"target": "replay"})), "trace: must be given to a replay, got none");
    let text = error(json!({"target": "simulate", "paths": ["machine.cpus", "options.skip"]}));
    assert!(text.starts_with("paths[1]: must be a path of the machine"), "{text}");
    let point = json!({"machine": 1, "scenario": 0, "seed": 0, "values": []});
    let text = |target, tree: Value| Chunk::from_json(&tree.to_string(), target, 0).unwrap_err().to_string();
    let error = text(Target::Replay, json!({"machines": ["{}"], "points": [point]}));
    assert!(error.starts_with("points[0]: must name a machine"), "{error}");
    let first = json!({"machine": 0, "scenario": 0, "seed": 0, "values": []});
    for (target, chunk) in [
        (Target::Simulate, json!({"machines": ["{}"], "points": [first]})),
        (Target::Simulate, json!({"scenarios": ["{}"], "points": [first]})),
        (Target::Service, json!({"points": [first]})),
    ] {
        assert!(text(target, chunk).starts_with("points[0]: must name"));
    }
}

fn one(job: &Job, machines: &[&str], scenario: &Value, values: Value) -> Outcome {
    let point = json!({"machine": 0, "scenario": 0, "seed": 3, "values": values});
    let chunk = json!({"machines": machines, "scenarios": [scenario.to_string()], "points": [point]}).to_string();
    let chunk = Chunk::from_json(&chunk, job.target(), job.paths()).unwrap();
    job.run(&chunk, &chunk.points[0], &AtomicBool::new(false)).outcome
}

#[test]
fn a_point_of_a_service_is_its_simulation() {
    let service = json!({
        "name": "queue",
        "load": {"arrivals": {"poisson": {"rate_per_s": 500}}},
        "dependency": {"service_ns": 1e6},
        "duration_ns": 1e9,
    });
    let spec = json!({
        "target": "service",
        "paths": ["scenario.load.arrivals.poisson.rate_per_s"],
        "metrics": ["totals.requests", "digest"],
    });
    let job = Job::from_json(&spec.to_string(), None).unwrap();
    let mut changed = service.clone();
    changed["load"]["arrivals"]["poisson"]["rate_per_s"] = json!(900);
    let config = crate::service::ServiceConfig::from_json(&changed.to_string()).unwrap();
    let mut single = crate::service::Simulation::new(config, 3).unwrap();
    while !single.advance(1000).unwrap() {}
    let single = single.finish();
    let names = Names::from(["totals.requests", "digest"].map(str::to_owned));
    let expected = vec![
        Cell::Int(single["totals"]["requests"].as_i64().unwrap()),
        Cell::Text(single["digest"].as_str().unwrap().to_owned()),
    ];
    assert_eq!(one(&job, &[], &service, json!([900])), Outcome::Done(names, expected, None));
    assert!(matches!(one(&job, &[], &service, json!([-1])), Outcome::Failed(text) if text.contains("rate_per_s")));
}

#[test]
fn a_path_may_lead_to_a_lock_that_is_not_declared() {
    let ops = json!([{"op": "lock", "lock": "m"}, {"op": "compute", "ns": 100}, {"op": "unlock", "lock": "m"}]);
    let scenario = json!({"name": "s", "processes": [{"name": "p", "program": ops}]});
    let spec = json!({"target": "simulate", "paths": ["scenario.locks.m.kind"], "metrics": ["makespan_ns"]});
    let job = Job::from_json(&spec.to_string(), None).unwrap();
    let run = |kind: &str| one(&job, &[&machine()], &scenario, json!([kind]));
    assert!(matches!(run("ticket"), Outcome::Done(..)), "{:?}", run("ticket"));
    assert!(matches!(run("wax"), Outcome::Failed(text) if text.starts_with("locks.m.kind")), "{:?}", run("wax"));
}
