"""``profile``: everything that a block, or a function, has workers do is profiled.

::

    with profile(tool="pyinstrument") as p:      @profile(tool="cprofile")
        paralab.get([f.remote(x) for x in xs])   def program(): ...
    p                                            program(); program.profile

Tasks, actors' constructors and methods that are submitted inside are measured where they run, and
so are those that they submit themselves.  A call that ends after the block is added once it has.
"""

from __future__ import annotations

import functools
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from types import TracebackType
from typing import Any, Self, TypeVar

from paralab.engine import current, installed
from paralab.ids import process_number
from paralab.object_ref import ObjectRef
from paralab.profiled import Request
from paralab.remote_function import start_engine
from paralab_profiling.profilers import kept, submitting
from paralab_profiling.profilers.inside import Span
from paralab_profiling.profilers.result import Profile, ProfileError, merge
from paralab_profiling.profilers.tools import TOOLS, check, find, finished

_Function = TypeVar("_Function", bound=Callable[..., Any])
SECONDS = 5.0
"""How long a process may take to tell what it has measured."""
_blocks: list[Request] = []
"""The driver's open blocks; an entry leaves when its block does."""
_lock = threading.Lock()
_finished: list[str] = []
"""Requests whose results the node keeps, oldest first."""


class Profiling:
    """A block that is profiled, and afterwards its result; made by :func:`profile`.

    It has everything that a :class:`Profile` has: ``p.own("f")``, ``p.picture``, ``p.save(path)``.
    """

    def __init__(self, request: Request, driver: bool) -> None:
        self._request = request
        self._driver = driver
        self._span: Span | None = None
        self._engine: Any = None
        self._result: Profile | None = None
        self._is_open = False
        self._late = 0
        """Calls of the block that have ended since the workers were asked."""

    def __enter__(self) -> Self:
        if self._is_open or self._engine is not None:
            raise RuntimeError("This profile has begun already: call profile() once a block.")
        with _lock:
            check([self._request.tool, *(each.tool for each in _blocks)])
            _blocks.append(self._request)
        try:
            self._engine = installed() or start_engine()
            submitting.LISTENERS[self._request] = self._submitted
            submitting.open_for((self._request,))
        except BaseException:
            _blocks.remove(self._request)
            raise
        self._is_open = True
        if self._driver:
            self._span = Span("", (self._request._replace(nested=False),))
            self._span.nested = (self._request,)
            self._span.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._span is not None:
            self._span.stop()
            self._span.nested = ()
            self._span.end()
        submitting.close_for((self._request,))
        submitting.LISTENERS.pop(self._request, None)
        self._is_open = False
        with _lock:
            _blocks.remove(self._request)
        _remember(self._engine, self._request.id)
        self._late = 1  # so that whoever looks first asks
        if kind is None:
            self.refresh()

    def __call__(self, function: _Function) -> _Function:
        """As a decorator: each call is profiled; the last one's result is ``function.profile``."""
        request, driver = self._request, self._driver

        @functools.wraps(function)
        def profiled(*args: Any, **kwargs: Any) -> Any:
            block = Profiling(request._replace(id=_new_id()), driver)
            with block:
                value = function(*args, **kwargs)
            profiled.profile = block  # type: ignore[attr-defined]
            return value

        profiled.profile = None  # type: ignore[attr-defined]
        return profiled  # type: ignore[return-value]

    def _submitted(self, ref: Any) -> None:
        if isinstance(ref, ObjectRef):
            self._engine.on_settled(ref, self._one_more)

    def _one_more(self) -> None:
        self._late += 1

    def run(self, function: Callable[[], Any], pairs: int = 3) -> Self:
        """Measures the tool's own cost too: the function runs with it and without it, in turns.

        Args:
            function: called without arguments, ``2 * (pairs + 1)`` times; the first pair, in which
                workers start and import what measures, does not count.
            pairs: of runs.  The cost is the median of their ratios.

        Returns:
            this; its result is that of the runs with the tool, its ``cost`` the ratio.

        Raises:
            ValueError: ``pairs`` is no positive int.
        """
        if type(pairs) is not int or pairs < 1:
            raise ValueError(f"run() takes pairs >= 1, not {pairs!r}.")
        parts, ratios = [], []
        for _ in range(pairs + 1):
            start = time.perf_counter()
            function()
            without = time.perf_counter() - start
            block = Profiling(self._request._replace(id=_new_id()), self._driver)
            with block:
                start = time.perf_counter()
                function()
                ratios.append((time.perf_counter() - start) / max(without, 1e-9))
            parts.append(block.result)
            # tracemalloc goes on for a while, which would be charged to the run without it.
            current().survey(kept.CLOSE, 0, SECONDS)
            kept.STORE.close(0)
        self._engine = installed()
        self._result = replace(merge(parts[1:]), cost=median(ratios[1:]))
        return self

    def refresh(self) -> Profile:
        """Asks the workers anew and returns what there is now: calls that had not ended may have.

        Processes that do not answer within 5 s are counted in the profile's notes.  Once the
        session has ended, it is what there was.
        """
        if self._is_asked_for() and self._engine is not None and installed() is self._engine:
            self._late = 0
            tool = find(self._request.tool)
            empty = Profile(tool.name, tool.unit, ())
            parts, notes = gathered(self._request.id)
            self._result = _with_notes(finished(merge([empty, *parts])), notes)
        if self._result is None:
            raise RuntimeError("Nothing was profiled yet: the block has not begun.")
        return self._result

    def _is_asked_for(self) -> bool:
        """Whether workers have it: not after :meth:`run`, and the node forgets old ones."""
        if self._is_open or self._result is None:
            return True
        return self._request.id in _finished

    @property
    def result(self) -> Profile:
        """What was measured of the calls that have ended.

        Raises:
            RuntimeError: the block has not begun.
        """
        return self.refresh() if self._result is None or self._late else self._result

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.result, name)

    def __repr__(self) -> str:
        if self._engine is None:
            return f"<profile with {self._request.tool}, not begun>"
        return repr(self.result)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if self._engine is None:
            return {"text/plain": repr(self)}
        return self.result._repr_mimebundle_()


