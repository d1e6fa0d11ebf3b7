"""Conditions on points: expressions such as `machine.caches.L1D.ways * 64 <= 1024 and seed > 2`.

An axis is named by its path, or by the last part of it if no other axis ends so. There are numbers, texts, lists,
comparisons, arithmetic, `and`, `or`, `not`, `in`, `min`, `max`, `abs`, and `size("32KiB")`.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runq._size import parse_size
from runq.errors import ConfigError

__all__ = ["Condition", "condition"]

# Whether a point with these values is wanted.
Condition = Callable[[tuple[Any, ...]], bool]

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "max": max,
    "min": min,
    "size": lambda value: parse_size("size", value),
}

_ALLOWED = (
    ast.Expression,
    ast.BoolOp,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.IfExp,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.boolop,
    ast.unaryop,
    ast.cmpop,
    ast.expr_context,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
)


def condition(where: str | Callable[[Mapping[str, Any]], object], names: Sequence[str]) -> Condition:
    """What tells whether a tuple of values, in the order of `names`, is wanted."""
    if callable(where):
        return lambda row: bool(where(dict(zip(names, row, strict=True))))
    if not isinstance(where, str):
        raise ConfigError("where", "must be an expression or a function of the values by axis", repr(where))
    try:
        tree = ast.parse(where.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError("where", f"must be an expression ({error})", repr(where)) from None
    checked = ast.Expression(_Axes(where, names).visit(tree.body))
    code = compile(ast.fix_missing_locations(checked), "<where>", "eval")
    scope = {"__builtins__": {}, **_FUNCTIONS}

    def holds(row: tuple[Any, ...]) -> bool:
        try:
            return bool(eval(code, scope, {"_row": row}))
        except (ArithmeticError, TypeError, ValueError) as error:
            point = ", ".join(f"{name}={value!r}" for name, value in zip(names, row, strict=True))
            raise ConfigError("where", f"must hold or not hold at every point ({error} in {where})", point) from None

    return holds


class _Axes(ast.NodeTransformer):
    """Replaces names of axes by places in the tuple, and refuses all that an expression must not do."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self._text = text
        self._names = list(names)

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return self._value(self._place(self._path(node)))
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords:
                raise self._refused(f"call only {', '.join(_FUNCTIONS)}")
            return ast.Call(node.func, [self.visit(argument) for argument in node.args], [])
        if not isinstance(node, _ALLOWED):
            raise self._refused(f"not hold a {type(node).__name__}")
        return super().generic_visit(node)

    def _path(self, node: ast.AST) -> str:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute):
            return f"{self._path(node.value)}.{node.attr}"
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, int)
        ):
            return f"{self._path(node.value)}[{node.slice.value}]"
        raise self._refused("name axes by their paths")

    def _place(self, path: str) -> int:
        if path in self._names:
            return self._names.index(path)
        ends = [place for place, name in enumerate(self._names) if name.endswith(f".{path}")]
        if len(ends) != 1:
            what = "name one axis, not several" if ends else f"name the axes {', '.join(self._names)}"
            raise self._refused(f"{what} ({path})")
        return ends[0]

    def _value(self, place: int) -> ast.AST:
        return ast.Subscript(ast.Name("_row", ast.Load()), ast.Constant(place), ast.Load())

    def _refused(self, what: str) -> ConfigError:
        return ConfigError("where", f"must {what}", repr(self._text))
