"""The one-line mutations that a Python file can have.

Operators, each on one expression or statement of one line:

==============  ==========================================================
comparison      ``<`` and ``<=``, ``>`` and ``>=``, ``==`` and ``!=``, ``in``, ``is`` are exchanged
arithmetic      ``+`` and ``-``, ``*`` and ``/``, ``<<`` and ``>>``, ``&`` and ``|`` are exchanged,
                ``//`` becomes ``*``, ``%`` becomes ``//``
logic           ``and`` and ``or`` are exchanged, ``not`` is dropped, True and False are exchanged
constant        a whole number grows by 1, a float by half
swapped axes    ``axis=``/``dim=`` 0 and 1, ``height`` and ``width``, ``row`` and ``col``
                are exchanged
dropped call    a call that is a statement is left out; ``f(x)`` of `min`, `max`, `sorted`, ...
                becomes ``x``
==============  ==========================================================

Left alone: annotations, docstrings, messages of errors, `__all__`, and the `strict` of `zip`, which
checks what callers cannot get wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_EXCHANGED: dict[type[ast.AST], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "//",
    ast.LShift: ">>",
    ast.RShift: "<<",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.And: "or",
    ast.Or: "and",
}
_AXES = {
    "height": "width",
    "width": "height",
    "row": "col",
    "col": "row",
    "rows": "cols",
    "cols": "rows",
}
_UNWRAPPED = {
    "min",
    "max",
    "abs",
    "sorted",
    "round",
    "reversed",
    "tuple",
    "list",
    "clamp",
    "clip",
    "detach",
    "copy",
}


@dataclass(frozen=True, slots=True)
class Mutation:
    """One replaced stretch of one line."""

    file: Path
    """Relative to the root of the project."""
    operator: str
    line: int
    """From 1."""
    start: int
    """First byte of the line that is replaced."""
    end: int
    replacement: str

    def apply(self, source: str) -> str:
        """The source of the file with the mutation in it."""
        lines = source.splitlines(keepends=True)
        line = lines[self.line - 1].encode()
        changed = line[: self.start] + self.replacement.encode() + line[self.end :]
        lines[self.line - 1] = changed.decode()
        return "".join(lines)

    def describe(self, source: str) -> str:
        """Where it is, the line before and the line after."""
        before = source.splitlines()[self.line - 1].strip()
        after = self.apply(source).splitlines()[self.line - 1].strip()
        return f"{self.file}:{self.line} [{self.operator}]\n    - {before}\n    + {after}"


def mutations_of(file: Path, root: Path) -> list[Mutation]:
    """All mutations of a file, in the order of its text; each result parses, and means another."""
    source = (root / file).read_text()
    tree = ast.parse(source)
    skipped = {id(node) for node in _left_alone(tree)}
    found = []
    for node in _walk(tree, skipped):
        for operator, line, start, end, replacement in _changes(node, source):
            mutation = Mutation(file, operator, line, start, end, replacement)
            if _changes_meaning(mutation, source, tree):
                found.append(mutation)
    return sorted(found, key=lambda m: (m.line, m.start, m.replacement))


def _changes_meaning(mutation: Mutation, source: str, tree: ast.Module) -> bool:
    try:
        mutated = ast.parse(mutation.apply(source))
    except SyntaxError:
        return False
    return ast.dump(mutated) != ast.dump(tree)


def _left_alone(tree: ast.Module) -> Iterator[ast.AST]:
    """Roots of what is not mutated."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) or _is_typing_block(node):
            yield node
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node  # docstrings
        for field in ("annotation", "returns"):
            if isinstance(part := getattr(node, field, None), ast.AST):
                yield part
        if isinstance(node, ast.Assign) and _is_declaration(node):
            yield node
        if isinstance(node, ast.keyword) and node.arg == "strict":
            yield node
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from node.decorator_list


