"""The exercises of OSTEP: byte for byte what the homework tools print, and what is right where they do not say."""

import hashlib
import json
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import runq
import runq.cli
from hypothesis import given
from hypothesis import strategies as st
from ostep_program import Captured, assert_refused, json_of, output_of
from reference.paging_policy import paging_policy as reference
from runq import ostep
from runq.ostep.page_replacement import POLICIES

GOLDEN = Path(__file__).parent / "golden" / "ostep"
CASES = json.loads((GOLDEN / "index.json").read_text())["cases"]
BELADY = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]

PAGES = st.lists(st.integers(0, 7), min_size=1, max_size=60)


# The tools' own output.


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_output_is_that_of_the_tool(case: dict[str, Any], capsysbinary: Captured) -> None:
    expected = (GOLDEN / case["file"]).read_bytes()
    assert hashlib.sha256(expected).hexdigest() == case["sha256"]
    arguments = shlex.split(case["cmd"])[2:]
    assert output_of(capsysbinary, case["tool"], *arguments).encode() == expected


def test_program_prints_the_same_in_a_shell_without_utf8() -> None:
    case = next(case for case in CASES if case["file"] == "fork/00.txt")
    command = [sys.executable, "-m", "runq.cli", "ostep", "fork", *shlex.split(case["cmd"])[2:]]
    done = subprocess.run(command, capture_output=True, check=True, env={"PYTHONIOENCODING": "ascii"})
    assert done.stdout == (GOLDEN / case["file"]).read_bytes()


def test_exercise_of_paging_asks_and_does_not_tell(capsysbinary: Captured) -> None:
    output = output_of(capsysbinary, "paging-policy", "-a", "7, 8,7", "-p", "LRU", "-C", "2")
    assert output.splitlines() == [
        *("ARG addresses 7, 8,7", "ARG addressfile ", "ARG numaddrs 10", "ARG policy LRU", "ARG clockbits 2"),
        *("ARG cachesize 2", "ARG maxpage 10", "ARG seed 0", "ARG notrace False", ""),
        "Assuming a replacement policy of LRU, and a cache of size 2 pages,",
        "figure out whether each of the following page references hit or miss",
        *("in the page cache.", ""),
        *(f"Access: {page}  Hit/Miss?  State of Memory?" for page in (7, 8, 7)),
        "",
    ]


def test_exercise_of_fork_asks_for_trees_or_actions(capsysbinary: Captured) -> None:
    def last_lines(*options: str) -> list[str]:
        output = output_of(capsysbinary, "fork", "-A", "a+b,b+c", "-P", "line1", *options)
        return output.split("ARG solve False\n\n")[1].splitlines()

    indent = " " * 31
    start = [" " * 27 + "Process Tree:", f"{indent}a", ""]
    one, two = [f"{indent}a", f"{indent}|-- b"], [f"{indent}a", f"{indent}|-- b", f"{indent}    |-- c"]
    assert last_lines() == [
        *(*start, "Action: a forks b", "Process Tree?", "Action: b forks c", "Process Tree?"),
    ]
    assert last_lines("-t") == [*start, "Action?", *one, "Action?", *two]
    final = " " * 24 + "Final Process Tree"
    assert last_lines("-F") == [*start, "Action: a forks b", "Action: b forks c", "", f"{final}?", ""]
    assert last_lines("-F", "-t") == [*start, "Action?", "Action?", "", f"{final}:", *two, ""]


@pytest.mark.parametrize(
    ("style", "drawn"),
    [
        ("basic", [" a", "    b", "       d", "    c"]),
        ("line1", ["a", "+-- b", "|   |-- d", "|-- c"]),
        ("line2", ["a", "|__ b", "|   |__ d", "|__ c"]),
        ("fancy", ["a", "├── b", "│   └── d", "└── c"]),
    ],
)
def test_tree_is_drawn_in_each_style(style: str, drawn: list[str], capsysbinary: Captured) -> None:
    output = output_of(capsysbinary, "fork", "-A", "a+b,a+c,b+d", "-F", "-c", "-P", style)
    assert output.splitlines()[-5:-1] == [" " * 31 + line for line in drawn]


def test_addresses_come_from_a_file(tmp_path: Path, capsysbinary: Captured) -> None:
    path = tmp_path / "addresses"
    path.write_bytes(b"1\r\n 2\n1")
    tree = json_of(capsysbinary, "paging-policy", "-f", str(path), "-a", "5,6")
    assert [access["page"] for access in tree["accesses"]] == [1, 2, 1]


