//! Laws of services, known answers of queueing theory, and what retries and caches are known for.

use super::{ServiceConfig, ServiceError, Simulation};
use proptest::prelude::*;
use serde_json::{Value, json};

fn run(config: &Value, seed: u64) -> Value {
    run_in_pieces(config, seed, 1 << 20)
}

fn run_in_pieces(config: &Value, seed: u64, budget: u64) -> Value {
    let config = ServiceConfig::from_json(&config.to_string()).unwrap();
    let mut simulation = Simulation::new(config, seed).unwrap();
    while !simulation.advance(budget).unwrap() {}
    simulation.finish()
}

fn error(config: &Value) -> String {
    ServiceConfig::from_json(&config.to_string()).unwrap_err().to_string()
}

fn total(result: &Value, name: &str) -> u64 {
    result["totals"][name].as_u64().unwrap()
}

/// An open queue with services of a mean of 1 us.
fn queue(servers: u32, utilization: f64, service: &Value) -> Value {
    json!({
        "name": "queue",
        "load": {"arrivals": {"poisson": {"rate_per_s": utilization * f64::from(servers) * 1e6}}},
        "dependency": {"servers": servers, "service_ns": service},
        "duration_ns": 2e9,
    })
}

fn storm(client: &Value) -> Value {
    json!({
        "name": "storm",
        "load": {"arrivals": {"poisson": {"rate_per_s": 700}}},
        "client": client,
        "dependency": {"servers": 10, "service_ns": {"exponential": {"mean_ns": 1e7}}, "queue_max": 1000},
        "troubles": [{"from_ns": 10e9, "until_ns": 15e9, "slowdown": 5}],
        "duration_ns": 60e9,
    })
}

fn hot_key(cache: &Value) -> Value {
    json!({
        "name": "hot",
        "load": {"arrivals": {"poisson": {"rate_per_s": 1000}}},
        "dependency": {"servers": 4, "service_ns": {"exponential": {"mean_ns": 5e7}}},
        "cache": cache,
        "duration_ns": 60e9,
    })
}

#[test]
fn waits_are_those_of_queueing_theory() {
    let exponential = json!({"exponential": {"mean_ns": 1000}});
    for (config, expected) in [
        (queue(4, 0.8, &exponential), 745.54),
        (queue(1, 0.5, &exponential), 1000.0),
        (queue(1, 0.8, &json!(1000)), 2000.0),
    ] {
        let result = run(&config, 1);
        let wait = result["dependency"]["mean_wait_ns"].as_f64().unwrap();
        assert!((wait / expected - 1.0).abs() < 0.04, "{wait} instead of {expected}");
        assert_eq!(total(&result, "late") + total(&result, "failed"), 0);
    }
}

#[test]
fn a_storm_of_retries_outlives_its_cause() {
    let answered = |result: &Value| -> u64 {
        let column = result["series"]["answered"].as_array().unwrap();
        column[40..].iter().map(|count| count.as_u64().unwrap()).sum()
    };
    let naive = run(&storm(&json!({"timeout_ns": 1e8, "retries": 3, "backoff": {"strategy": "none"}})), 1);
    assert!(answered(&naive) < 20 * 100, "{}", answered(&naive));
    let thrifty = json!({"timeout_ns": 1e8, "retries": 3, "budget": {"per_call": 0.1}});
    let saved = run(&storm(&thrifty), 1);
    assert!(answered(&saved) > 20 * 650, "{}", answered(&saved));
    assert!(total(&saved, "failed_budget") > 1000);
    let broken = json!({"timeout_ns": 1e8, "retries": 3, "breaker": {"open_ns": 2e9}});
    let broken = run(&storm(&broken), 1);
    assert!(answered(&broken) > 20 * 650 && total(&broken, "breaker_openings") > 0, "{}", answered(&broken));
}

#[test]
fn an_expired_hot_key_is_loaded_by_everybody_unless_one_flies() {
    let plain = run(&hot_key(&json!({"ttl_ns": 1e10})), 1);
    assert!(plain["stampede"].as_u64().unwrap() > 15, "{}", plain["stampede"]);
    let single = run(&hot_key(&json!({"ttl_ns": 1e10, "single_flight": true})), 1);
    assert_eq!(single["stampede"], 1);
    assert!(total(&single, "loads") <= 6 && total(&single, "joined") > 50);
    let stale = run(&hot_key(&json!({"ttl_ns": 1e10, "stale_ns": 1e9, "single_flight": true})), 1);
    assert!(total(&stale, "joined") < total(&single, "joined") / 2 && total(&stale, "refreshes") >= 4);
}

