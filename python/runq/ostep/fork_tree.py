"""A tree of processes that fork and exit, as OSTEP's `fork.py` plays it.

Models who is whose parent and nothing else. Names of processes and options, defaults and the use of random numbers are
those of the tool, so that the same seed gives the same exercise. Source: cpu-api/fork.py of
remzi-arpacidusseau/ostep-homework at 6c6cfc7.
"""

import string
from collections.abc import Iterator, Sequence
from itertools import count, islice, product
from random import Random

import msgspec

from runq.errors import ConfigError

__all__ = ["ROOT", "Action", "ForkResult", "ProcessTree", "Step", "fork", "play", "prepare"]

# The process that is there from the beginning and never exits.
ROOT = "a"

_LETTERS = string.ascii_lowercase + string.ascii_uppercase
_MOST_ACTIONS = 1_000_000
_LEAST_FORKS = 0.001
_NEW_SEED = -1


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """An action and the tree that it leaves.

    Attributes:
        action: what happens: `a forks b`, `b EXITS`, `b EXITS (failed: has children)`.
        children: every living process, oldest first, with its living children in the order in which it got them.
    """

    action: str
    children: dict[str, tuple[str, ...]]


class ForkResult(msgspec.Struct, frozen=True, kw_only=True):
    """What happens, action by action. Before the first one there is the process `a` alone."""

    steps: tuple[Step, ...]

    def to_json(self) -> str:
        """Everything as one line of JSON: what `--json` prints."""
        return msgspec.json.encode(self).decode()


class Action(msgspec.Struct, frozen=True):
    """`process` forks `child`, or exits where there is none. `place` is the index in the list of actions."""

    process: str
    child: str | None
    place: int

    def __str__(self) -> str:
        return f"{self.process}-" if self.child is None else f"{self.process}+{self.child}"


class ProcessTree:
    """The living processes and their children."""

    def __init__(self) -> None:
        # invariant: has the living processes alone, oldest first; every one but the root is in one list
        self.children: dict[str, list[str]] = {ROOT: []}
        self._parents: dict[str, str] = {}

    def fork(self, process: str, child: str) -> None:
        """Gives `process` a child."""
        self.children[child] = []
        self.children[process].append(child)
        self._parents[child] = process

    def exit(self, process: str, *, local_reparent: bool) -> None:
        """Ends `process`.

        Its children go to its own parent if `local_reparent`. Else all its descendants become children of the root,
        and of nobody else.
        """
        parent = self._parents.pop(process)
        heir = parent if local_reparent else ROOT
        orphans = self.children[process] if local_reparent else self._descendants(process)
        for orphan in orphans:
            self._parents[orphan] = heir
            self.children[heir].append(orphan)
            if not local_reparent:
                self.children[orphan] = []
        self.children[parent].remove(process)
        del self.children[process]

    def snapshot(self) -> dict[str, tuple[str, ...]]:
        """The children as they are now."""
        return {process: tuple(children) for process, children in self.children.items()}

    def _descendants(self, process: str) -> list[str]:
        """Children before their next siblings."""
        found = []
        left = self.children[process][::-1]
        while left:
            found.append(left.pop())
            left += self.children[found[-1]][::-1]
        return found


def fork(
    action_list: str | Sequence[str] = "",
    *,
    actions: int = 5,
    forks: float = 0.7,
    seed: int = _NEW_SEED,
    leaf_only: bool = False,
    local_reparent: bool = False,
) -> ForkResult:
    """Lets processes fork and exit.

    >>> [step.action for step in fork(seed=4, actions=3).steps]
    ['a forks b', 'a forks c', 'b forks d']

    Args:
        action_list: what happens: `"a+b,b-"` or `["a+b", "b-"]` is a forks b, b exits; without it random things do.
        actions: how many random ones, at most 1,000,000.
        forks: how likely a random one is a fork and not an exit; above 0.001.
        seed: of random actions; with -1 they are others every time.
        leaf_only: whether a process that has children fails to exit.
        local_reparent: whether children of a process that exits go to its parent; else all its descendants go to `a`.

    Raises:
        ConfigError: an option is out of its range, or an action is none or cannot be.
    """
    plan = prepare(action_list, actions=actions, forks=forks, seed=seed)
    played = play(plan, leaf_only=leaf_only, local_reparent=local_reparent)
    return ForkResult(steps=tuple(Step(action=action, children=tree.snapshot()) for action, tree in played))


def prepare(action_list: str | Sequence[str], *, actions: int, forks: float, seed: int) -> list[Action]:
    """Checks the options of `fork` and gives the actions; whether they can be done, `play` tells."""
    if not forks > _LEAST_FORKS:
        raise ConfigError("forks", f"must be above {_LEAST_FORKS}", str(forks))
    if not 0 <= actions <= _MOST_ACTIONS:
        raise ConfigError("actions", f"must be between 0 and {_MOST_ACTIONS}", str(actions))
    if not action_list:
        return _random_actions(Random(None if seed == _NEW_SEED else seed), actions, forks)
    texts = action_list.split(",") if isinstance(action_list, str) else action_list
    return [_parse(text, place) for place, text in enumerate(texts)]


def play(plan: Sequence[Action], *, leaf_only: bool, local_reparent: bool) -> Iterator[tuple[str, ProcessTree]]:
    """Does what `plan` says and gives, for each action, what happens and the one tree, which the next action changes.

    Raises:
        ConfigError: an action cannot be.
    """
    tree = ProcessTree()
    for action in plan:
        if action.process not in tree.children:
            raise _refusal(action, "must be of a living process")
        if action.child is not None:
            if action.child in tree.children:
                raise _refusal(action, "must fork a process whose name no living one has")
            tree.fork(action.process, action.child)
            yield f"{action.process} forks {action.child}", tree
        elif leaf_only and tree.children[action.process]:
            yield f"{action.process} EXITS (failed: has children)", tree
        elif action.process == ROOT:
            raise _refusal(action, f"must not end {ROOT}, the root of all")
        else:
            tree.exit(action.process, local_reparent=local_reparent)
            yield f"{action.process} EXITS", tree


def _parse(text: str, place: int) -> Action:
    process, plus, child = text.partition("+")
    if plus and _is_name(process) and _is_name(child):
        return Action(process, child, place)
    if not plus and text.endswith("-") and _is_name(text[:-1]):
        return Action(text[:-1], None, place)
    raise ConfigError(f"action_list[{place}]", "must be X+Y (X forks Y) or X- (X exits)", repr(text))


def _is_name(text: str) -> bool:
    return bool(text) and text.isprintable() and not set("+-,") & set(text)


def _refusal(action: Action, rule: str) -> ConfigError:
    return ConfigError(f"action_list[{action.place}]", rule, repr(str(action)))


def _random_actions(rng: Random, actions: int, forks: float) -> list[Action]:
    """Draws actions as if every exit succeeded, and another one wherever the root would exit."""
    # Of the root and of those that come after it: a, b, ..., Z, aa, ab, ...
    names = islice(("".join(letters) for length in count(1) for letters in product(_LETTERS, repeat=length)), 1, None)
    living = [ROOT]
    plan: list[Action] = []
    while len(plan) < actions:
        is_fork = rng.random() < forks
        process = living[int(rng.random() * len(living))]
        if is_fork:
            child = next(names)
            living.append(child)
            plan.append(Action(process, child, len(plan)))
        elif process != ROOT:
            living.remove(process)
            plan.append(Action(process, None, len(plan)))
    return plan
