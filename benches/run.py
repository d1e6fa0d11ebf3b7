"""How fast runq is, with goals and with peers beside it: `python benches/run.py [--short] [--json FILE]`.

Every rate is the median of several passes in this process, on one cpu, with the trace in memory. `--short` takes
prefixes and fails where a rate is below a third of its goal: shared machines are that noisy, and creep is what
`instructions.py` is for.
"""

import argparse
import gc
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import one_pass
import queues
import runq
import sweeps
import traces
from machines import ROWS, Row
from traces import Words

SHORT_ACCESSES = 4_000_000
PEER_ACCESSES = 2_000_000
REFERENCE_ACCESSES = 50_000
TEXT_REPEATS = 4
PARSING_GOAL = 200.0
FORKS = 5
LOCK_PAIRS = 1_000_000
SWITCHES = 200_000
FAILS_BELOW = 1 / 3


class Measured(NamedTuple):
    """A rate beside its goal: median and best by the clock, and the median by the time of the cpu.

    `reached` is what it has come to so far, where that is less than the goal: the alarm goes by it.
    """

    work: str
    trace: str
    rate: float
    best: float
    cpu: float
    goal: float
    unit: str
    reached: float

    def line(self) -> str:
        verdict = "met" if self.rate >= self.goal else "MISSED"
        numbers = f"{self.rate:8.1f} {self.best:8.1f} {self.cpu:8.1f} {self.goal:8.0f}"
        return f"  {self.work:42} {self.trace:8} {numbers}  {self.unit:4}  {verdict}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="prefixes of the traces and few passes, for CI")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rates there too")
    arguments = parser.parse_args()
    passes = 3 if arguments.short else 7
    loaded = load(SHORT_ACCESSES if arguments.short else None)

    print(f"runq {runq.__version__}, Python {platform.python_version()}, {platform.machine()}, {passes} passes")
    print(f"  {'':42} {'trace':8} {'median':>8} {'best':>8} {'by cpu':>8} {'goal':>8}")
    rates: list[Measured] = []
    works = (*replays(loaded, passes), *one_passes(loaded, passes), *parsing(passes), *paging(passes))
    engine = (
        *locking(passes),
        *scheduling(passes),
        *sharing(passes),
        *tasks(passes),
        *switching(passes),
        *accessing(passes),
    )
    for measured in (*works, *engine):
        print(measured.line(), flush=True)
        rates.append(measured)
    of_sweeps = sweeps.sweeps(short=arguments.short)
    peers = [
        *beside_us(loaded, short=arguments.short),
        *one_pass.beside_one_at_a_time(loaded),
        *queues.beside_us(short=arguments.short),
    ]

    if arguments.json:
        tree = {"version": runq.__version__, "short": arguments.short, "passes": passes}
        arguments.json.write_text(
            json.dumps(tree | {"rates": [r._asdict() for r in rates], "sweeps": of_sweeps, "peers": peers}, indent=1)
        )
    by_clock, by_cpu = (sum(getattr(each, by) >= each.goal for each in rates) for by in ("rate", "cpu"))
    far = [measured for measured in rates if max(measured.best, measured.cpu) < measured.reached * FAILS_BELOW]
    print(f"goals met: {by_clock} of {len(rates)} by the clock, {by_cpu} by the time of the cpu")
    if arguments.short and far:
        print(f"below a third of what it should be: {', '.join(f'{each.work} on {each.trace}' for each in far)}")
        return 1
    return 0


def load(accesses: int | None) -> dict[str, Words]:
    loaded = {"mix20m": traces.mix20m(accesses), "sort": traces.sort(accesses)}
    return {name: words for name, words in loaded.items() if words is not None}


def replays(loaded: dict[str, Words], passes: int) -> Iterator[Measured]:
    """Each row on each trace. Rows take turns, so that a slow moment of the host does not hit one alone."""
    cases = [(row, name, row.machine()) for row in ROWS for name in loaded]
    seconds: dict[tuple[str, str], list[tuple[float, float]]] = {(row.name, name): [] for row, name, _ in cases}
    for _ in range(passes):
        for row, name, machine in cases:
            start = time.process_time()
            result = runq.replay(loaded[name], machine)
            on_cpu = time.process_time() - start
            if result.engine != "batch":
                raise SystemExit(f"{row.text}: the {result.engine} engine ran")
            seconds[row.name, name].append((result.simulate_seconds, on_cpu))
    for row, name, _ in cases:
        yield _rate(row.text, name, len(loaded[name]) / 1e6, seconds[row.name, name], _goal(row, name), "M/s")