#[test]
fn writers_decide_how_stale_reads_are() {
    let stale_reads = |writes: &str| {
        let mut config = hot_key(&json!({"ttl_ns": 2e9, "writes": writes, "single_flight": true}));
        config["keys"] = json!({"count": 20, "skew": 1, "write_share": 0.02});
        total(&run(&config, 1), "stale_reads")
    };
    let (expire, invalidate, through) =
        (stale_reads("expire"), stale_reads("invalidate"), stale_reads("write-through"));
    // A load that began before a write brings what was there before it, behind what the writer did to the entry.
    assert!(expire > 5 * invalidate && invalidate > 5 * through, "{expire} {invalidate} {through}");
}

#[test]
fn a_run_that_goes_on_for_ever_is_told() {
    let mut config = queue(1, 0.5, &json!(1000));
    config["events_max"] = json!(1000);
    let mut simulation = Simulation::new(ServiceConfig::from_json(&config.to_string()).unwrap(), 1).unwrap();
    let error = simulation.advance(u64::MAX).unwrap_err();
    assert!(matches!(error, ServiceError::Events { events: 1000, .. }), "{error}");
    let nothing = json!({
        "name": "nothing",
        "load": {"arrivals": {"closed": {"clients": 1}}},
        "dependency": {"service_ns": 0},
        "duration_ns": 1e9,
    });
    let mut simulation = Simulation::new(ServiceConfig::from_json(&nothing.to_string()).unwrap(), 1).unwrap();
    let error = simulation.advance(u64::MAX).unwrap_err().to_string();
    assert_eq!(error, "nothing goes round at 0 ns: nothing that happens there takes any time");
}

#[test]
fn broken_rules_are_told_with_their_paths() {
    let with = |path: &str, value: Value| {
        let mut config = hot_key(&json!({"ttl_ns": 1}));
        *config.pointer_mut(path).unwrap() = value;
        error(&config)
    };
    assert_eq!(with("/duration_ns", json!(0)), "duration_ns: must be above 0, got 0");
    assert_eq!(
        with("/load/arrivals/poisson/rate_per_s", json!(1e18)),
        "load.arrivals.poisson.rate_per_s: must be 1e-5 to 1e12, got 1000000000000000000"
    );
    assert_eq!(with("/dependency/servers", json!(0)), "dependency.servers: must be 1 to 65536, got 0");
    assert_eq!(with("/cache", json!({"ttl_ns": 1, "jitter": 2})), "cache.jitter: must be 0 to 1, got 2");
    assert_eq!(
        with("/cache", json!({"ttl_ns": -1})),
        "cache.ttl_ns: must be a time in nanoseconds, from 0 to 1e14, got -1"
    );
    let mut config = queue(1, 0.5, &json!(1));
    config["troubles"] = json!([{"from_ns": 2, "until_ns": 1}]);
    assert_eq!(error(&config), "troubles[0].until_ns: must not be before from_ns (2), got 1");
    config["troubles"] = json!([]);
    config["window_ns"] = json!(1);
    assert_eq!(error(&config), "window_ns: must cut the duration into at most 100000 parts, got 1");
}

