"""Page replacement on a reference string: an array of frames, and whoever asks for the past or future looks at it.

Source: Silberschatz, Galvin, Gagne, "Operating System Concepts", 10.4. `random` is left out: it has no right answer.
"""


def faults(pages: list[int], frames: int, policy: str) -> int:
    """How often a page is not in one of the frames."""
    held: list[int] = []  # in order of arrival, for clock from the hand on
    referenced: set[int] = set()
    count = 0
    for now, page in enumerate(pages):
        if page not in held:
            count += 1
            if len(held) == frames:
                held = without_victim(held, referenced, pages, now, policy)
            held.append(page)
        referenced.add(page)
    return count


def without_victim(held: list[int], referenced: set[int], pages: list[int], now: int, policy: str) -> list[int]:
    def last_use(page: int) -> int:
        return max(time for time in range(now) if pages[time] == page)

    def next_use(page: int) -> int:
        return min((time for time in range(now, len(pages)) if pages[time] == page), default=len(pages))

    if policy == "clock":
        while held[0] in referenced:
            referenced.remove(held[0])
            held = [*held[1:], held[0]]
        return held[1:]
    victim = {
        "fifo": lambda: held[0],
        "lru": lambda: min(held, key=last_use),
        "opt": lambda: min(held, key=lambda page: (-next_use(page), page)),
    }[policy]()
    return [page for page in held if page != victim]