def test_page_minus_one_is_shown_as_none_where_it_goes(capsysbinary: Captured) -> None:
    arguments = ("paging-policy", "-a", "-1,2", "-C", "1")
    assert "Access: 2  MISS FirstIn ->          [2] <- Lastin  Replaced:- " in output_of(capsysbinary, *arguments, "-c")
    assert json_of(capsysbinary, *arguments)["accesses"][-1]["replaced"] == -1


def test_numbers_are_read_as_the_tool_reads_them(capsysbinary: Captured) -> None:
    assert "ARG seed 31\n" in output_of(capsysbinary, "fork", "-s", "0x1f", "-a", "0b11")
    assert "ARG actions 8\n" in output_of(capsysbinary, "fork", "-a", "010")
    output = output_of(capsysbinary, "paging-policy", "-b", "0x3", "-C", "04")
    assert "ARG clockbits 3\nARG cachesize 04\n" in output


def test_deep_tree_is_drawn_and_collapses(capsysbinary: Captured) -> None:
    names = ["a", *(f"p{number}" for number in range(1200))]
    chain = ",".join(f"{process}+{child}" for process, child in pairwise(names))
    output = output_of(capsysbinary, "fork", "-F", "-c", "-A", chain)
    assert output.count("└── ") == 1200
    output = output_of(capsysbinary, "fork", "-F", "-c", "-A", f"{chain},p0-")
    assert (output.count("├── "), output.count("└── ")) == (1198, 1)


# Replacement.


@pytest.mark.parametrize("policy", POLICIES)
@given(data=st.data())
def test_policy_plays_as_the_reference(policy: str, data: st.DataObject) -> None:
    pages = data.draw(PAGES)
    options = {"cachesize": data.draw(st.integers(1, 9)), "seed": data.draw(st.integers(0, 2**70))}
    if policy == "CLOCK":
        options["clockbits"] = data.draw(st.integers(0, 4))
    result = ostep.paging_policy(pages, policy=policy, **options)
    rows = [(access.page, access.hit, list(access.state), access.replaced) for access in result.accesses]
    assert rows == reference(pages, policy=policy, **options)
    assert (result.hits, result.misses) == (sum(row[1] for row in rows), sum(not row[1] for row in rows))


def test_fifo_misses_more_with_more_frames_on_the_sequence_of_belady() -> None:
    misses = [ostep.paging_policy(BELADY, policy="FIFO", cachesize=frames).misses for frames in (3, 4)]
    assert misses == [9, 10]


@given(pages=PAGES, cachesize=st.integers(1, 8), seed=st.integers(0, 99))
def test_no_policy_misses_less_than_opt(pages: list[int], cachesize: int, seed: int) -> None:
    def misses(policy: str) -> int:
        return ostep.paging_policy(pages, policy=policy, cachesize=cachesize, seed=seed).misses

    assert min(map(misses, POLICIES)) == misses("OPT")


@pytest.mark.parametrize("policy", ["LRU", "OPT"])
@given(pages=PAGES, cachesize=st.integers(1, 8))
def test_stack_policy_never_misses_more_with_more_frames(policy: str, pages: list[int], cachesize: int) -> None:
    fewer, more = (ostep.paging_policy(pages, policy=policy, cachesize=cachesize + extra) for extra in (0, 1))
    assert more.misses <= fewer.misses


def test_random_pages_are_those_of_the_seed() -> None:
    first, second = (ostep.paging_policy(seed=seed, numaddrs=50, maxpage=1000) for seed in (1, 2))
    assert first == ostep.paging_policy(seed=1, numaddrs=50, maxpage=1000)
    assert first != second
    assert {access.page for access in ostep.paging_policy(maxpage=0).accesses} == {0}


# Processes.


@given(seed=st.integers(0, 2**70), local_reparent=st.booleans(), leaf_only=st.booleans())
def test_every_living_process_is_the_child_of_one(seed: int, local_reparent: bool, leaf_only: bool) -> None:
    result = ostep.fork(seed=seed, actions=40, leaf_only=leaf_only, local_reparent=local_reparent)
    assert len(result.steps) == 40
    for step in result.steps:
        assert sorted([child for children in step.children.values() for child in children]) == sorted(
            set(step.children) - {"a"}
        )


def test_orphans_go_to_the_root_or_to_the_parent_of_their_parent() -> None:
    actions = "a+b,b+c,c+d,d+e,c+f,b+g,b-,c-"
    at_root = ostep.fork(actions)
    assert at_root.steps[-2].children == {"a": ("c", "d", "e", "f", "g"), "c": (), "d": (), "e": (), "f": (), "g": ()}
    local = ostep.fork(actions.split(","), local_reparent=True)
    assert local.steps[-2].children == {"a": ("c", "g"), "c": ("d", "f"), "d": ("e",), "e": (), "f": (), "g": ()}
    assert local.steps[-1].children["a"] == ("g", "d", "f")