/// Services of all kinds, small ones.
pub(super) fn services() -> impl Strategy<Value = Value> {
    let arrivals = prop_oneof![
        (1e5_f64..3e6).prop_map(|rate| json!({"poisson": {"rate_per_s": rate}})),
        (1e5_f64..3e6).prop_map(|rate| json!({"constant": {"rate_per_s": rate}})),
        (1_u32..20, 1_u32..5000)
            .prop_map(|(clients, think)| json!({"closed": {"clients": clients, "think_ns": think}})),
    ];
    let backoff = prop::sample::select(vec!["none", "exponential", "full-jitter", "equal-jitter", "decorrelated"]);
    let client = (backoff, 0_u32..4, prop::option::of(500_u32..8000), prop::option::of(500_u32..9000)).prop_map(
        |(strategy, retries, timeout, deadline)| {
            json!({
                "backoff": {"strategy": strategy, "base_ns": 100, "cap_ns": 5000},
                "retries": retries, "timeout_ns": timeout, "deadline_ns": deadline,
            })
        },
    );
    let budget = prop::option::of((0.0_f64..1.0).prop_map(|per_call| json!({"per_call": per_call, "burst": 3})));
    let breaker =
        prop::option::of((1_u32..10).prop_map(|window| json!({"window": window, "open_ns": 3000, "probes": 2})));
    let cache = prop::option::of((0_u32..9000, any::<bool>(), 0_u32..3000, 0_usize..3).prop_map(
        |(ttl, single_flight, stale, writes)| {
            let writes = ["expire", "invalidate", "write-through"][writes];
            json!({"ttl_ns": ttl, "jitter": 0.3, "single_flight": single_flight, "stale_ns": stale, "writes": writes, "hit_ns": 10})
        },
    ));
    let dependency = (1_u32..4, 0_u32..8, prop_oneof![Just(0_u32), 1_u32..500], any::<bool>()).prop_map(
        |(servers, queue_max, network, drops)| {
            let service = json!({"exponential": {"mean_ns": 1000}});
            json!({"servers": servers, "queue_max": queue_max, "network_ns": network, "drops_expired": drops, "service_ns": service})
        },
    );
    (arrivals, client, budget, breaker, cache, dependency, 1_u32..4, 0.0_f64..0.5).prop_map(
        |(arrivals, mut client, budget, breaker, cache, dependency, keys, write_share)| {
            client["budget"] = json!(budget);
            client["breaker"] = json!(breaker);
            json!({
                "name": "any",
                "load": {"arrivals": arrivals, "in_flight_max": 30},
                "client": client,
                "cache": cache,
                "dependency": dependency,
                "keys": {"count": keys, "write_share": write_share},
                "troubles": [
                    {"from_ns": 20000, "until_ns": 40000, "slowdown": 4, "flushes": true},
                    {"from_ns": 30000, "until_ns": 35000, "is_down": true},
                ],
                "duration_ns": 100_000,
                "window_ns": 7000,
            })
        },
    )
}

proptest! {
    #[test]
    fn counts_balance_and_cuts_change_nothing(config in services(), seed in 0_u64..100) {
        let result = run(&config, seed);
        prop_assert_eq!(&run_in_pieces(&config, seed, 7), &result);
        let of = |name: &str| total(&result, name);
        prop_assert_eq!(of("requests"), of("answered") + of("failed") + of("turned_away") + of("unfinished"));
        let reasons = of("failed_retries") + of("failed_budget") + of("failed_deadline") + of("failed_breaker");
        prop_assert_eq!(of("failed"), reasons);
        prop_assert!(of("unfinished") <= 30);
        prop_assert_eq!(result["latency_ns"]["count"].as_u64(), Some(of("answered")));
        for name in ["requests", "answered", "attempts", "timeouts", "refused"] {
            let column = result["series"][name].as_array().unwrap();
            prop_assert_eq!(column.len(), 15);
            prop_assert_eq!(column.iter().map(|count| count.as_u64().unwrap()).sum::<u64>(), of(name));
        }
        // Little's law, on every path.
        prop_assert_eq!(&result["dependency"]["area_ns"], &result["dependency"]["stay_ns"]);
        // Every picosecond of every server belongs to one account.
        let accounts = result["ledger"].as_object().unwrap().values().map(|time| time.as_f64().unwrap());
        let capacity = config["dependency"]["servers"].as_f64().unwrap() * result["makespan_ns"].as_f64().unwrap();
        prop_assert!((accounts.sum::<f64>() - capacity).abs() < 1e-2);
        let retries = config["client"]["retries"].as_u64().unwrap();
        prop_assert!(of("attempts") <= (1 + retries) * (of("requests") + of("refreshes")));
        if config["cache"]["single_flight"] == true {
            prop_assert!(result["stampede"].as_u64().unwrap() <= 1);
        }
        if let Some(per_call) = config["client"]["budget"]["per_call"].as_f64() {
            prop_assert!(of("retries") as f64 <= 3.0 + per_call * (of("requests") + of("refreshes")) as f64);
        }
    }
}
