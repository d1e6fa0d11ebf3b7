"""A shop under six execution models: the example of README.md.

A request computes, asks a database, and writes to a log in a call that blocks: threads do not mind; event loops and the
workers of Tokio, Java and Go stand still meanwhile, since the call is over before Go's monitor has seen it twice.
"""

import runq

request = [
    {"op": "compute", "ns": {"exponential": {"mean_ns": 20_000}}},
    {"op": "io", "ns": {"lognormal": {"median_ns": 500_000, "sigma": 0.5}}},  # asks a database
    {"op": "block", "ns": 80_000},  # writes to a log
]
load = {"arrivals": {"poisson": {"rate_per_s": 120_000}}, "requests": 20_000}
serve = {"op": "serve", "load": load, "request": request}
shop = runq.Scenario(name="shop", processes=[runq.ProcessSpec("server", [serve])])
models = ["thread-per-task", "thread-pool:200", "event-loop-per-cpu", "go", "tokio", "java"]
print(runq.compare(scenario=shop, models=models))
