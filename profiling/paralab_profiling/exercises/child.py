"""The process in which one answer is checked, started by ``judging``.

It has a session of its own, so that the learner's stays as it is.  Over its one connection it says
which step it begins; last comes the verdict.  Asked what it waits for, a thread answers with the
tasks that have not ended; where even that is held up, the system's signal still shows the line.
"""

from __future__ import annotations

import faulthandler
import linecache
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import paralab
from paralab.shown_text import shown_name, shown_text
from paralab_profiling.exercises.answers import Piece
from paralab_profiling.exercises.ladders import not_yet
from paralab_profiling.lessons.checking import CANNOT_JUDGE, Verdict

NEEDS = "the rest of the check rests on it"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be checked.

    Attributes:
        number: of the exercise.
        pieces: the learner's code; None if there is a function.
        function: pickled; b"" if there is code.
        path: what ``sys.path`` has at its end, so that the learner's own modules are found.
    """

    number: int
    pieces: Sequence[Piece] | None
    function: bytes
    path: Sequence[str]


def main(connection: int, traces: int) -> None:
    """Checks what it is sent.

    Args:
        connection: descriptor of the connection to the process that asked.
        traces: descriptor of a file for the lines at which threads stand.
    """
    for descriptor in (connection, traces):
        os.set_inheritable(descriptor, False)
    asker = Connection(connection)
    faulthandler.register(signal.SIGUSR1, traces, all_threads=True)
    request: Request = pickle.loads(asker.recv_bytes())
    threading.Thread(target=_tell_what_runs, args=(asker,), daemon=True).start()
    sys.path += request.path
    verdict = _checked(asker, request)
    try:
        packed = pickle.dumps(("verdict", verdict))
    except Exception:  # a picture may hold what cannot be sent
        packed = pickle.dumps(("verdict", replace(verdict, picture=None)))
    asker.send_bytes(packed)
    _end_session()


def _say(asker: Connection, step: str, of_learner: bool = False) -> None:
    asker.send_bytes(pickle.dumps(("step", (step, of_learner, threading.get_ident()))))


def _checked(asker: Connection, request: Request) -> Verdict:
    from paralab_profiling.exercises.shelf import place

    try:
        _say(asker, "loading the checker")
        checker = place(request.number).checker()
    except ModuleNotFoundError as error:
        package = shown_name(error.name or str(error))
        if package.startswith("paralab"):
            return _failed("the check could not begin", error)
        rows = [("next", f"pip install {package}, or all of pip install 'paralab[lab]'")]
        return Verdict(CANNOT_JUDGE, f"Cannot judge: the check needs {package}.", rows)
    except Exception as error:
        return _failed("the check could not begin", error)
    try:
        answer = _answer(asker, request, checker.answer)
        if isinstance(answer, Verdict):
            return answer
        # The learner's code may have started a session, too; counts are those of a new one.
        _say(asker, "starting paralab")
        paralab.shutdown()
        if checker.cpus is not None:
            paralab.init(address="local", num_cpus=checker.cpus)
        _say(asker, f"calling {shown_name(checker.answer)}", of_learner=True)
        return checker.check(answer)
    except SystemExit as leaving:
        return _left(leaving)
    except Exception as error:
        return _failed("the check itself failed", error)


def _answer(asker: Connection, request: Request, name: str) -> Callable[..., Any] | Verdict:
    """The learner's function, or what is wrong with it."""
    if request.pieces is None:
        _say(asker, "unpickling your function", of_learner=True)
        try:
            found = pickle.loads(request.function)
        except Exception as error:
            return _raised("loading your function in another process", "that process", error)
        return found if callable(found) else _missing(name, "what was given is no function")
    # Functions of __main__ go to workers by value, as those of a notebook do.
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    if not any(piece.source.strip() for piece in request.pieces):
        return _missing(name, "there is no code in the file")
    for piece in request.pieces:
        _say(asker, f"running {piece.place}", of_learner=True)
        lines = piece.source.splitlines(keepends=True)
        linecache.cache[piece.place] = (len(piece.source), None, lines, piece.place)
        try:
            exec(compile(piece.source, piece.place, "exec"), module.__dict__)  # noqa: S102
        except SystemExit as leaving:
            return _left(leaving)
        except Exception as error:
            return _raised(f"running {piece.place}", piece.place, error)
    found = getattr(module, name, None)
    if found is None:
        return _missing(name, f"the code defines no {name}")
    return found if callable(found) else _missing(name, f"{name} is no function")


def _missing(name: str, measured: str) -> Verdict:
    return not_yet(
        "missing",
        f"there is no function {name} to check.",
        measured,
        f"a function {name}, in the cell that the task names",
        NEEDS,
        f"define {name} again; the notebook that 'paralab exercise start' copies has it",
    )


def _raised(doing: str, place: str, error: Exception) -> Verdict:
    line: int | None = None
    for frame in traceback.extract_tb(error.__traceback__):
        line = frame.lineno if frame.filename == place else line
    said = shown_text(str(error)).strip().splitlines() or [""]
    where = f", in line {line}" if line else ""  # a SyntaxError says it itself
    return not_yet(
        "error",
        f"{doing} raised an error.",
        f"{type(error).__name__}: {said[0]}{where}",
        "code that runs to its end",
        "what comes after the error was not run",
        "run the cells from the top, after a restart of the kernel",
    )


def _left(leaving: SystemExit) -> Verdict:
    return not_yet(
        "ended",
        "your answer ended its process.",
        f"SystemExit({leaving.code!r})",
        "a function that returns",
        "a function that ends the process gives nobody its result",
        "take out exit(), quit() and sys.exit(), and return instead",
    )


def _failed(what: str, error: Exception) -> Verdict:
    traceback.print_exception(error)
    said = (shown_text(str(error)).strip().splitlines() or [""])[-1]
    rows = [("measured", f"{type(error).__name__}: {said}")]
    rows += [("next", "check again; if it stays, this is a mistake in the exercise: report it")]
    return Verdict(CANNOT_JUDGE, f"Cannot judge: {what}.", rows)


def _end_session() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    paralab.shutdown()
    # Threads that the answer has started keep nobody waiting.
    os._exit(0)


def _tell_what_runs(asker: Connection) -> None:
    """Answers each question with the tasks that have not ended: (name, state)."""
    from paralab_profiling.taking import take

    try:
        while asker.recv_bytes():
            try:
                open_ = [t for t in take(1.0) if t.state not in ("done", "failed")]
                told = [(task.name, task.state) for task in open_]
            except Exception:  # no session, or it is ending
                told = []
            asker.send_bytes(pickle.dumps(("open", told)))
    except (EOFError, OSError):
        # Nobody is there any more whom a verdict could reach.
        os._exit(1)