def one_passes(loaded: dict[str, Words], passes: int) -> Iterator[Measured]:
    """Many caches in one pass."""
    for work, name, accesses, seconds, goal in one_pass.passes(loaded, min(passes, 5)):
        yield _rate(work, name, accesses / 1e6, seconds, goal, "M/s")


def parsing(passes: int) -> Iterator[Measured]:
    """Real text, uncompressed and in the page cache: MB/s by the time that the reader's thread was at work."""
    machine = runq.Machine(caches=[runq.Cache("L1D", size="32KiB", ways=8)])
    with tempfile.TemporaryDirectory() as folder:
        lackey, din = Path(folder, "ls.lackey"), Path(folder, "ls.din")
        lackey.write_bytes(traces.lackey_text() * TEXT_REPEATS)
        runq.trace.convert(lackey, din)
        for path in (lackey, din):
            read = (runq.replay(path, machine).read_seconds for _ in range(passes))
            seconds = [(each, each) for each in read]
            yield _rate(f"parsing {path.suffix[1:]}", "ls", path.stat().st_size / 1e6, seconds, PARSING_GOAL, "MB/s")


def paging(passes: int) -> Iterator[Measured]:
    """Pages of 4 KiB: first touches of 39 GiB and the end of the process; forks of 8 GiB, first touches included."""
    machine = runq.Machine(caches=[runq.Cache("L1D", size="32KiB", ways=8)])
    fork = {"op": "repeat", "times": FORKS, "body": [{"op": "fork", "child": []}, {"op": "wait_child"}]}
    for work, size, after, pages, goal in (
        ("first touches", "39GiB", [], 39 << 18, 10.0),
        ("fork, entries copied", "8GiB", [fork], FORKS * 8 << 18, 2.1),
    ):
        program = [{"op": "mmap", "region": "heap", "size": size}, {"op": "touch", "region": "heap"}, *after]
        scenario = runq.Scenario(name=work, processes=[runq.ProcessSpec("p", program)])
        seconds = []
        for _ in range(passes):
            start = time.process_time()
            result = runq.simulate(scenario, machine)
            seconds.append((result.simulate_seconds, time.process_time() - start))
        yield _rate(work, "pages", pages / 1e6, seconds, goal, "M/s")


def scheduling(passes: int) -> Iterator[Measured]:
    """Slices of a hundred jobs that take turns; and M/M/4 at 80 %, where a job comes, is served and forgotten."""
    turns = runq.sched.RoundRobin(time_slice_us=1)
    seconds = []
    for _ in range(passes):
        start = time.process_time()
        result = runq.schedule({"service_us": [30_000] * 100}, turns)
        seconds.append((result.schedule_seconds, time.process_time() - start))
    yield _rate("scheduling events, round robin", "", result.events / 1e6, seconds, 10.0, "M/s")
    seconds = []
    for _ in range(passes):
        start = time.process_time()
        done = runq.benchmarks.mmc(servers=4, utilization=0.8, jobs=4_000_000, seed=1)
        seconds.append((done["seconds"], time.process_time() - start))
    yield _rate("jobs of M/M/4 at 80 %", "", done["jobs"] / 1e6, seconds, 4.0, "M/s")


def sharing(passes: int) -> Iterator[Measured]:
    """Two threads that count in one variable, each on a cpu of its own; and the same with races looked for."""
    machine = runq.machines.load("granite-rapids-vm").with_set("cpus=2")
    for how, times, goal in (("split", 2_000_000, 20.0), ("plain", 10_000_000, 20.0), ("atomic", 500_000, 20.0)):
        for races in (False, True):
            seconds = []
            for _ in range(passes):
                start = time.process_time()
                result = runq.simulate("shared-counter", machine, how=how, times=times, races=races)
                seconds.append((result.simulate_seconds, time.process_time() - start))
            work = f"shared increments, {how}{', races' if races else ''}"
            yield _rate(work, "", 2 * times / 1e6, seconds, goal / 5 if races else goal, "M/s")


