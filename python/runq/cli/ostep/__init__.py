"""`runq ostep`: the homework tools of "Operating Systems: Three Easy Pieces", with their own options and output.

One tool a file: its command, and the lines that the tool prints, whose words and columns readers of the book know.
Functions that make lines give them without their end, take what was simulated, and simulate nothing.
"""

import click

from runq.cli.ostep.fork import fork
from runq.cli.ostep.lottery import lottery
from runq.cli.ostep.mlfq import mlfq
from runq.cli.ostep.multi import multi
from runq.cli.ostep.paging_policy import paging_policy
from runq.cli.ostep.process_run import process_run
from runq.cli.ostep.scheduler import scheduler

__all__ = ["ostep"]


@click.group()
def ostep() -> None:
    """Pose and solve the exercises of the book "Operating Systems: Three Easy Pieces".

    Each command takes the options of the homework tool of that name and prints what it prints, draw for draw: without
    -c the exercise, with -c its answers too.

    \b
    Examples:
      runq ostep paging-policy -s 1 -n 10 -p LRU      an exercise
      runq ostep paging-policy -s 1 -n 10 -p LRU -c   and its answers
      runq ostep fork -A a+b,b+c,b- -c --json
      runq ostep scheduler -p SJF -l 30,10,20 -c
    """


for _command in (fork, lottery, mlfq, multi, paging_policy, process_run, scheduler):
    ostep.add_command(_command)
