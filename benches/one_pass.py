"""Many caches in one pass: rates, and what one cache of many costs beside a program that simulates one at a time."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import runq
from traces import Words

SETS = [64 << bit for bit in range(8)]
WAYS = 16
PREFIX = 2_000_000
# How many times cheaper one cache of many shall be than one of the peer.
RATIO_GOAL = 100


class Pass(NamedTuple):
    """A pass, and the millions of accesses a second that one cpu shall do on mix20m and on sort."""

    work: str
    run: Callable[[Words], Any]
    goals: dict[str, float]


def _caches(words: Words, policy: Any = "lru") -> Any:
    return runq.all_associativity(words, sets=SETS, max_ways=WAYS, policy=policy)


PASSES = (
    Pass("128 LRU caches in one pass", _caches, {"mix20m": 20, "sort": 60}),
    Pass("128 FIFO caches in one pass", lambda words: _caches(words, "fifo"), {"mix20m": 2, "sort": 40}),
    Pass("miss-ratio curve, exact", runq.miss_ratio_curve, {"mix20m": 8, "sort": 20}),
    Pass(
        "miss-ratio curve, sampled at 1 %",
        lambda words: runq.miss_ratio_curve(words, sample=0.01),
        {"mix20m": 200, "sort": 200},
    ),
)


def passes(loaded: dict[str, Words], count: int) -> Iterator[tuple[str, str, int, list[tuple[float, float]], float]]:
    """By work and trace: accesses, seconds by the clock and of the cpu, and the goal."""
    for each in PASSES:
        for name, words in loaded.items():
            seconds = []
            for _ in range(count):
                start = time.process_time()
                result = each.run(words)
                seconds.append((result.simulate_seconds, time.process_time() - start))
            yield each.work, name, len(words), seconds, each.goals[name]


def beside_one_at_a_time(loaded: dict[str, Words]) -> list[dict[str, Any]]:
    """The cost of one of 128 caches beside one cache of pycachesim, and of `runq.replay`; a prefix, by cpu time."""
    print("one cache of 128 in one pass, beside one at a time; millions of references a cpu second and cache")
    return [row for name, words in loaded.items() for row in _beside(name, words[:PREFIX])]


def _beside(trace: str, words: Words) -> Iterator[dict[str, Any]]:
    machine = runq.Machine(caches=[runq.Cache("L1D", size=64 * 64 * 8, ways=8)])
    ours = len(SETS) * WAYS * statistics.median(_rate(lambda: _caches(words), len(words)) for _ in range(3))
    others = {"runq.replay": _rate(lambda: runq.replay(words, machine), len(words))}
    try:
        others["pycachesim"] = _pycachesim(words)
    except ImportError as error:
        print(f"  pycachesim: skipped, it cannot be imported ({error})")
    for peer, rate in others.items():
        verdict = ("met" if ours / rate >= RATIO_GOAL else "MISSED") if peer == "pycachesim" else ""
        rates = f"{rate:8.1f}  one pass {ours:9.1f}  {ours / rate:8,.0f} times"
        print(f"  {peer:24} {trace:8} {rates}  {verdict}".rstrip(), flush=True)
        yield {"peer": f"{peer}, one at a time", "trace": trace, "rate": rate, "runq": ours, "ratio": ours / rate}


def _rate(run: Callable[[], Any], accesses: int) -> float:
    start = time.process_time()
    run()
    return accesses / (time.process_time() - start) / 1e6


def _pycachesim(words: Words) -> float:
    """One level of 64 sets and 8 ways, in one call."""
    import cachesim
    from peers import load_store_pairs

    memory = cachesim.MainMemory()
    cache = cachesim.Cache("L1", 64, 8, 64, "LRU")
    memory.load_to(cache)
    memory.store_from(cache)
    simulator = cachesim.CacheSimulator(cache, memory)
    pairs = load_store_pairs(words)
    return _rate(lambda: simulator.loadstore(pairs), len(words))
