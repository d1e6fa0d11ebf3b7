"""The 99th percentile of latency by load, under each execution model: where each of them has had enough.

`python examples/compare_loads.py` prints a table; `--plot FILE.svg` draws it as well, which needs matplotlib.
"""

import argparse

import runq

MODELS = ["process-per-task", "thread-per-task", "event-loop", "event-loop-per-cpu", "go", "tokio", "java"]
LOADS = [5_000, 10_000, 20_000, 40_000, 50_000, 60_000, 65_000, 70_000, 75_000, 80_000, 90_000]


def p99_ms(load: int, requests: int) -> list[float]:
    """Of each model."""
    table = runq.compare(models=MODELS, repeat=1, rate_per_s=load, requests=requests)
    return [row.latency_ns["p99"] / 1e6 for row in table.models]


def plot(rows: list[list[float]], path: str) -> None:
    """Draws a line a model."""
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "runq"
    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    for model, times in zip(MODELS, zip(*rows, strict=True), strict=True):
        axes.plot([load / 1000 for load in LOADS], times, marker=".", label=model)
    axes.set(yscale="log", xlabel="requests a second, thousands", ylabel="p99, ms")
    axes.set_title("web-service on 8 cpus of sapphire-rapids", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Prints the table, and draws it if that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="of each run")
    parser.add_argument("--plot", metavar="FILE", help="where to draw")
    arguments = parser.parse_args()
    rows = [p99_ms(load, arguments.requests) for load in LOADS]
    print("p99, ms  ", *(f"{model:>18}" for model in MODELS))
    for load, times in zip(LOADS, rows, strict=True):
        print(f"{load:7,}/s", *(f"{time:18,.2f}" for time in times))
    if arguments.plot:
        plot(rows, arguments.plot)


if __name__ == "__main__":
    main()