def profile(tool: str = "pyinstrument", *, driver: bool = False, **settings: Any) -> Profiling:
    """Profiles what the tasks do that are submitted in a block, those that they submit included.

    Args:
        tool: "pyinstrument" samples the stack; "cprofile" counts every call. Both hang on every
            call, so they cost little where functions are long, and several times their time where
            they are tiny: ``run`` measures it, and ``attach`` does without. Both measure the
            thread that runs a call, not those that it starts, which ``attach`` sees.
            Of memory, "peak" tells the most that each task had, "tracemalloc" the lines and
            "objgraph" the types that grow with every call; "fil" and "memray" tell which lines had
            the memory that was alive at the peak.
        driver: whether the block's own code is measured too, as "this process".
        **settings: of the tool; ``interval`` of pyinstrument is seconds between two samples,
            ``clock`` of cProfile "wall", or "cpu" for the seconds that the thread computed, whoever
            else uses the machine.

    Returns:
        for ``with profile() as p:`` or as a decorator.  Afterwards ``p`` is the result.

    Raises:
        ValueError: there is no such tool, it cannot run here, or it has no such setting.
        TypeError: a setting has the wrong type.
    """
    check([tool], settings)
    return Profiling(Request(tool, _new_id(), True, tuple(sorted(settings.items()))), driver)


def collect(tool: str | None = None) -> Profile:
    """What the option ``profile=`` of tasks, actors and methods has measured in this session.

    Args:
        tool: which, if several were used.

    Raises:
        ProfileError: nothing was measured, or with several tools and none is named.
        ValueError: there is no such tool.
        SystemFailure: paralab is not running.
    """
    if tool is not None:
        find(tool)
    current()
    parts, notes = gathered("")
    found = sorted({each.tool for each in parts})
    if tool is not None:
        parts = [each for each in parts if each.tool == tool]
    elif len(found) > 1:
        raise ProfileError(
            f"Tasks were profiled with {' and '.join(found)}: say which, as collect({found[0]!r})."
        )
    if not parts:
        options = ", ".join(repr(name) for name in sorted(TOOLS))
        raise ProfileError(
            "Nothing was profiled in this session: give a task the option profile=, which is one "
            f"of {options}, and collect() when it has run."
        )
    return _with_notes(finished(merge(parts)), notes)


def _with_notes(profile: Profile, notes: Sequence[str]) -> Profile:
    if not notes:
        return profile
    said = [*profile.extra.get("notes", ()), *notes]
    return replace(profile, extra={**profile.extra, "notes": said})


def gathered(request_id: str) -> tuple[list[Profile], list[str]]:
    """What all processes have measured for a request, those included that have ended.

    Returns:
        a profile for each of them; and notes, about those that did not answer.
    """
    engine = current()
    found: dict[str, tuple[int, Profile]] = {}
    start = f"{request_id}/"

    def take(key: str, value: bytes) -> None:
        told, before = kept.unpacked(value), found.get(key)
        if before is None or _amount(*told) > _amount(*before):
            found[key] = told

    # First what they have not handed over, then what the node has: what comes in between is there.
    survey = engine.survey("profiles", 0, SECONDS)
    for told in [*survey.answers(), kept.STORE.told()]:
        for key, value in (told or {}).items():
            if key.startswith(start):
                take(key, value)
    for name in engine.key_values("list", kept.SPACE, start.encode(), None):
        value = engine.key_values("get", kept.SPACE, name, None)
        if value is not None:
            take(name.decode(), value)
    profiles = []
    for key, (ended, part) in found.items():
        address = key.split("/")[2]
        number = process_number(bytes.fromhex(address)) if address else 0
        workers = {number: ended} if ended else {}
        profiles.append(merge([part, Profile(part.tool, part.unit, (), workers)]))
    silent = len(survey.silent)
    if not silent:
        return profiles, []
    which = "1 process" if silent == 1 else f"{silent:,} processes"
    return profiles, [f"{which} did not answer in {SECONDS:g} s, so calls may be missing"]


def _amount(ended: int, profile: Profile) -> int:
    return ended + sum(profile.missed.values())


def _new_id() -> str:
    return secrets.token_hex(6)


def _remember(engine: Any, request_id: str) -> None:
    """Has the node forget what is older than the last few requests."""
    _finished.append(request_id)
    while len(_finished) > kept.MOST_REQUESTS:
        old = _finished.pop(0)
        try:
            engine.key_values("delete", kept.SPACE, f"{old}/".encode(), True)
        except Exception:
            return  # that session has ended
