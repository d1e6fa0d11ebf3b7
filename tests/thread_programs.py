"""Random programs of threads that compute, sleep, give way, and wait for one another."""

from typing import Any

from hypothesis import strategies as st

NAMES = ("ann", "bob")
TIMES = st.one_of(st.integers(0, 40), st.integers(0, 5000))

Program = list[dict[str, Any]]


def simple_ops(own_name: str | None) -> st.SearchStrategy[dict[str, Any]]:
    """Ops without a program of their own. Nobody joins its own name."""
    things = st.sampled_from(["a", "b"])
    others: list[dict[str, Any]] = [{"op": "join", "name": name} for name in NAMES if name != own_name]
    return st.one_of(
        TIMES.map(lambda ns: {"op": "compute", "ns": ns}),
        TIMES.map(lambda ns: {"op": "sleep", "ns": ns}),
        st.just({"op": "yield_now"}),
        st.sampled_from([{"op": "join"}, *others]),
        things.map(lambda name: {"op": "acquire", "semaphore": name}),
        things.map(lambda name: {"op": "release", "semaphore": name}),
        st.builds(
            lambda name, size: {"op": "send", "channel": name, "bytes": size},
            things,
            st.sampled_from([1, 20_000, 40_000, 65_536]),
        ),
        things.map(lambda name: {"op": "recv", "channel": name}),
    )


def named_threads(name: str, children: st.SearchStrategy[Program]) -> st.SearchStrategy[dict[str, Any]]:
    return children.map(lambda child: {"op": "thread", "name": name, "child": child})


def programs(
    depth: int, own_name: str | None = None, more: st.SearchStrategy[dict[str, Any]] | None = None
) -> st.SearchStrategy[Program]:
    """Programs whose threads have threads of their own up to a depth. `more` are ops beside those here."""
    ops = simple_ops(own_name) if more is None else st.one_of(simple_ops(own_name), more)
    if depth:
        unnamed = programs(depth - 1, None, more).map(lambda child: {"op": "thread", "child": child})
        named = st.sampled_from(NAMES).flatmap(lambda name: named_threads(name, programs(depth - 1, name, more)))
        copied = st.just({"op": "thread"}) if own_name is None else st.nothing()
        rare = st.just({"op": "exit"})
        ops = st.one_of(ops, ops, unnamed, named, copied, rare)
    return st.lists(ops, max_size=7)
