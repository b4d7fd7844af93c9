"""Running a magic's cell as IPython runs cells: in the user's namespace, with its value kept.

The body is compiled under the name that IPython gives to this cell, shifted down by the magic's
own line, so that tracebacks show the line that the learner sees.  It is not wrapped in a function,
since then ``z = z + 1`` would not find ``z``.
"""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from types import CodeType
from typing import Any

from paralab.remote_cell import CellCode, execute
from paralab_profiling.magics.names import Names

_SILENT = {tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.ENDMARKER, tokenize.INDENT,
           tokenize.DEDENT}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """The body of a cell magic, parsed.

    Attributes:
        tree: its statements.
        file: the name under which IPython knows its source.
        is_silenced: whether it ends with a semicolon.
    """

    tree: ast.Module
    file: str
    is_silenced: bool

    @property
    def definitions(self) -> tuple[str, ...]:
        """The names that it defines, if it only defines functions and classes; else ()."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        statements = self.tree.body[ast.get_docstring(self.tree) is not None :]
        found = [each.name for each in statements if isinstance(each, kinds)]
        return tuple(found) if len(found) == len(statements) else ()


def number(shell: Any) -> int:
    """The N of ``In[N]`` of the cell that runs."""
    # IPython 9 counts up before it runs a cell, IPython 8 after; this they have both right.
    found: int = shell.displayhook.prompt_count
    return found


def parse(shell: Any, header: str, body: str) -> Cell:
    """Parses the body of a cell magic.

    Args:
        shell: IPython's.
        header: the magic's own line, which stands above it.
        body: as IPython gives it to the magic; it may hold magics.

    Raises:
        ValueError: there is nothing in it.
        SyntaxError: it is not Python.
    """
    if not body.strip():
        raise ValueError(f"There is nothing below {header}: write the code that it is to run.")
    lines = body.splitlines()
    blank = next(at for at, line in enumerate(lines) if line.strip())
    source = "\n".join(["", *[""] * blank, shell.transform_cell("\n".join(lines[blank:]))])
    shown = header + source
    file = shell.compile.cache(shown, number(shell), raw_code=f"{header}\n{body}")
    tree = shell.transform_ast(shell.compile.ast_parse(source, file))
    return Cell(tree, file, ends_with_semicolon(body))


def compiled(shell: Any, cell: Cell) -> CellCode:
    """The code of a cell, its last line apart if that is an expression."""
    statements = list(cell.tree.body)
    last: CodeType | None = None
    if statements and isinstance(statements[-1], ast.Expr):
        final = statements.pop()
        assert isinstance(final, ast.Expr)
        last = shell.compile(ast.Expression(final.value), cell.file, "eval")
    body = shell.compile(ast.Module(statements, []), cell.file, "exec")
    return CellCode(body, last, not cell.is_silenced)


def taken(shell: Any, names: Names) -> dict[str, Any]:
    """Of the names that a cell reads, those that the notebook has."""
    user, own, missing = shell.user_ns, shell.user_ns_hidden, object()
    return {
        name: user[name]
        for name in names.reads
        # IPython's own, such as its `open`, are left here.
        if name in user and own.get(name, missing) is not user[name]
    }


def run_here(shell: Any, cell: Cell) -> Any:
    """Runs a cell in the user's namespace; the value of its last line, None if it is silenced."""
    __tracebackhide__ = True
    return execute(compiled(shell, cell), shell.user_ns)


def evaluate(shell: Any, expression: ast.expr, source: str, local: Any = None) -> Any:
    """The value of an expression that stands on a magic's line.

    Args:
        shell: IPython's.
        expression: to be evaluated.
        source: the line's text, for tracebacks.
        local: variables of the function in which the magic stands, if it does in one.
    """
    __tracebackhide__ = True
    file = shell.compile.cache(source, number(shell))
    code = shell.compile(ast.fix_missing_locations(ast.Expression(expression)), file, "eval")
    return eval(code, shell.user_ns, local)  # noqa: S307 - the user's own code


def ends_with_semicolon(code: str) -> bool:
    """Whether the last token, comments aside, is a semicolon, as in IPython."""
    last = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type not in _SILENT:
                last = token.string
    except (tokenize.TokenError, SyntaxError):  # a magic's own syntax, perhaps
        return code.rstrip().endswith(";")
    return last == ";"
