"""Runs `runq ostep` within the tests, and holds what it prints to what it has to."""

import json
from typing import Any

import pytest
import runq.cli

Captured = pytest.CaptureFixture[bytes]


def output_of(captured: Captured, *arguments: str) -> str:
    code = runq.cli.run(["ostep", *arguments])
    out, err = captured.readouterr()
    assert (code, err) == (0, b"")
    return out.decode()


def json_of(captured: Captured, *arguments: str) -> Any:
    text = output_of(captured, *arguments, "--json")
    assert text.count("\n") == 1
    return json.loads(text)


def assert_refused(captured: Captured, arguments: list[str], words: list[str]) -> None:
    """Exit code 2, nothing on stdout, one line on stderr that holds the words."""
    code = runq.cli.run(["ostep", *arguments])
    out, err = captured.readouterr()
    assert (code, out) == (2, b"")
    assert err.startswith(b"runq: error: ")
    assert err.count(b"\n") == 1
    for word in words:
        assert word in err.decode()