def locking(passes: int) -> Iterator[Measured]:
    """Pairs of lock and unlock in a loop: two operations a round."""
    pair = [{"op": "lock", "lock": "A"}, {"op": "unlock", "lock": "A"}]
    program = [{"op": "repeat", "times": LOCK_PAIRS, "body": pair}]
    scenario = runq.Scenario(name="locks", processes=[runq.ProcessSpec("p", program)])
    seconds = []
    for _ in range(passes):
        start = time.process_time()
        result = runq.simulate(scenario)
        seconds.append((result.simulate_seconds, time.process_time() - start))
    yield _rate("lock operations, uncontended", "", 2 * LOCK_PAIRS / 1e6, seconds, 5.0, "M/s")


def tasks(passes: int) -> Iterator[Measured]:
    """Tasks of execution models: sleepers, events of M:N, and a web service with memory."""
    two = runq.machines.load("granite-rapids-vm").with_set("cpus=2")
    for model in ("go", "java"):
        for count in (100_000, 1_000_000):
            seconds = [_simulated("sleepers", two, model, tasks=count)[0] for _ in range(passes)]
            yield _rate(f"sleepers, {count:,} under {model}", "", count / 1e6, seconds, 1.0, "M/s")
    yields = {"op": "repeat", "times": 20_000, "body": [{"op": "yield_now"}]}
    program: list[dict[str, Any]] = [
        {"op": "repeat", "times": 100, "body": [{"op": "task", "child": [yields]}]},
        {"op": "join"},
    ]
    turns = runq.Scenario(name="turns", processes=[runq.ProcessSpec("p", program)])
    seconds = [_simulated(turns, two.with_set("cpus=1"), "go")[0] for _ in range(passes)]
    # Each time one gives way, its loop goes round, and the next one is found: three events.
    yield _rate("events of tasks that take turns", "", 3 * 100 * 20_000 / 1e6, seconds, 10.0, "M/s")
    eight = runq.machines.load("sapphire-rapids").with_set("cpus=8")
    for model in ("go", "thread-pool"):
        seconds = [_simulated("web-service", eight, model, requests=500_000)[0] for _ in range(min(passes, 3))]
        yield _rate(f"web service with memory, {model}", "", 500_000 / 1e3, seconds, 250.0, "k/s", reached=180.0)


def switching(passes: int) -> Iterator[Measured]:
    """Two processes, and two threads of one, that touch 16 KiB and give way: a switch each time, by working sets."""
    machine = runq.machines.load("granite-rapids-vm").with_set("cpus=1")
    region: list[dict[str, Any]] = [
        {"op": "mmap", "region": "data", "size": "16KiB"},
        {"op": "touch", "region": "data"},
    ]
    turn = [{"op": "touch", "region": "data", "access": "read", "unit": "line"}, {"op": "yield_now"}]
    turns = {"op": "repeat", "times": SWITCHES, "body": turn}
    threads = [*region, *[{"op": "thread", "child": [turns]}] * 2, {"op": "join"}]
    for who, programs in (("processes", [[*region, turns]] * 2), ("threads", [threads])):
        processes = [runq.ProcessSpec(f"p{place}", program) for place, program in enumerate(programs)]
        scenario = runq.Scenario(name="switches", processes=processes, memory="footprint")
        runs = [_simulated(scenario, machine, None) for _ in range(passes)]
        switches = runs[0][1].scheduling.switches
        seconds = [each for each, _ in runs]
        yield _rate(f"switches by working sets, {who}", "", switches / 1e6, seconds, 5.0, "M/s", reached=1.5)


