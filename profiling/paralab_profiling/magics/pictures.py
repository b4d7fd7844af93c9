"""``%%taskgraph``, ``%%timeline``, ``%%overhead``, ``%explain``: a cell, and a picture of what ran.

The cell runs as it would without the magic.  Then the session is asked for its events, those that
began in the cell are kept, and the view is displayed; the cell's value stays the cell's value.
Without a cell the view is of all that the session remembers, or of a recording.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from typing import Any

from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from paralab.engine import installed
from paralab_profiling.magics import arguments, cells

OUTPUT_HELP = "bind the result, which has .save(path) and .to_dict(), to NAME"


@magics_class
class PictureMagics(Magics):
    """The magics that show what a cell did."""

    @no_var_expand
    @needs_local_scope
    @magic_arguments()
    @argument("-o", dest="output", type=arguments.name, metavar="NAME", help=OUTPUT_HELP)
    @line_cell_magic
    def overhead(self, line: str, cell: str | None = None, local_ns: Any = None) -> Any:
        """Where the time of the tasks of a cell goes: ``%%overhead`` above its code.

        ``%overhead`` alone is about all that the session remembers, ``%overhead recording`` about a
        recording, such as one that was loaded from a file.
        """
        __tracebackhide__ = True
        from paralab_profiling import overhead

        return self._show(self.overhead, overhead, line, cell, local_ns)

    def _show(
        self,
        magic: Any,
        view: Callable[[Any], Any],
        line: str,
        cell: str | None,
        local: Any,
    ) -> Any:
        __tracebackhide__ = True
        options, rest, is_silenced = arguments.split(magic, line)
        # `%%timeline -o t;` silences the picture; a semicolon in the cell the cell's value.
        is_silenced = is_silenced or line.rstrip().endswith(";")
        show = _Shown(self.shell, view, options.output, is_silenced)
        if cell is not None:
            if rest:
                raise ValueError(
                    f"%%{magic.__name__} takes the code below it, and options; got {rest!r}."
                )
            return self._run(show, cells.parse(self.shell, f"%%{magic.__name__} {line}", cell))
        if rest:
            recording = cells.evaluate(self.shell, _expression(magic, rest), rest, local)
        else:
            from paralab_profiling.taking import take

            recording = take()
        show.result(recording)
        return None

    def _run(self, show: _Shown, cell: cells.Cell) -> Any:
        __tracebackhide__ = True
        from paralab_profiling.taking import take

        start = time.monotonic_ns()
        try:
            value = cells.run_here(self.shell, cell)
        except Exception:
            end = time.monotonic_ns()
            if installed() is not None:
                recording = take().between(start, end)
                if len(recording):  # what failed is worth seeing; its error comes below
                    show.result(recording)
            raise
        end = time.monotonic_ns()
        show.result(take().between(start, end))
        return value


class _Shown:
    """Makes a view, binds it, and displays it unless that is silenced."""

    def __init__(
        self, shell: Any, view: Callable[[Any], Any], output: str | None, is_silenced: bool
    ) -> None:
        self._shell = shell
        self._view = view
        self._output = output
        self._is_silenced = is_silenced

    def result(self, recording: Any) -> None:
        """The view of a recording."""
        picture = self._view(recording)
        if self._output:
            self._shell.user_ns[self._output] = picture
        if not self._is_silenced:
            display(picture)


def _expression(magic: Any, text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise SyntaxError(f"%{magic.__name__} takes a recording, not {text!r}") from error
