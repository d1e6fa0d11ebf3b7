"""Two tasks that pass a message to and fro over unbuffered channels."""

from collections.abc import Sequence

from runq.machine import Machine
from runq.scenario import ChannelSpec, ProcessSpec, Scenario
from runq.simulate import simulate
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import op, predict_each

__all__ = ["EXPERIMENT"]

_CPUS = 2
# Two runs whose difference has no start in it.
_ROUND_TRIPS = (1000, 11_000)


class Channel:
    """What a switch from one to the other costs: half a round trip, on two cpus.

    Predicted from the mutex in the channel and from what parking, readying and picking a task cost.
    """

    file = "channel.csv"
    columns = (Column("runtime", is_number=False), Column("workers"))
    metric = "ns_per_switch"
    unit = "ns"
    measured = ("ns_per_switch",)

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """Two runs a row."""
        return predict_each(rows, tell, lambda row: _predict(row, machine, seed))


def _predict(row: Parameters, machine: Machine, seed: int) -> Prediction:
    two = machine.with_set(f"cpus={max(_CPUS, machine.cpus)}")
    model = f"{row['runtime']}:{row['workers']:g}"
    short, long = (simulate(_scenario(times), two, model, seed=seed).makespan_ns for times in _ROUND_TRIPS)
    return Prediction((long - short) / (_ROUND_TRIPS[1] - _ROUND_TRIPS[0]) / 2)


def _scenario(round_trips: int) -> Scenario:
    there, back = op("send", channel="there"), op("send", channel="back")
    came, returned = op("recv", channel="there"), op("recv", channel="back")
    tasks = [
        op("task", child=[op("repeat", times=round_trips, body=body)]) for body in ([there, returned], [came, back])
    ]
    queue = ChannelSpec(kind="queue")
    return Scenario(
        name="validation",
        processes=[ProcessSpec("program", [*tasks, op("join")])],
        channels={"there": queue, "back": queue},
    )


EXPERIMENT: Experiment = Channel()
