"""What is added to rows here: what a scenario that comes with runq is about, and the whole result."""

from collections.abc import Callable, Sequence
from typing import Any

from runq.sweeps._target import Point, Rows

__all__ = ["OUTCOME", "TREE", "needs_tree", "with_outcomes"]

OUTCOME = "outcome"
TREE = "tree"


def needs_tree(metrics: Sequence[str]) -> bool:
    """Whether metrics are made of the whole result."""
    return any(path.partition(".")[0] in (OUTCOME, TREE) for path in metrics)


def with_outcomes(
    points: Sequence[Point], rows: Rows, metrics: Sequence[str], outcome: Callable[[Point, str], dict[str, Any]]
) -> Rows:
    """Adds to rows that have the whole result what the metrics ask of it; `outcome` reads it."""
    wanted = [path for path in metrics if path.partition(".")[0] == OUTCOME]
    keeps_tree = TREE in metrics
    if not wanted and not keeps_tree:
        return rows
    schemas: dict[tuple[str, ...], int] = {}
    finished = []
    for point, row in zip(points, rows.rows, strict=True):
        extra: dict[str, Any] = {}
        if row.error is None and row.tree is not None:
            if wanted:
                found = {f"{OUTCOME}.{key}": _plain(value) for key, value in outcome(point, row.tree).items()}
                extra = {name: value for name, value in found.items() if _is_wanted(name, wanted)}
            if keeps_tree:
                extra[TREE] = row.tree
        names = (*rows.schemas[row.schema], *extra)
        schema = schemas.setdefault(names, len(schemas))
        finished.append(row._replace(schema=schema, values=(*row.values, *extra.values()), tree=None))
    return Rows(list(schemas), finished)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) else None


def _is_wanted(name: str, wanted: Sequence[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for path in wanted)
