"""Exceptions as plain data: described where they were raised, rendered where they are read.

A traceback cannot travel, and its text alone would be poorer than what the reader's process
can show: a function from a notebook cell has its source in the kernel and nowhere else.  So
an exception is described by file, line and name of each frame, with the source line where
the raising process had it, and becomes text only when somebody looks.  The learner's own
failing line comes first; frames of paralab are counted and left out::

    describe(exc) -> Raised -> (travels by pickle) -> headline(...), render(...)

Set ``PARALAB_FULL_TRACEBACK=1`` or call ``paralab.init(_full_tracebacks=True)`` to see every
frame.
"""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from types import TracebackType
from typing import NamedTuple

from paralab.library_name import is_called_ray
from paralab.shown_text import shown_name, shown_path, shown_text

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_FIRST_FRAMES, _LAST_FRAMES = 40, 60
"""Of a long traceback (a recursion without end), so many frames travel."""
_CHAIN_LIMIT = 16
LONGEST_TEXT = 20_000
"""Characters of what an exception says."""


class _Setting:
    full = False


def show_all_frames(full: bool) -> None:
    """Whether tracebacks rendered in this process show paralab's own frames."""
    _Setting.full = full


def shows_all_frames() -> bool:
    """The setting, or the environment variable."""
    return _Setting.full or os.environ.get("PARALAB_FULL_TRACEBACK", "") not in ("", "0")


class Frame(NamedTuple):
    """One frame of a traceback; ``source`` is None where the raising process had none."""

    file: str
    line: int
    end_line: int | None
    column: int | None
    end_column: int | None
    name: str
    source: str | None
    is_own: bool


class Origin(NamedTuple):
    """The task that an exception came from."""

    function: str
    pid: int
    node: str


@dataclass(frozen=True, slots=True)
class Raised:
    """One exception as text, with those it followed."""

    type_name: str
    text: str
    frames: tuple[Frame, ...]
    left_out: int = 0
    """Frames between the first and the last ones that did not travel."""
    notes: tuple[str, ...] = ()
    members: tuple[Raised, ...] = ()
    """Of an exception group."""
    cause: Raised | None = None
    context: Raised | None = None
    origin: Origin | None = None
    inner: Raised | None = None
    """Where this stands for a failed task: what that task raised."""


def is_own_file(file: str) -> bool:
    """Whether ``file`` is a source file of paralab."""
    return file.startswith(_HERE)


def _own_text(exc: BaseException) -> str:
    try:
        return str(exc)[:LONGEST_TEXT]
    except BaseException as failure:  # a user's __str__ may raise what it likes
        return f"<str() of it failed with {type(failure).__name__}>"


def type_name(cls: type) -> str:
    """The name of a class as tracebacks show it."""
    if cls.__module__ in ("builtins", "__main__"):
        return shown_name(cls.__qualname__)
    return shown_name(f"{cls.__module__}.{cls.__qualname__}")


def _frames(tb: TracebackType | None) -> tuple[tuple[Frame, ...], int]:
    walked = list(_positions(tb))
    left_out = max(0, len(walked) - _FIRST_FRAMES - _LAST_FRAMES)
    if left_out:
        walked = walked[:_FIRST_FRAMES] + walked[-_LAST_FRAMES:]
    return tuple(walked), left_out


def _positions(tb: TracebackType | None) -> Iterator[Frame]:
    while tb is not None:
        code = tb.tb_frame.f_code
        line, end_line, column, end_column = _position(tb)
        file = code.co_filename
        if line:
            linecache.lazycache(file, tb.tb_frame.f_globals)
        source = linecache.getline(file, line) or None
        yield Frame(
            file, line, end_line, column, end_column, code.co_name, source, is_own_file(file)
        )
        tb = tb.tb_next


def _position(tb: TracebackType) -> tuple[int, int | None, int | None, int | None]:
    """Line, end line, and columns in bytes, of the instruction that raised."""
    if tb.tb_lasti >= 0:
        for number, position in enumerate(tb.tb_frame.f_code.co_positions()):
            if number == tb.tb_lasti // 2:
                return tb.tb_lineno or 0, *position[1:]
    return tb.tb_lineno or 0, None, None, None


def describe(exc: BaseException, _seen: frozenset[int] = frozenset()) -> Raised:
    """``exc`` and the exceptions that it followed, as plain data.  Never raises."""
    seen = _seen | {id(exc)}
    frames, left_out = _frames(exc.__traceback__)

    def follow(other: BaseException | None) -> Raised | None:
        if other is None or id(other) in seen or len(seen) >= _CHAIN_LIMIT:
            return None
        return describe(other, seen)

    fields = exc.__dict__  # not getattr: a user's __getattr__ may raise what it likes
    inner, origin = fields.get("_raised"), fields.get("_origin")
    if not isinstance(inner, Raised) or not isinstance(origin, Origin):
        inner = origin = None
    notes = fields.get("__notes__", ())
    members: tuple[Raised, ...] = ()
    if isinstance(exc, BaseExceptionGroup):
        members = tuple(filter(None, map(follow, exc.exceptions)))
    return Raised(
        type_name=type_name(type(exc)),
        text=inner.text if inner else _own_text(exc),
        frames=frames,
        left_out=left_out,
        notes=tuple(map(str, notes)) if isinstance(notes, (list, tuple)) else (),
        members=members,
        # What a failed task raised is told by `inner`, wherever it ran.
        cause=None if inner else follow(exc.__cause__),
        context=None if inner or exc.__suppress_context__ else follow(exc.__context__),
        origin=origin,
        inner=inner,
    )