def test_only_leaves_exit_if_asked() -> None:
    result = ostep.fork("a+b,b+c,b-,a-,c-", leaf_only=True)
    assert [step.action for step in result.steps[2:]] == [
        "b EXITS (failed: has children)",
        "a EXITS (failed: has children)",
        "c EXITS",
    ]
    assert result.steps[-1].children == {"a": ("b",), "b": ()}


def test_names_go_on_after_the_alphabet() -> None:
    children = ostep.fork(seed=0, actions=60, forks=1).steps[-1].children
    assert list(children)[25:28] == ["z", "A", "B"]
    assert list(children)[51:54] == ["Z", "aa", "ab"]


def test_name_of_a_dead_process_is_free_again() -> None:
    assert ostep.fork("a+b,b-,a+b").steps[-1].children == {"a": ("b",), "b": ()}


def test_fork_without_a_seed_differs_from_time_to_time() -> None:
    assert len({ostep.fork(actions=30).to_json() for _ in range(5)}) > 1
    assert len({ostep.fork(actions=30, seed=5).to_json() for _ in range(5)}) == 1


# JSON, start, errors.


def test_json_of_paging_is_that_of_the_api(capsysbinary: Captured) -> None:
    tree = json_of(capsysbinary, "paging-policy", "-a", "1,2,1,3", "-C", "2", "-p", "LRU", "-N")
    assert tree == {
        "hits": 1,
        "misses": 3,
        "accesses": [
            {"page": 1, "hit": False, "state": [1], "replaced": None},
            {"page": 2, "hit": False, "state": [1, 2], "replaced": None},
            {"page": 1, "hit": True, "state": [2, 1], "replaced": None},
            {"page": 3, "hit": False, "state": [1, 3], "replaced": 2},
        ],
    }
    result = ostep.paging_policy([1, 2, 1, 3], cachesize=2, policy="LRU")
    assert json.loads(result.to_json()) == tree
    assert result.hit_ratio == 0.25


def test_json_of_fork_is_that_of_the_api(capsysbinary: Captured) -> None:
    tree = json_of(capsysbinary, "fork", "-A", "a+b,a+d,d-", "-t", "-F")
    assert tree == {
        "steps": [
            {"action": "a forks b", "children": {"a": ["b"], "b": []}},
            {"action": "a forks d", "children": {"a": ["b", "d"], "b": [], "d": []}},
            {"action": "d EXITS", "children": {"a": ["b"], "b": []}},
        ]
    }
    assert json.loads(ostep.fork("a+b,a+d,d-").to_json()) == tree
    assert json_of(capsysbinary, "fork", "-a", "0") == {"steps": []}


def test_results_are_values() -> None:
    result = ostep.paging_policy(seed=1)
    with pytest.raises(AttributeError):
        result.hits = 0  # type: ignore[misc]
    assert ostep.fork(seed=1) == ostep.fork(seed=1)


