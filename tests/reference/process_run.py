"""Processes that compute and do I/O on one CPU, as plainly as it can be; each has at least one instruction."""


def process_run(
    programs: list[list[str]], *, iolength: int, switches_on_io: bool, runs_at_once: bool
) -> list[tuple[list[str], int]]:
    """For each tick what every process does, and how many I/Os are under way."""
    count = len(programs)
    done_count = [0] * count
    wakes: dict[int, int] = {}
    running: int | None = 0
    rows = []
    now = 0

    def is_done(process: int) -> bool:
        return done_count[process] == len(programs[process])

    def next_ready(after: int) -> int | None:
        order = [(after + step) % count for step in range(1, count + 1)]
        return next((process for process in order if process not in wakes and not is_done(process)), None)

    while not all(is_done(process) for process in range(count)):
        now += 1
        for process in sorted(process for process in wakes if wakes[process] == now):
            del wakes[process]
            if runs_at_once or running is None:
                running = process
        row = ["DONE" if is_done(process) else "READY" for process in range(count)]
        for process in wakes:
            row[process] = "BLOCKED"
        ios = len(wakes)
        if running is not None:
            current = running
            instruction = programs[current][done_count[current]]
            row[current] = f"RUN:{instruction}"
            done_count[current] += 1
            if instruction == "io":
                wakes[current] = now + iolength + 1
                running = next_ready(current) if switches_on_io else None
            elif is_done(current):
                running = next_ready(current)
        rows.append((row, ios))
    return rows
