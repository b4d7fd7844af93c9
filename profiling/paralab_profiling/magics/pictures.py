"""``%%timeline``, ``%%overhead`` and the like: a cell, and a picture of what ran in it.

The cell runs as it would without the magic.  Then the session is asked for its events, those that
began in the cell are kept, and the view is displayed; the cell's value stays the cell's value.
Without a cell the view is of all that the session remembers, or of a recording, and the value of
the line.
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
from paralab_profiling.magics.measuring import start_if_needed

OUTPUT_HELP = "bind the result, which has .save(path) and .to_dict(), to NAME"
LIVE_HELP = "of a cell: show it while the cell runs; in a terminal, how far its tasks are"


def _picture_magic(method: Any) -> Any:
    """Makes a method a magic with the options that all pictures have."""
    output = argument("-o", dest="output", type=arguments.name, metavar="NAME", help=OUTPUT_HELP)
    return no_var_expand(needs_local_scope(magic_arguments()(output(line_cell_magic(method)))))


def _live_magic(method: Any) -> Any:
    """The same, with ``--live``."""
    return _picture_magic(argument("--live", action="store_true", help=LIVE_HELP)(method))


@magics_class
class PictureMagics(Magics):
    """The magics that show what a cell did."""

    @_live_magic
    def taskgraph(self, line: str, cell: str | None = None, local_ns: Any = None) -> Any:
        """What needed what in a cell: ``%%taskgraph`` above its code.

        Tasks, actors' calls and puts with their dependencies; equal tasks are folded, the critical
        path is thick.  ``%taskgraph`` alone is about all that the session remembers, ``%taskgraph
        recording`` about a recording.
        """
        __tracebackhide__ = True
        from paralab_profiling import task_graph

        return self._show(self.taskgraph, task_graph, line, cell, local_ns, "graph")

    @_live_magic
    def timeline(self, line: str, cell: str | None = None, local_ns: Any = None) -> Any:
        """Who did what when in a cell: ``%%timeline`` above its code.

        A lane for the notebook, each worker and each actor, and in them the tasks with their parts.
        ``%timeline`` alone is about all that the session remembers, ``%timeline recording`` about a
        recording, such as one that was loaded from a file.
        """
        __tracebackhide__ = True
        from paralab_profiling import timeline

        return self._show(self.timeline, timeline, line, cell, local_ns, "timeline")

    @_live_magic
    def overhead(self, line: str, cell: str | None = None, local_ns: Any = None) -> Any:
        """Where the time of the tasks of a cell goes: ``%%overhead`` above its code.

        By function, and for the whole run, with what larger tasks would gain.  ``%overhead`` alone
        is about all that the session remembers, ``%overhead recording`` about a recording.
        """
        __tracebackhide__ = True
        from paralab_profiling import overhead

        return self._show(self.overhead, overhead, line, cell, local_ns, "overhead")

    @_picture_magic
    def explain(self, line: str, cell: str | None = None, local_ns: Any = None) -> Any:
        """Why a cell was not faster, in sentences: ``%%explain`` above its code.

        At most three findings with their figures, what to write instead, and what that would gain.
        ``%explain`` alone is about all that the session remembers, ``%explain recording`` about a
        recording.
        """
        __tracebackhide__ = True
        from paralab_profiling import explain

        return self._show(self.explain, explain, line, cell, local_ns)

    def _show(
        self,
        magic: Any,
        view: Callable[[Any], Any],
        line: str,
        cell: str | None,
        local: Any,
        kind: str = "",
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
            parsed = cells.parse(self.shell, f"%%{magic.__name__} {line}", cell)
            is_live = bool(kind) and options.live
            return self._run_live(show, parsed, kind) if is_live else self._run(show, parsed)
        if kind and options.live:
            raise ValueError(f"%{magic.__name__} --live needs a cell: %%{magic.__name__} --live")
        if rest:
            recording = cells.evaluate(self.shell, _expression(magic, rest), rest, local)
        else:
            from paralab_profiling.taking import take

            recording = take()
        return show.of(recording)

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
                    _display(show.of(recording))
            raise
        end = time.monotonic_ns()
        _display(show.of(take().between(start, end)))
        return value

    def _run_live(self, show: _Shown, cell: cells.Cell, kind: str) -> Any:
        __tracebackhide__ = True
        from paralab_profiling import live, progress
        from paralab_profiling.live.widgets import has_widgets

        start_if_needed()
        if not has_widgets():
            with progress():
                return self._run(show, cell)
        with live(kind) as view:  # its picture takes its place on the page
            value = cells.run_here(self.shell, cell)
        show.keep(view.picture)
        return value


class _Shown:
    """Makes a view, binds it to a name, and gives it, or None where it is silenced."""

    def __init__(
        self, shell: Any, view: Callable[[Any], Any], output: str | None, is_silenced: bool
    ) -> None:
        self._shell = shell
        self._view = view
        self._output = output
        self._is_silenced = is_silenced

    def of(self, recording: Any) -> Any:
        """The view of a recording."""
        picture = self._view(recording)
        self.keep(picture)
        return None if self._is_silenced else picture

    def keep(self, picture: Any) -> None:
        """Binds a view to the name after ``-o``."""
        if self._output:
            self._shell.user_ns[self._output] = picture


def _display(picture: Any) -> None:
    if picture is not None:
        display(picture)


def _expression(magic: Any, text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise SyntaxError(f"%{magic.__name__} takes a recording, not {text!r}") from error
