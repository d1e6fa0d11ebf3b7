"""`python -m runq.cli` is the `runq` program."""

from runq.cli import main

main()
