"""What `print(result)` shows of one pass for many caches: tables, and a curve drawn with characters."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runq._size import size_text
from runq._table import table

if TYPE_CHECKING:
    from runq._one_pass import Associativity, MissRatioCurve

__all__ = ["associativity_table", "curve_plot", "curve_table"]

_WIDTH = 64
_HEIGHT = 12


def associativity_table(result: "Associativity") -> str:
    """Miss ratios, a row a number of sets and a column a power of two of ways."""
    columns = [1 << bit for bit in range(result.max_ways.bit_length())]
    if columns[-1] != result.max_ways:
        columns.append(result.max_ways)
    ratios = result.miss_ratio.reshape(-1, result.max_ways)
    rows = [
        [f"{int(sets):,}", *(f"{100 * ratios[row][ways - 1]:.3f} %" for ways in columns)]
        for row, sets in enumerate(result.sets[:: result.max_ways])
    ]
    header = ("sets", *(f"{ways} way{'' if ways == 1 else 's'}" for ways in columns))
    count = len(result.misses)
    head = f"{_headline(result)}: miss ratios of {count:,} {result.policy.upper()} caches"
    return "\n\n".join([head, table(header, rows), _tail(result)])


def curve_table(result: "MissRatioCurve", marks: Mapping[str, int] | None = None) -> str:
    """The curve drawn, and its values at powers of two."""
    how = "exact" if result.sample is None else f"estimated from {100 * result.sample:g} % of the lines"
    head = f"{_headline(result)}: fully associative LRU, {how}; {result.distinct:,} distinct lines"
    lines = result.powers_of_two()
    errors = result.miss_ratio_error
    rows = []
    for size, misses, ratio in zip(lines, result.misses_at(lines), result.miss_ratio_at(lines), strict=True):
        row = int(result.lines.searchsorted(size, side="right")) - 1
        error = "" if result.sample is None else f"{100 * errors[row]:.3f} %"
        rows.append(
            [f"{size:,}", size_text(size * result.line_size), f"{int(misses):,}", f"{100 * ratio:.3f} %", error]
        )
    values = table(("lines", "size", "misses", "miss ratio", "standard error"), rows)
    return "\n\n".join([head, curve_plot(result, marks or {}), values, _tail(result)])


def curve_plot(result: "MissRatioCurve", marks: Mapping[str, int]) -> str:
    """The curve over the logarithm of the size; `marks` are sizes in lines with a name each."""
    least = max(marks.values(), default=1)
    bits = max(len(result.powers_of_two(least)) - 1, 1)
    sizes = [round(2 ** (bits * column / (_WIDTH - 1))) for column in range(_WIDTH)]
    ratios = [float(ratio) for ratio in result.miss_ratio_at(sizes)]
    top = max(*ratios, 1e-9)
    canvas = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    columns = {name: min(range(_WIDTH), key=lambda c: abs(sizes[c] - lines)) for name, lines in marks.items()}
    for column in columns.values():
        for row in canvas:
            row[column] = ":"
    for column, ratio in enumerate(ratios):
        canvas[round((_HEIGHT - 1) * (1 - ratio / top))][column] = "*"
    lines = [f"{_axis(row, top):>8} |{''.join(cells)}".rstrip() for row, cells in enumerate(canvas)]
    lines.append(f"{'':8} +{'-' * _WIDTH}")
    lines += _labels(
        {size_text(result.line_size << bit): round(bit * (_WIDTH - 1) / bits) for bit in range(0, bits, 4)}
    )
    return "\n".join(lines + _labels(columns))


def _axis(row: int, top: float) -> str:
    return f"{100 * top * (1 - row / (_HEIGHT - 1)):.1f} %" if row % 3 == 0 or row == _HEIGHT - 1 else ""


def _labels(columns: Mapping[str, int]) -> list[str]:
    """Texts that begin below their columns, in as many lines as they need."""
    lines: list[str] = []
    for text, column in sorted(columns.items(), key=lambda item: item[1]):
        place = column + 10
        for index, line in enumerate(lines):
            if len(line) < place:
                lines[index] = line.ljust(place) + text
                break
        else:
            lines.append(" " * place + text)
    return lines


def _headline(result: "Associativity | MissRatioCurve") -> str:
    line = f"{result.trace.name}: {result.accesses:,} references"
    if result.references != result.accesses:
        line += f", {result.references:,} behind the inner levels"
    if result.ignored:
        line += f" ({result.ignored:,} accesses of another kind left out)"
    return line


def _tail(result: "Associativity | MissRatioCurve") -> str:
    seconds = result.simulate_seconds
    rate = f" ({result.accesses / seconds / 1e6:,.1f} M/s)" if seconds > 0 else ""
    return f"lines of {size_text(result.line_size)}; simulated in {seconds:.2f} s{rate}"
