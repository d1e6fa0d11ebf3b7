"""Increments of one word, one line and lines apart by one cpu and by two: atomic, plain, and under locks."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from runq.machine import Machine
from runq.scenario import LockSpec, ProcessSpec, Scenario, Variable
from runq.simulate import simulate
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import measure, op, predict_each

__all__ = ["EXPERIMENT"]

_ROUNDS_MAX = 200_000
_CPUS = 2

# What a loop of additions takes beside one cycle each: its end is mispredicted once.
_LOOP_END_CYCLES = 35

_INCREMENT = re.compile(
    r"(?P<what>atomic_add|plain_inc|cas)(_plus_(?P<adds>\d+)_adds)?_"
    r"(?P<where>alone|same_word|same_line|same_line_adjacent_words|adjacent_lines_64B|lines_128B_apart|128B_apart|lines_4096B_apart)"
)
_HOW = {"atomic_add": "atomic", "plain_inc": "plain", "cas": "compare-exchange"}
_LOCK = re.compile(r"(?P<kind>mutex|spinlock)_(?P<where>alone|contended|two_threads_one_cpu)")
_KIND: dict[str, Literal["barging", "ttas"]] = {"mutex": "barging", "spinlock": "ttas"}


class Contention:
    """Time of an increment by each thread of one or two, on one cpu or two, that share a word, a line or nothing.

    Both begin together, and a row's time is that of the slower one. Simulated with fewer rounds than were measured:
    each is like the others. Additions in between take a cycle each, and their loop ends
    with a mispredicted branch.
    """

    file = "contention.csv"
    columns = (Column("test", is_number=False), Column("threads"), Column("increments_per_thread"))
    metric = "ns_per_increment_per_thread"
    unit = "ns"
    measured = ("ns_per_increment_per_thread_median", "ns_per_increment_per_thread_min")

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row."""
        machine = machine.with_set(f"cpus={max(_CPUS, machine.cpus)}")
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    test, increments = str(row["test"]), row["increments_per_thread"]
    if not isinstance(increments, int) or increments < 1:
        return Prediction(None, "increments must be a whole number above 0")
    rounds = min(increments, _ROUNDS_MAX)
    programs = _programs(test, machine)
    if programs is None:
        return Prediction(None, f"test {test} is not known")
    if len(programs) != row["threads"]:
        return Prediction(None, f"test {test} has {len(programs)} threads")
    cpus = [0, 0] if test.endswith("one_cpu") else [0, 1]
    meet = [op("increment", variable="ready", how="atomic"), op("spin_until", variable="ready", value=len(programs))]
    threads = [
        op(
            "thread",
            affinity=[cpu],
            child=[*([] if cpus == [0, 0] else meet), measure("rounds", *_repeated(body, rounds))],
        )
        for cpu, body in zip(cpus, programs, strict=False)
    ]
    scenario = Scenario(
        name="validation",
        processes=[ProcessSpec("test", [*threads, op("join")], affinity=(0,))],
        variables={"word": Variable(line="line"), "neighbour": Variable(line="line")},
        locks={"lock": LockSpec(kind=_KIND[found["kind"]])} if (found := _LOCK.fullmatch(test)) else {},
    )
    rows = simulate(scenario, machine, seed=seed)["rounds"]
    # On one cpu they run one after the other.
    took = rows.total_ns if cpus == [0, 0] else rows.max_ns
    return Prediction(None if took is None else took / rounds)


def _repeated(body: list[dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
    """An access that repeats itself, or a body that is repeated."""
    if len(body) == 1 and "variable" in body[0]:
        return [{**body[0], "times": rounds}]
    return [op("repeat", times=rounds, body=body)]


def _programs(test: str, machine: Machine) -> list[list[dict[str, Any]]] | None:
    """What each thread does in a round."""
    if found := _INCREMENT.fullmatch(test):
        cycles = int(found["adds"]) + _LOOP_END_CYCLES if found["adds"] else 0
        work = 1000 * cycles / machine.frequency_mhz
        where = found["where"]
        names = ["word", {"same_word": "word"}.get(where, "neighbour" if "same_line" in where else "far")]
        how = _HOW[found["what"]]
        each = [[op("increment", variable=name, how=how, work_ns=work)] for name in names]
        return each[:1] if where == "alone" else each
    if found := _LOCK.fullmatch(test):
        body = [op("lock", lock="lock"), op("increment", variable="word"), op("unlock", lock="lock")]
        return [body] if found["where"] == "alone" else [body, body]
    read, write = op("load", variable="word"), op("increment", variable="word")
    if test == "read_shared_same_word":
        return [[read], [read]]
    if test == "one_writer_one_reader_same_word":
        return [[write], [read]]
    if test == "one_writer_one_reader_same_line":
        return [[write], [op("load", variable="neighbour")]]
    if test.startswith("pingpong_round_trip_"):
        return [
            [op("spin_until", variable="word", value=wait), op("store", variable="word", value=1 - wait)]
            for wait in (0, 1)
        ]
    return None


EXPERIMENT: Experiment = Contention()