def test_exercises_cost_nothing_where_they_are_not_used() -> None:
    code = "import sys, runq.cli; sys.exit('runq.ostep' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "command",
    [(), ("paging-policy",), ("fork",), ("scheduler",), ("mlfq",), ("lottery",), ("process-run",), ("multi",)],
)
def test_help_has_examples(command: tuple[str, ...], capsysbinary: Captured) -> None:
    assert "Examples:\n" in output_of(capsysbinary, *command, "--help")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("-C 0", ["cachesize: must be at least 1, got 0"]),
        ("-C -1", ["cachesize: must be at least 1, got -1"]),
        ("-C three", ["cachesize: must be an integer, got 'three'"]),
        ("-p lru", ["policy: must be one of FIFO, LRU, MRU, OPT, UNOPT, RAND, CLOCK, got 'lru'"]),
        ("-b -1", ["clockbits: must be at least 0, got -1"]),
        ("-b two", ["--clockbits", "'two'"]),
        ("-b 08", ["--clockbits", "'08'"]),
        ("-n 0", ["numaddrs: must be between 1 and 10000000, got 0"]),
        ("-n 99999999999", ["numaddrs: must be between", "99999999999"]),
        ("-m -1", ["maxpage: must be between 0", "-1"]),
        (f"-m 1{400 * '0'}", ["maxpage: must be between 0"]),
        (f"-s 1{5000 * '0'}", ["seed: must be an integer"]),
        ("-s 0x1", ["seed: must be an integer, got '0x1'"]),
        ("-a 1,,2", ["addresses: must be page numbers with commas between them, got '1,,2'"]),
        ("-a ''", ["addresses: must be page numbers", "''"]),
        ("-a 1,x", ["addresses: must be page numbers", "'1,x'"]),
        ("-a 9223372036854775808", ["addresses: must be page numbers of at most 64 bits, got 9223372036854775808"]),
        ("-f missing", ["addressfile: must be a file to read (No such file or directory), got 'missing'"]),
        ("-f .", ["addressfile: must be a file to read (Is a directory), got '.'"]),
        ("--frames 3", ["--frames"]),
        ("1,2,3", ["1,2,3"]),
    ],
)
@pytest.mark.parametrize("form", ["", "-c", "--json"])
def test_hostile_option_of_paging_is_one_clear_error(
    arguments: str, form: str, words: list[str], capsysbinary: Captured
) -> None:
    assert_refused(capsysbinary, ["paging-policy", *shlex.split(arguments), *shlex.split(form)], words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["addressfile: must have at least one page"]),
        (b"1\n\n2\n", ["addresses: line 2: must be a page number, got ''"]),
        (b"1\n2,3\n", ["addresses: line 2: must be a page number, got '2,3'"]),
        (b"\xff\xfe\x00", ["addresses: line 1: must be a page number"]),
        (b"x" * 100_000, ["addresses: line 1: must be a page number", "xxx...'"]),
    ],
    ids=["empty", "empty line", "list", "binary", "long line"],
)
def test_hostile_file_is_one_clear_error(
    content: bytes, words: list[str], tmp_path: Path, capsysbinary: Captured
) -> None:
    path = tmp_path / "addresses"
    path.write_bytes(content)
    assert_refused(capsysbinary, ["paging-policy", "-f", str(path)], words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("-A a+", ["action_list[0]: must be X+Y (X forks Y) or X- (X exits), got 'a+'"]),
        ("-A a+b,q-", ["action_list[1]: must be of a living process, got 'q-'"]),
        ("-A a+b,b-,b+c", ["action_list[2]: must be of a living process, got 'b+c'"]),
        ("-A a+b,,a+c", ["action_list[1]: must be X+Y", "''"]),
        ("-A +b", ["action_list[0]: must be X+Y", "'+b'"]),
        ("-A -", ["action_list[0]: must be X+Y", "'-'"]),
        ("-A a+b+c", ["action_list[0]: must be X+Y", "'a+b+c'"]),
        ("-A a+b,b-c", ["action_list[1]: must be X+Y", "'b-c'"]),
        ("-A a+b-", ["action_list[0]: must be X+Y", "'a+b-'"]),
        ("-A fork", ["action_list[0]: must be X+Y", "'fork'"]),
        ("-A a+\udcff", ["action_list[0]: must be X+Y"]),
        ("-A a+b,a+b", ["action_list[1]: must fork a process whose name no living one has, got 'a+b'"]),
        ("-A a+a", ["action_list[0]: must fork a process whose name no living one has, got 'a+a'"]),
        ("-A a-", ["action_list[0]: must not end a, the root of all, got 'a-'"]),
        ("-A a- -L", ["action_list[0]: must not end a"]),
        ("-a -1", ["actions: must be between 0 and 1000000, got -1"]),
        ("-a 99999999", ["actions: must be between", "99999999"]),
        ("-a five", ["--actions", "'five'"]),
        ("-s x", ["--seed", "'x'"]),
        ("-f 0", ["forks: must be above 0.001, got 0.0"]),
        ("-f nan", ["forks: must be above 0.001, got nan"]),
        ("-f many", ["--forks", "many"]),
        ("-P pretty", ["--print_style", "pretty"]),
        ("a+b", ["a+b"]),
    ],
)
@pytest.mark.parametrize("form", ["", "-c", "--json"])
def test_hostile_option_of_fork_is_one_clear_error(
    arguments: str, form: str, words: list[str], capsysbinary: Captured
) -> None:
    assert_refused(capsysbinary, ["fork", *shlex.split(arguments), *shlex.split(form)], words)


def test_error_of_the_api_names_option_and_value() -> None:
    with pytest.raises(runq.ConfigError, match="cachesize: must be at least 1, got 0"):
        ostep.paging_policy([1], cachesize=0)
    with pytest.raises(runq.ConfigError, match="addresses: must be at least one page"):
        ostep.paging_policy([])