def source_of(frame: Frame) -> str:
    """The frame's line of source, from where it was raised or from here; else empty."""
    return frame.source or linecache.getline(frame.file, frame.line)


def shown_file(file: str) -> str:
    """``Cell In[4]`` for the source of a notebook cell of this process, else ``file``.

    What a notebook shows is kept and passed on, so there the user's home is ``~``, as in IPython.
    """
    ipython = sys.modules.get("IPython")  # never imported here
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell.compile, "format_code_name"):
        return shown_name(file)
    cell = shell.compile.format_code_name(file)
    return shown_name(shown_path(file) if cell is None else " ".join(cell))


def last_line(raised: Raised) -> str:
    """``Type: text`` as it ends a traceback."""
    return f"{raised.type_name}: {raised.text}" if raised.text else raised.type_name


def headline(raised: Raised, function: str) -> str:
    """One line for ``raised``: what it was, in which task, and the user's line that failed."""
    shown = innermost(raised)
    first, _, more = last_line(shown[1]).partition("\n")
    where = f"task {shown[0].function if shown[0] else function}"
    frame = next((frame for frame in reversed(shown[1].frames) if not frame.is_own), None)
    if frame is not None:
        where += f", line {frame.line} of {shown_file(frame.file)}"
        if source := source_of(frame).strip():
            where += f': "{source}"'
    return shown_text(f"{first}{' ...' if more else ''} ({where})")


def innermost(raised: Raised) -> tuple[Origin | None, Raised]:
    """What was raised first, and by which task, where tasks failed because others had."""
    origin = None
    while raised.inner is not None:
        if raised.origin is not None and raised.origin.function:
            origin = raised.origin
        raised = raised.inner
    return origin, raised


def render(raised: Raised, origin: Origin) -> str:
    """The remote traceback as text, the exceptions that came before first."""
    return shown_text("\n".join(_lines(raised, origin)))


def _title(origin: Origin) -> str:
    if is_called_ray():  # programs look for this
        return f"ray::{origin.function}() (pid={origin.pid}, ip=127.0.0.1)"
    node = f", node {origin.node[:12]}" if origin.node else ""
    return f"Traceback of task {origin.function} (pid {origin.pid}{node}), most recent call last:"


def _lines(raised: Raised, origin: Origin) -> Iterator[str]:
    if raised.cause is not None:
        yield from _lines(raised.cause, origin)
        yield "\nThe above exception was the direct cause of the following exception:\n"
    elif raised.context is not None:
        yield from _lines(raised.context, origin)
        yield "\nDuring handling of the above exception, another exception occurred:\n"
    if raised.inner is not None and raised.origin is not None:
        if raised.origin.function:
            yield from _lines(raised.inner, raised.origin)
        else:  # an error of the runtime's, which no task has raised
            yield last_line(raised.inner)
        if any(not frame.is_own for frame in raised.frames):
            yield f"\nTask {origin.function} met that error where it asked for the result:\n"
        else:
            yield (
                f"\nTask {origin.function} did not run. At least one of the input arguments for "
                "this task could not be computed, see above."
            )
            return
    yield _title(origin)
    yield from _frame_lines(raised)
    yield last_line(raised)
    yield from raised.notes
    for number, member in enumerate(raised.members, 1):
        yield f"  Exception {number} of {len(raised.members)} in the group:"
        for line in _lines(member, origin):
            yield from ("    " + part for part in line.split("\n"))


def _frame_lines(raised: Raised) -> Iterator[str]:
    full = shows_all_frames()
    frames = raised.frames
    if raised.left_out:
        yield from _block(frames[:_FIRST_FRAMES], full)
        yield f"  … {raised.left_out} frames left out"
        frames = frames[_FIRST_FRAMES:]
    yield from _block(frames, full)


def _block(frames: tuple[Frame, ...], full: bool) -> Iterator[str]:
    for is_own, group in groupby(frames, key=lambda frame: frame.is_own):
        members = list(group)
        if is_own and not full:
            plural = "" if len(members) == 1 else "s"
            yield f"  … {len(members)} frame{plural} of paralab hidden"
        else:
            for text in traceback.StackSummary.from_list(map(_summary, members)).format():
                yield text.rstrip("\n")


def _summary(frame: Frame) -> traceback.FrameSummary:
    # Only the first line travels, so what spans several cannot be underlined.
    is_one_line = frame.end_line == frame.line
    return traceback.FrameSummary(
        shown_file(frame.file),
        frame.line,
        shown_name(frame.name),
        lookup_line=False,
        line=source_of(frame),
        end_lineno=frame.line,
        colno=frame.column if is_one_line else None,
        end_colno=frame.end_column if is_one_line else None,
    )
