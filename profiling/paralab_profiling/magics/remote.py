"""``%remote`` and ``%%remote``: a call, or a whole cell, as a task.

::

    notebook                                       worker
    names that the cell reads ──┐
    its code, compiled here ────┴── run_cell ────▶ runs in a namespace of its own
    names that it has assigned ◀── CellResult ──── the value of its last line, and its names

What is not assigned does not come back: a list to which the cell appends is a copy there.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)
from IPython.core.magic_arguments import argument, magic_arguments

import paralab
from paralab.actor import ActorClass, ActorHandle, ActorMethod
from paralab.engine import installed
from paralab.exceptions import ActorDiedError
from paralab.remote_cell import CellActor, CellCode, call, run_cell, run_cell_for_refs, settle
from paralab.remote_function import RemoteFunction
from paralab.shown_text import shown_name
from paralab_profiling.magics import arguments, cells
from paralab_profiling.magics.names import Names, names_of


@dataclass
class CellRun:
    """What one ``%%remote`` did, for ``-o``.

    Attributes:
        value: of its last line; a ref with ``--no-get``.
        seconds: from its start until the value was there, or the ref with ``--no-get``.
        where: "a worker", "the notebook" or "actor NAME".
        took: the names that it took from the notebook.
        gave: the names that it assigned in the notebook.
    """

    value: Any
    seconds: float
    where: str
    took: list[str] = field(default_factory=list)
    gave: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data, the value as its text."""
        return {**vars(self), "value": repr(self.value)}

    def save(self, path: str | Path) -> Path:
        """Writes :meth:`to_dict` to a file as JSON and returns its path.

        Raises:
            OSError: the file cannot be written.
        """
        path = Path(path)
        path.write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")
        return path


@dataclass
class _Room:
    """An actor in which cells run.  It is there until it dies or the session ends."""

    handle: ActorHandle
    engine: Any
    given: dict[str, Any]
    names: set[str] = field(default_factory=set)
    """What cells have assigned there."""


