"""Backoff at one row: against the published simulator, and against a reference that shares no code."""

import numpy as np
import pytest
import runq
from reference.services import contend as reference
from runq.services import Backoff, Strategy, contend
from runq.validation.backoff import _STRATEGIES, interval

ROWS = runq.validate("backoff").rows


def test_published_means_lie_within_their_intervals() -> None:
    runs = {}
    inside, distances = [], []
    for row in ROWS:
        case = (int(row.parameters["clients"]), str(row.parameters["Algorithm"]))
        if case not in runs:
            runs[case] = contend(clients=case[0], backoff=_STRATEGIES[case[1]], runs=100)
        mean, half = interval(runs[case], str(row.parameters["measure"]))
        assert mean == row.predicted
        inside.append(abs(mean - row.measured) <= half)
        distances.append(abs(mean - row.measured) / half * 1.96)
    assert len(inside) == 2 * 2 * 5 * 19
    # Of 380 means at 95 %, 361 are expected to lie inside; a run of bad luck leaves 350 with a chance of 1 in 100.
    assert sum(inside) >= 350
    assert max(distances) < 4.5


def test_both_sets_of_published_means_are_there() -> None:
    for strategy in _STRATEGIES:
        rows = [row for row in ROWS if row.parameters["Algorithm"] == strategy]
        clients = [int(row.parameters["clients"]) for row in rows]
        assert sorted(clients) == sorted(4 * list(range(10, 200, 10)))


@pytest.mark.parametrize("strategy", ["none", "exponential", "full-jitter", "equal-jitter", "decorrelated"])
@pytest.mark.parametrize("network", [10.0, {"uniform": {"min_ns": 2, "max_ns": 30}}])
def test_every_run_is_that_of_the_reference(strategy: Strategy, network: float | dict[str, object]) -> None:
    backoff = Backoff(strategy=strategy, base_ns=5, cap_ns=2000)
    runs = contend(clients=12, backoff=backoff, network_ns=network, runs=5, seed=3)
    expected = [reference(12, strategy, 5, 2000, network, seed=3, run=run) for run in range(5)]
    assert runs.calls.tolist() == [calls for _, calls in expected]
    assert np.allclose(runs.elapsed_ns, [elapsed for elapsed, _ in expected], rtol=1e-12, atol=0.01)


def test_jitter_takes_fewer_calls_and_no_backoff_the_most() -> None:
    calls = {name: contend(clients=80, backoff=name, runs=20).calls.mean() for name in _STRATEGIES.values()}
    assert calls["full-jitter"] < calls["decorrelated"] < calls["exponential"] < 2 * calls["none"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clients": 0}, "clients: must be 1 to 2000, got 0"),
        ({"runs": 0}, "runs: must be 1 to 1000000, got 0"),
        ({"backoff": "jitter"}, "backoff.strategy: must be one of none, exponential, full-jitter"),
        ({"backoff": Backoff(base_ns=0)}, "backoff.base_ns: must be 1 to 1e14, got 0"),
        ({"backoff": Backoff(cap_ns=1)}, "backoff.cap_ns: must be at least base_ns (5000000), got 1"),
        ({"network_ns": -1}, "network_ns: must be a time in nanoseconds"),
        ({"network_ns": float("nan")}, "network_ns: must be a time in nanoseconds"),
        ({"network_ns": {"normal": {"mean_ns": 1, "sd_ns": -1}}}, "network_ns.normal.sd_ns: must be 0 to 1e14, got -1"),
    ],
)
def test_wrong_numbers_are_told(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(runq.ConfigError) as error:
        contend(**arguments)  # type: ignore[arg-type]
    assert message in str(error.value)
