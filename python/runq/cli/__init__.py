"""The `runq` program. Bad input ends in one line on stderr and exit code 2, Ctrl-C in 130."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from runq import __version__
from runq.cli.compare import compare
from runq.cli.machines import machines
from runq.cli.mrc import mrc
from runq.cli.ostep import ostep
from runq.cli.replay import replay
from runq.cli.schedule import schedule
from runq.cli.simulate import ps, scenarios, simulate
from runq.cli.sweep import sweep
from runq.cli.trace import trace
from runq.cli.validate import validate
from runq.errors import RunqError

__all__ = ["main", "run"]

_BAD_INPUT = 2
_INTERRUPTED = 130
# What a shell reports of a program that a closed pipe ended.
_CLOSED_PIPE = 141


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="runq", message="%(prog)s %(version)s")
def program() -> None:
    """Simulate what programs cost on a given machine, and where every cycle goes.

    \b
    Examples:
      runq compare                                  one service under every execution model
      runq replay                                   a built-in trace on the machine "golden"
      runq replay trace.lackey.xz --machine zen-4   a recorded trace on a machine that comes with runq
      runq mrc trace.lackey.xz                      the miss-ratio curve of a trace
      runq machines                                 which machines those are
      runq trace info trace.lackey.xz               what is in a trace
      runq simulate snapshot                        what saving a Redis under writes costs
      runq sweep examples/sweep.toml --store s.db   two thousand simulations
      runq schedule --generate 1000 --policy all    one workload under every scheduling policy
      runq validate fork                            predictions beside measurements
    """


program.add_command(compare)
program.add_command(machines)
program.add_command(mrc)
program.add_command(ostep)
program.add_command(replay)
program.add_command(ps)
program.add_command(scenarios)
program.add_command(schedule)
program.add_command(simulate)
program.add_command(sweep)
program.add_command(trace)
program.add_command(validate)


def main() -> NoReturn:
    """Runs the program on the arguments of the process."""
    code = run(sys.argv[1:])
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except BrokenPipeError:
        code = _CLOSED_PIPE
        _drop_stdout()
    if code == _INTERRUPTED:
        # A reader may still wait for a stalled pipe; nothing else is left to do.
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Runs the program and returns its exit code."""
    try:
        if sys.stdout is None:
            return _fail("standard output is closed")
        with program.make_context("runq", list(arguments)) as context:
            program.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _fail(error.format_message())
    except BrokenPipeError:
        _drop_stdout()
        return _CLOSED_PIPE
    except (click.Abort, KeyboardInterrupt):
        click.echo("runq: interrupted", err=True)
        return _INTERRUPTED
    except RunqError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError:
        return _fail("out of memory")
    return 0


def _fail(message: str) -> int:
    line = " ".join(message.split("\n"))
    click.echo(f"runq: error: {line}", err=True)
    return _BAD_INPUT


def _drop_stdout() -> None:
    """Keeps Python from complaining on exit that it cannot write what is left."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