@magics_class
class RemoteMagics(Magics):
    """``%remote`` and ``%%remote``."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._rooms: dict[str, _Room] = {}
        """By the name after ``--actor``."""

    @no_var_expand
    @needs_local_scope
    @magic_arguments()
    @argument("--num-cpus", type=float, metavar="N", help="CPUs that it takes while it runs")
    @argument("--num-gpus", type=float, metavar="N", help="GPUs that it takes")
    @argument("--memory", type=arguments.size, metavar="SIZE", help="such as 500MB")
    @argument("--resources", type=arguments.amounts, metavar="NAME=N,...", help="custom ones")
    @argument(
        "--name", type=arguments.text, metavar="NAME", help="how pictures and prints call the task"
    )
    @argument(
        "--get", action=argparse.BooleanOptionalAction, default=None,
        help="wait for the result, as %%%%remote does by itself, or not, as %%remote does; a cell "
        "that is not waited for gives a ref, and the names that it assigns are refs too",
    )  # fmt: skip
    @argument(
        "--actor", type=arguments.name, metavar="NAME",
        help="of a cell: run it in the actor of this name, which is made when it is first used; "
        "what the cell assigns stays there, for the cells to come, and does not come back",
    )  # fmt: skip
    @argument("--local", action="store_true", help="run it here, for the comparison")
    @argument(
        "-o", dest="output", type=arguments.name, metavar="NAME",
        help="of a call: bind the ref to NAME; of a cell: an object with value and seconds",
    )  # fmt: skip
    @line_cell_magic
    def remote(self, line: str, cell: str | None = None, local_ns: Any = None) -> Any:
        """Runs a call, or a cell, as a task.

        ``%remote f(1, x)`` evaluates the arguments here, runs the call in a worker and gives its
        ref.  ``%%remote`` runs the cell's body in a worker: it takes the names that it reads from
        the notebook, brings back those that it assigns, and its value is that of its last line.  A
        cell that only defines functions or classes makes them remote.  Arrays come back
        read-only, as from ``get``.
        """
        __tracebackhide__ = True
        options, rest, is_silenced = arguments.split(self.remote, line)
        if cell is None:
            result = self._call(options, rest, local_ns)
        elif rest:
            raise ValueError(f"%%remote takes options only, and the code below it; got {rest!r}.")
        else:
            header = f"%%remote {line}".rstrip()
            parsed = cells.parse(self.shell, header, cell)
            is_silenced = is_silenced or parsed.is_silenced
            if parsed.definitions and not options.actor:
                return self._define(parsed, options)
            result = self._cell(parsed, options)
        if options.output:
            self.shell.user_ns[options.output] = result
        if isinstance(result, CellRun):
            result = result.value
        return None if is_silenced else result

    # -- a call ------------------------------------------------------------------------------

    def _call(self, options: argparse.Namespace, text: str, local: Any) -> Any:
        __tracebackhide__ = True
        if options.actor:
            raise ValueError("--actor is for cells: %%remote --actor NAME, and the code below it.")
        expression = _parsed_call(text)
        function = cells.evaluate(self.shell, expression.func, text, local)
        if inspect.ismethod(function) and isinstance(function.__self__, RemoteFunction):
            function = function.__self__  # f.remote(1) is meant as f(1)
        # The arguments go to a function that gives them back as they are.
        taken = ast.Call(ast.Name("*", ast.Load()), expression.args, expression.keywords)
        given = {**(local or {}), "*": lambda *args, **kwargs: (args, kwargs)}
        args, kwargs = cells.evaluate(self.shell, taken, text, given)
        if options.local:
            plain = getattr(function, "__wrapped__", function)
            return plain(*args, **kwargs)
        given = _given(options)
        if isinstance(function, ActorMethod | ActorClass | RemoteFunction):
            target = function.options(**given) if given else function
            result = target.remote(*args, **kwargs)
        elif inspect.isfunction(function):
            result = paralab.remote(function).options(**given).remote(*args, **kwargs)
        elif callable(function):
            given.setdefault("name", shown_name(getattr(function, "__name__", "call")))
            result = paralab.remote(call).options(**given).remote(function, *args, **kwargs)
        else:
            raise TypeError(f"{type(function).__name__!r} object is not callable")
        return paralab.get(result) if options.get else result

    # -- a cell ------------------------------------------------------------------------------

    def _define(self, cell: cells.Cell, options: argparse.Namespace) -> None:
        for option in ("local", "output"):
            if getattr(options, option):
                raise ValueError(f"A cell that only defines something takes no {option} option.")
        cells.run_here(self.shell, cell)
        given = _given(options)
        for name in cell.definitions:
            made = self.shell.user_ns[name]
            if not isinstance(made, RemoteFunction | ActorClass):
                self.shell.user_ns[name] = (
                    paralab.remote(**given)(made) if given else paralab.remote(made)
                )

    def _cell(self, cell: cells.Cell, options: argparse.Namespace) -> CellRun:
        __tracebackhide__ = True
        start = time.monotonic()
        if options.local:
            value = cells.run_here(self.shell, cell)
            return CellRun(value, time.monotonic() - start, "the notebook")
        names = names_of(cell.tree)
        if "get_ipython" in names.reads:
            raise ValueError(
                "This cell runs in a worker, where there is no IPython: put lines with % or ! "
                "into another cell."
            )
        code = cells.compiled(self.shell, cell)
        if options.actor:
            run = self._in_actor(code, names, options)
        else:
            run = self._in_worker(code, names, options)
        run.seconds = time.monotonic() - start
        return run

    def _in_worker(self, code: CellCode, names: Names, options: argparse.Namespace) -> CellRun:
        __tracebackhide__ = True
        taken = cells.taken(self.shell, names)
        # A cell is not written to be run twice, so it is not tried again when its worker dies.
        given = {"name": self._label(), "max_retries": 0, **_given(options)}
        wanted = names.binds
        run = CellRun(None, 0.0, "a worker", sorted(taken))
        user = self.shell.user_ns
        if options.get is False:
            function = paralab.remote(run_cell_for_refs)
            refs = function.options(num_returns=1 + len(wanted), **given).remote(
                code, taken, wanted
            )
            run.value, *others = refs if wanted else [refs]
            user.update(zip(wanted, others, strict=True))
            run.gave = list(wanted)
            return run
        wanted += tuple(names.deletes.difference(wanted))
        result = paralab.get(paralab.remote(run_cell).options(**given).remote(code, taken, wanted))
        run.value, run.gave = result.value, list(result.names)
        for name in (*result.gone, *result.left):
            if name in names.deletes or name in result.left:
                user.pop(name, None)
        settle(result.names, user)
        for name, why in result.left.items():
            warnings.warn(f"{name} has stayed in the worker: {why}", stacklevel=2)
        return run

    def _in_actor(self, code: CellCode, names: Names, options: argparse.Namespace) -> CellRun:
        __tracebackhide__ = True
        room = self._room(options)
        taken = {
            name: value
            for name, value in cells.taken(self.shell, names).items()
            if name not in room.names
        }
        label = options.name or f"{options.actor} {self._label()}"
        ref = room.handle.run.options(name=label).remote(code, taken)
        room.names |= {*names.binds, *taken}
        value = ref
        if options.get is not False:
            try:
                value = paralab.get(ref)
            except ActorDiedError:
                del self._rooms[options.actor]
                raise
        return CellRun(value, 0.0, f"actor {options.actor}", sorted(taken))

    def _room(self, options: argparse.Namespace) -> _Room:
        given = _given(options)
        given.pop("name", None)
        room = self._rooms.get(options.actor)
        if room is not None and room.engine is installed():
            if given not in ({}, room.given):
                raise ValueError(
                    f"Actor {options.actor} is there already, with {room.given or 'no options'}: "
                    "it cannot get others. Use another name, or end it with "
                    f"paralab.kill(paralab.get_actor({options.actor!r}))."
                )
            return room
        handle = paralab.remote(CellActor).options(name=options.actor, **given).remote()
        room = self._rooms[options.actor] = _Room(handle, installed(), given)
        return room

    def _label(self) -> str:
        return f"In[{cells.number(self.shell)}]"


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The options of the task or actor that were given."""
    names = ("num_cpus", "num_gpus", "memory", "resources", "name")
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _parsed_call(text: str) -> ast.Call:
    try:
        expression = ast.parse(text, mode="eval").body
    except SyntaxError:
        expression = None
    if isinstance(expression, ast.Call):
        return expression
    raise ValueError(f"%remote takes a call such as f(1, x), not {text!r}.")
