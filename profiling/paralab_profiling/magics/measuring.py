"""``%speedup`` and ``%aggregate``: experiments, written as one would write them in Python.

::

    %speedup f(x) for x in inputs       %speedup f, inputs       %%speedup x in inputs
                                                                 y = prepare(x)
                                                                 f(y)
    %aggregate add, values

Of ``%%speedup`` the cell is the work for one ``x``.  It runs again and again, here and in workers,
each time in a namespace of its own; so what it assigns does not reach the notebook.
"""

from __future__ import annotations

import argparse
import ast
from typing import Any

from IPython.core.magic import (
    Magics,
    line_cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)
from IPython.core.magic_arguments import argument, magic_arguments

from paralab.engine import installed
from paralab.lifecycle import start_by_itself
from paralab.remote_cell import as_function
from paralab_profiling.magics import arguments, cells
from paralab_profiling.magics.names import names_of

_INPUT = "input of the cell"
"""Under this name a cell finds its input; no program can use it by accident."""


@magics_class
class MeasuringMagics(Magics):
    """``%speedup``, ``%%speedup`` and ``%aggregate``."""

    @no_var_expand
    @needs_local_scope
    @magic_arguments()
    @argument("--workers", type=arguments.counts, metavar="N,...",
              help="numbers of workers; by default 1, 2, 4 and so on, and all")  # fmt: skip
    @argument("--sizes", type=arguments.counts, metavar="N,...",
              help="what the inputs are called with, if they are a function of a size")  # fmt: skip
    @argument("--repeats", type=int, metavar="N", help="pairs of runs for each number of workers")
    @argument("-o", dest="output", type=arguments.name, metavar="NAME", help="bind the result")
    @line_cell_magic
    def speedup(self, line: str, cell: str | None = None, local_ns: Any = None) -> Any:
        """Measures whether going parallel pays: the same calls local and remote, several times.

        ``%speedup f(x) for x in inputs`` or ``%speedup f, inputs``; with ``%%speedup x in inputs``
        the cell below is the work for one ``x``.
        """
        __tracebackhide__ = True
        options, rest, is_silenced = arguments.split(self.speedup, line)
        is_silenced = is_silenced or line.rstrip().endswith(";")
        if cell is None:
            function, inputs = self._of_line(rest, local_ns)
        else:
            parsed = cells.parse(self.shell, f"%%speedup {line}", cell)
            function, inputs = self._of_cell(rest, parsed, local_ns)
        result = self._measured(function, inputs, options)
        if options.output:
            self.shell.user_ns[options.output] = result
        return None if is_silenced else result

    def _measured(self, function: Any, inputs: Any, options: argparse.Namespace) -> Any:
        __tracebackhide__ = True
        from paralab_profiling import speedup

        start_if_needed()
        if not callable(inputs):
            inputs = list(inputs)
        return speedup(function, inputs, **_given(options, "workers", "sizes", "repeats"))

    @no_var_expand
    @needs_local_scope
    @magic_arguments()
    @argument("--workers", type=int, metavar="N", help="how many to use; by default all")
    @argument("--repeats", type=int, metavar="N", help="pairs of runs")
    @argument("-o", dest="output", type=arguments.name, metavar="NAME", help="bind the result")
    @line_magic
    def aggregate(self, line: str, local_ns: Any = None) -> Any:
        """Combines values in a chain and in a tree, side by side: ``%aggregate add, values``.

        The function takes two values and gives one, and should be associative.
        """
        __tracebackhide__ = True
        options, rest, is_silenced = arguments.split(self.aggregate, line)
        pair = self._pair(rest, local_ns)
        if pair is None:
            raise ValueError(f"%aggregate takes a function and values, as add, xs; got {rest!r}.")
        from paralab_profiling import aggregate

        start_if_needed()
        result = aggregate(*pair, **_given(options, "workers", "repeats"))
        if options.output:
            self.shell.user_ns[options.output] = result
        return None if is_silenced else result

    def _pair(self, text: str, local: Any) -> tuple[Any, Any] | None:
        """The values of two expressions with a comma between; None if it is something else."""
        try:
            pair = ast.parse(text, mode="eval").body
        except SyntaxError:
            return None
        if not isinstance(pair, ast.Tuple) or len(pair.elts) != 2:
            return None
        first, second = (cells.evaluate(self.shell, each, text, local) for each in pair.elts)
        return first, second

    def _of_line(self, text: str, local: Any) -> tuple[Any, Any]:
        """The function and the inputs that stand on the line."""
        __tracebackhide__ = True
        loop = _loop(f"({text})")
        if loop is None:
            pair = self._pair(text, local)
            if pair is None:
                raise ValueError(
                    f"%speedup takes f(x) for x in inputs, or f, inputs; it got {text!r}."
                )
            return pair
        work, target, over = loop
        inputs = cells.evaluate(self.shell, over, text, local)
        match work, target:
            case ast.Call(func=called, args=[ast.Name(id=given)], keywords=[]), ast.Name(id=name):
                if given == name:  # f itself: so it keeps its name, and its options
                    return cells.evaluate(self.shell, called, text, local), inputs
        file = self.shell.compile.cache(text, cells.number(self.shell))
        body = ast.fix_missing_locations(ast.Module([ast.Expr(work)], []))
        return self._function(cells.Cell(body, file, False), target), inputs

    def _of_cell(self, text: str, cell: cells.Cell, local: Any) -> tuple[Any, Any]:
        __tracebackhide__ = True
        loop = _loop(f"(0 for {text.removeprefix('for ').rstrip(':')})")
        if loop is None:
            raise ValueError(f"%%speedup takes the loop on its line, as x in inputs; got {text!r}.")
        _, target, over = loop
        return self._function(cell, target), cells.evaluate(self.shell, over, text, local)

    def _function(self, cell: cells.Cell, target: ast.expr) -> Any:
        """A function that binds its argument to the loop's variables and runs the cell."""
        first = ast.Assign([target], ast.Name(_INPUT, ast.Load()))
        tree = ast.Module([first, *cell.tree.body], [])
        whole = cells.Cell(ast.fix_missing_locations(tree), cell.file, False)
        taken = cells.taken(self.shell, names_of(tree))
        label = f"In[{cells.number(self.shell)}]"
        return as_function(cells.compiled(self.shell, whole), taken, _INPUT, label)


def start_if_needed() -> None:
    """Starts a session, as the first task would."""
    if installed() is None:
        start_by_itself()


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of some options that were given."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _loop(text: str) -> tuple[ast.expr, ast.expr, ast.expr] | None:
    """What is done, the variables and the inputs of ``(work for target in inputs)``."""
    try:
        found = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    match found:
        case ast.GeneratorExp(elt=work, generators=[ast.comprehension(target, over, [], 0)]):
            return work, target, over
    return None