def accessing(passes: int) -> Iterator[Measured]:
    """Eight cpus, each with memory of its own, through TLBs and caches, causes told: all hit, or some miss."""
    machine = runq.machines.load("sapphire-rapids").with_set("cpus=8")
    drawn: dict[str, Any] = {"op": "touch", "region": "data", "pattern": "uniform"}
    hits = {**drawn, "unit": "line", "access": "write", "count": 100_000}
    some = {"op": "touch", "region": "data", "access": "read", "count": 50_000}
    mix = [
        {**some, "size": "32KiB", "unit": 8},
        {**some, "size": "32KiB", "unit": 8, "pattern": "uniform"},
        {**some, "size": "64KiB", "unit": "line", "pattern": "uniform", "access": "write"},
        {**some, "unit": "line", "pattern": "hot", "hot_fraction": 0.03, "hot_probability": 0.95},
    ]
    for work, size, body, goal, reached in (
        ("accesses on 8 cpus that hit", "32KiB", [hits], 20.0, 20.0),
        ("accesses on 8 cpus of which some miss", "1MiB", mix, 20.0, 15.0),
    ):
        region = [{"op": "mmap", "region": "data", "size": size}, {"op": "touch", "region": "data"}]
        program = [*region, {"op": "repeat", "times": 2, "body": body}]
        processes = [runq.ProcessSpec(f"p{cpu}", program) for cpu in range(8)]
        scenario = runq.Scenario(name="accesses", processes=processes, memory="addresses")
        seconds = [_simulated(scenario, machine, None)[0] for _ in range(passes)]
        count = 8 * 2 * sum(touch["count"] for touch in body)
        yield _rate(work, "", count / 1e6, seconds, goal, "M/s", reached=reached)


def _simulated(scenario: Any, machine: runq.Machine, model: Any, **changes: Any) -> tuple[tuple[float, float], Any]:
    """The time of a simulation by the clock and by the cpu, and its result."""
    start = time.process_time()
    result = runq.simulate(scenario, machine, model, **changes)
    return (result.simulate_seconds, time.process_time() - start), result


def _goal(row: Row, trace: str) -> float:
    return row.mix20m_goal if trace == "mix20m" else row.sort_goal


def _rate(
    work: str,
    trace: str,
    amount: float,
    seconds: list[tuple[float, float]],
    goal: float,
    unit: str,
    *,
    reached: float | None = None,
) -> Measured:
    by_clock, by_cpu = zip(*seconds, strict=True)
    median, on_cpu = statistics.median(by_clock), statistics.median(by_cpu)
    reached = goal if reached is None else reached
    return Measured(work, trace, amount / median, amount / min(by_clock), amount / on_cpu, goal, unit, reached)


def beside_us(loaded: dict[str, Words], *, short: bool) -> list[dict[str, Any]]:
    """Other simulators on a prefix of each trace, the same three levels, and how many times faster runq is there."""
    print("beside us: 3 levels, LRU, write-backs presented; millions of references a cpu second")
    machine = ROWS[0].machine()
    rows: list[dict[str, Any]] = []
    for name, words in loaded.items():
        ours = statistics.median(_cpu_rate(words[:PEER_ACCESSES], machine) for _ in range(3))
        for peer, simulate, accesses in others(short=short):
            prefix = words[:accesses]
            rate, misses = simulate(prefix)
            own = runq.replay(prefix, machine)["L1D"].misses
            note = "same L1D misses" if misses == own else f"L1D misses {misses:,}, runq {own:,}"
            rates = f"{rate:8.3f}  runq {ours:7.1f}  {ours / rate:8,.0f} times"
            print(f"  {peer:24} {name:8} {rates}  ({note})", flush=True)
            rows.append({"peer": peer, "trace": name, "rate": rate, "runq": ours, "ratio": ours / rate})
    return rows


def _cpu_rate(words: Words, machine: runq.Machine) -> float:
    start = time.process_time()
    runq.replay(words, machine)
    return len(words) / (time.process_time() - start) / 1e6


Simulate = Callable[[Words], tuple[float, int]]


def others(*, short: bool) -> list[tuple[str, Simulate, int]]:
    from peers import pycachesim, reference

    found: list[tuple[str, Simulate, int]] = [
        ("reference (pure Python)", reference, REFERENCE_ACCESSES // 5 if short else REFERENCE_ACCESSES)
    ]
    try:
        import cachesim  # noqa: F401
    except ImportError as error:
        print(f"  pycachesim: skipped, it cannot be imported ({error}); the extra `bench` installs it")
    else:
        found.insert(0, ("pycachesim", pycachesim, PEER_ACCESSES // 4 if short else PEER_ACCESSES))
    return found


if __name__ == "__main__":
    gc.disable()
    start = time.perf_counter()
    code = main()
    print(f"took {time.perf_counter() - start:.0f} s")
    sys.exit(code)