def _is_typing_block(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _is_declaration(node: ast.Assign) -> bool:
    """``__all__``, type aliases and ``Literal[...]``: there is no arithmetic in them."""
    target = node.targets[0]
    named = isinstance(target, ast.Name) and target.id == "__all__"
    return named or (
        isinstance(node.value, ast.Subscript) and isinstance(node.value.value, ast.Name)
    )


def _walk(node: ast.AST, skipped: set[int]) -> Iterator[ast.AST]:
    if id(node) in skipped:
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, skipped)


def _changes(node: ast.AST, source: str) -> Iterator[tuple[str, int, int, int, str]]:
    """Operator, line, first and last byte, and what replaces it."""
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for left, kind, right in zip(operands, node.ops, operands[1:], strict=False):
            yield from _between("comparison", left, right, _EXCHANGED[type(kind)], source)
    elif isinstance(node, ast.BinOp) and type(node.op) in _EXCHANGED:
        yield from _between("arithmetic", node.left, node.right, _EXCHANGED[type(node.op)], source)
    elif isinstance(node, ast.BoolOp):
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from _between("logic", left, right, _EXCHANGED[type(node.op)], source)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and _on_one_line(node):
        yield ("logic", *_place(node), _text(node.operand, source))
    elif isinstance(node, ast.Constant) and _on_one_line(node):
        yield from _constants(node)
    elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
        yield from _axes(node)
    elif isinstance(node, ast.keyword):
        yield from _axis_numbers(node)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _on_one_line(node):
        yield ("dropped call", *_place(node), "pass")
    if isinstance(node, ast.Call):
        yield from _unwrapped(node, source)


def _constants(node: ast.Constant) -> Iterator[tuple[str, int, int, int, str]]:
    if isinstance(node.value, bool):
        yield ("logic", *_place(node), str(not node.value))
    elif isinstance(node.value, int):
        yield ("constant", *_place(node), str(node.value + 1))
    elif isinstance(node.value, float):
        yield ("constant", *_place(node), repr(1.5 * node.value or 0.5))


def _axes(node: ast.Name | ast.Attribute) -> Iterator[tuple[str, int, int, int, str]]:
    name = node.id if isinstance(node, ast.Name) else node.attr
    if name in _AXES and node.end_lineno is not None and node.end_col_offset is not None:
        end = node.end_col_offset
        yield ("swapped axes", node.end_lineno, end - len(name), end, _AXES[name])


def _axis_numbers(node: ast.keyword) -> Iterator[tuple[str, int, int, int, str]]:
    value = node.value
    if node.arg in ("axis", "dim") and isinstance(value, ast.Constant) and value.value in (0, 1):
        yield ("swapped axes", *_place(value), "0" if value.value else "1")


def _unwrapped(node: ast.Call, source: str) -> Iterator[tuple[str, int, int, int, str]]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name not in _UNWRAPPED or not _on_one_line(node):
        return
    inner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if (
        isinstance(node.func, ast.Name)
        and node.args
        and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp)
    ):
        inner = node.args[0]
    if inner is not None:
        yield ("dropped call", *_place(node), _text(inner, source))


def _between(
    operator: str, left: ast.expr, right: ast.expr, symbol: str, source: str
) -> Iterator[tuple[str, int, int, int, str]]:
    """The operator between two operands of one line; brackets around them stay."""
    if left.end_lineno != right.lineno or left.end_col_offset is None:
        return
    start, end = left.end_col_offset, right.col_offset
    between = source.splitlines()[right.lineno - 1].encode()[start:end].decode()
    closing = len(between) - len(between.lstrip(") "))
    opening = len(between) - len(between.rstrip("( "))
    before, after = between[:closing], between[len(between) - opening :]
    yield operator, right.lineno, start, end, f"{before} {symbol} {after}"


def _on_one_line(node: ast.expr | ast.stmt) -> bool:
    return node.lineno == node.end_lineno


def _place(node: ast.expr | ast.stmt) -> tuple[int, int, int]:
    assert node.end_col_offset is not None
    return node.lineno, node.col_offset, node.end_col_offset


def _text(node: ast.expr, source: str) -> str:
    return f"({ast.get_source_segment(source, node)})"
