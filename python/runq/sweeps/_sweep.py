"""A sweep: a verb, the space of its points, how often each is run, and what is kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from runq.errors import ConfigError, SweepError
from runq.sweeps._check import check_axes
from runq.sweeps._driver import Drive, Progress
from runq.sweeps._engine import Engine, LocalEngine
from runq.sweeps._repeat import Until, is_narrow
from runq.sweeps._seeds import SEED_MAX, Seeds, seed_of
from runq.sweeps._space import Axes, Space, Where, space_of
from runq.sweeps._store import Store, SweepRecord
from runq.sweeps._table import SweepTable, replicates, resolve
from runq.sweeps._target import Point, Target, target_of

__all__ = ["Sweep", "engine_of"]

_SEED = "seed"


class Sweep:
    """Many runs of a verb: a point for each combination of the values of its axes, and replicates of each.

    `target` is `runq.simulate`, `runq.compare` or `runq.replay`, or its name; what follows is what it is called with.
    An axis is a path: `machine.caches.L1D.ways`, `machine` (names of machines), `scenario.resident` (a parameter),
    `scenario.processes[0].program[1].size`, `model`, `model.workers`, `options.warmup`, `seed`.

    Args:
        target: what is run at every point.
        arguments: what `target` is called with.
        over: the axes: a table of lists, `runq.sweeps.zipped(...)`, `runq.sweeps.points(...)`, or a list of such, which
            are multiplied.
        where: conditions that points must fulfil: expressions over axes, or functions of the values by axis.
        repeat: replicates of each point, or `runq.sweeps.until(...)`.
        seed: of the first replicate of every point.
        seeds: `common`, if replicate n of all points shall have one seed, or `independent`.
        metrics: paths of the result that are kept, instead of the usual ones. `outcome` is what a scenario that comes
            with runq is about; `tree` is the whole result as JSON.
        keywords: what `target` is called with.

    >>> import runq
    >>> sweep = runq.Sweep(
    ...     runq.simulate,
    ...     "fork-latency",
    ...     over={"scenario.resident": ["1MiB", "2MiB"], "machine.kernel.fork.pte_dirtied_ns": [20, 40]},
    ...     metrics=["makespan_ns", "outcome.fork_ns_min"],
    ... )
    >>> table = sweep.run()
    >>> len(table), table.metrics
    (4, ['makespan_ns', 'outcome.fork_ns_min'])
    """

    def __init__(
        self,
        target: object,
        *arguments: Any,
        over: object,
        where: Where | Sequence[Where] = (),
        repeat: int | Until = 1,
        seed: int = 0,
        seeds: Seeds = "common",
        metrics: Sequence[str] | None = None,
        **keywords: Any,
    ) -> None:
        self.target: Target = target_of(target, *arguments, **keywords)
        self.space: Space = space_of(over, where, self.target.axes)
        if not isinstance(repeat, Until) and (isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1):
            raise ConfigError("repeat", "must be at least 1, or until(...)", repr(repeat))
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= SEED_MAX:
            raise ConfigError("seed", "must be between 0 and 2^63-1", repr(seed))
        if seeds not in ("common", "independent"):
            raise ConfigError("seeds", "must be common or independent", repr(seeds))
        if isinstance(metrics, str) or (metrics is not None and not all(isinstance(path, str) for path in metrics)):
            raise ConfigError("metrics", "must be a list of paths", repr(metrics))
        self.repeat, self.seed, self.seeds = repeat, seed, seeds
        self.metrics = tuple(self.target.metrics if metrics is None else metrics)
        if not self.metrics:
            raise ConfigError("metrics", "must name at least one", "[]")
        self.target.bind(self.space.names, self.metrics)
        self._seed_axis = self.space.names.index(_SEED) if _SEED in self.space.names else None
        if self._seed_axis is not None:
            for value in self.space.column(_SEED):
                if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= SEED_MAX:
                    raise ConfigError("over.seed", "must be between 0 and 2^63-1", repr(value))

    def __len__(self) -> int:
        """How many points there are; with `until`, each counted once."""
        return len(self.space) * (1 if isinstance(self.repeat, Until) else self.repeat)

    def run(
        self,
        store: str | os.PathLike[str] | None = None,
        *,
        engine: Any = "local",
        jobs: int | None = None,
        progress: Progress | None = None,
        retry_failed: bool = False,
        mix_versions: bool = False,
    ) -> SweepTable:
        """Runs what is not done yet and returns the table.

        Args:
            store: a file that keeps the results; whatever ends this, the next run with it goes on. By default, a
                temporary one that ends with the table.
            engine: `local`, `dask`, a Dask client, or an engine of your own.
            jobs: points at a time, for `local` and a `dask` without a client; all cpus by default.
            progress: called at most ten times a second with points done, points in all or None, and failed ones.
            retry_failed: whether failed points are run again.
            mix_versions: whether a store with results of another version of the model may be used.

        Raises:
            ConfigError: an axis, a value or a metric breaks a rule.
            StoreError: the store cannot be used; says why and what to do.
        """
        temporary = tempfile.mkdtemp(prefix="runq-sweep-") if store is None else None
        path = str(Path(temporary) / "sweep.db") if temporary is not None else os.fspath(store or "")
        total = None if isinstance(self.repeat, Until) else len(self)
        opened = None
        try:
            check_axes(self)
            opened = Store(path, is_temporary=temporary is not None)
            opened.check_model(mix=mix_versions)
            with opened.driving():
                record = opened.recount(opened.add_sweep(*self._key(), self.space.names))
                if retry_failed and opened.reset_failed(record.id):
                    record = opened.sweep(record.id)
                if not record.is_complete:
                    opened.set_total(record.id, total)
                    self._drive(opened, record, engine_of(engine, jobs), total, progress)
        except BaseException:
            if opened is not None:
                opened.close()
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
            raise
        return SweepTable(opened, opened.sweep(record.id), temporary)

    def points(self) -> Iterator[Point]:
        """All points in their order, the replicates of each beside one another."""
        if isinstance(self.repeat, Until):
            raise SweepError("the points of a sweep that repeats until an interval is narrow are known only as it runs")
        return self._points(range(self.repeat))

    def definition(self) -> dict[str, Any]:
        """All that makes the sweep, as JSON; `Sweep.from_definition` makes the same sweep of it."""
        target = self.target.definition()
        unnamed = [target.pop("unnamed")] if "unnamed" in target else []
        unnamed += ["a condition that is a function" for where in self.space.where if not isinstance(where, str)]
        repeat: Any = dict(self.repeat._asdict()) if isinstance(self.repeat, Until) else self.repeat
        tree = {
            "target": self.target.verb,
            "with": target,
            "over": [{"names": part.names, "steps": list(part.steps)} for part in self.space.parts],
            "where": [where for where in self.space.where if isinstance(where, str)],
            "repeat": repeat,
            "seed": self.seed,
            "seeds": self.seeds,
            "metrics": self.metrics,
        }
        return tree | ({"unnamed": unnamed} if unnamed else {})

    @classmethod
    def from_definition(cls, tree: Mapping[str, Any]) -> Sweep:
        """The sweep of a definition, as stores keep it."""
        from runq.machine import Machine
        from runq.simulate import scenario_of

        if "unnamed" in tree:
            raise SweepError(
                f"the sweep was made in Python with {' and '.join(tree['unnamed'])}: "
                "call its run() with this store again"
            )
        makers = {"machine": Machine.from_dict, "scenario": scenario_of}
        keywords = dict(tree["with"])
        digest = keywords.pop("trace_digest", None)
        for name, make in makers.items():
            if isinstance(keywords.get(name), Mapping):
                keywords[name] = make(keywords[name]["of"])
        repeat = tree["repeat"]
        sweep = cls(
            tree["target"],
            over=[Axes(tuple(part["names"]), [tuple(step) for step in part["steps"]]) for part in tree["over"]],
            where=tree["where"],
            repeat=Until(**repeat) if isinstance(repeat, Mapping) else repeat,
            seed=tree["seed"],
            seeds=tree["seeds"],
            metrics=tree["metrics"],
            **keywords,
        )
        if digest is not None and sweep.target.definition()["trace_digest"] != digest:
            raise SweepError(f"{keywords['trace']}: is another trace than when the sweep began; begin another sweep")
        return sweep

    def _key(self) -> tuple[bytes, str]:
        """What the sweep is found by in a store, and its definition."""
        definition = json.dumps(self.definition(), sort_keys=True)
        digest = hashlib.blake2b(definition.encode(), digest_size=16)
        if any(not isinstance(where, str) for where in self.space.where):
            # A function says nothing of itself; what it leaves does.
            for values in self.space:
                digest.update(json.dumps(values).encode())
        return digest.digest(), definition

    def _drive(
        self, store: Store, record: SweepRecord, engine: Engine, total: int | None, progress: Progress | None
    ) -> None:
        job = self.target.job()
        try:
            self.target.prepare(iter(self.space))
            engine.start(job)
            named = () if self.metrics == self.target.metrics else self.metrics
            drive = Drive(store, record.id, self.target, job, engine, total, progress, named)
            if isinstance(self.repeat, Until):
                total = self._drive_until(drive, store, record.id, self.repeat)
            else:
                drive.run(self.points())
        finally:
            engine.stop()
        with store.transaction():
            store.clear_suspects(record.id)
            store.set_total(record.id, total, is_complete=True)

    def _drive_until(self, drive: Drive, store: Store, sweep: int, rule: Until) -> int:
        """Rounds: one more replicate of every point whose interval is too wide. Only rows decide."""
        drive.run(self._points(range(rule.at_least)))
        name = resolve(rule.metric, [column.name for column in store.columns(sweep)])
        for replicate in range(rule.at_least, rule.at_most):
            # Only those before this one decide, also where a run that was killed has left more.
            found = ((number, values[:replicate]) for number, values in replicates(store, sweep, name))
            wide = [number for number, values in found if values and not is_narrow(rule, values)]
            if not wide:
                break
            drive.run(self._points([replicate], wide))
        done, failed = store.counts(sweep)
        return done + failed

    def _points(self, replicates: Sequence[int], numbers: Sequence[int] | None = None) -> Iterator[Point]:
        wanted = None if numbers is None else iter(numbers)
        following = None if wanted is None else next(wanted, None)
        # Of all points, where neither an axis nor the values of a point change them.
        common = [(one, seed_of(self.seed, one)) for one in replicates]
        is_common = self._seed_axis is None and self.seeds == "common"
        for number, values in enumerate(self.space):
            if wanted is not None:
                if following is None:
                    return
                if number != following:
                    continue
                following = next(wanted, None)
            seeds = common if is_common else self._seeds_of(values, replicates)
            for replicate, seed in seeds:
                yield Point(number, replicate, seed, values)

    def _seeds_of(self, values: tuple[Any, ...], replicates: Sequence[int]) -> list[tuple[int, int]]:
        seed = self.seed if self._seed_axis is None else values[self._seed_axis]
        return [(one, seed_of(seed, one, self.seeds, values)) for one in replicates]


def engine_of(engine: Any, jobs: int | None = None, scheduler: str | None = None) -> Engine:
    """An engine from its name, itself, or a Dask client."""
    if engine == "local":
        if scheduler is not None:
            raise ConfigError("scheduler", "must be left out with the engine local", repr(scheduler))
        return LocalEngine(jobs)
    if engine == "dask" or type(engine).__module__.startswith("distributed."):
        from runq.sweeps._dask import DaskEngine

        return DaskEngine(None if engine == "dask" else engine, scheduler=scheduler, jobs=jobs)
    if all(hasattr(engine, name) for name in ("start", "submit", "wait", "stop", "slots", "ahead", "chunk_s")):
        return cast(Engine, engine)
    raise ConfigError("engine", "must be local, dask, a Dask client or an engine", repr(engine))
