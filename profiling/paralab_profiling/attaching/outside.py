"""Looking at processes from outside, by py-spy: another program that reads their memory.

It sees what the sampler inside cannot: a call into C that keeps the GIL, a process that hangs or is
stopped, a process that has nothing to do with paralab.  It has to be installed (the extra
``attach``), and the system has to permit it: reading another process's memory is ptrace, which
containers and many desktops forbid.  Each look pauses the process for a moment.

Source: https://github.com/benfred/py-spy, whose "raw" format has one line a stack, ``thread;outer
(file:line);...;inner (file:line) 12``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from sysconfig import get_path
from typing import Any

from paralab.engine import Engine, installed
from paralab.shown_text import shown_name
from paralab.what_runs import placed
from paralab_profiling.attaching.sampled import measured_on
from paralab_profiling.attaching.targets import AttachError, Target, exists, found, is_stopped
from paralab_profiling.profilers.places import numbered_file
from paralab_profiling.profilers.result import Profile
from paralab_profiling.profilers.tree import Tree, Where

END_SECONDS = 20.0
"""How long py-spy may take to write what it saw."""
_FRAME = re.compile(r"(.*) \((.*?)(?::(\d+))?\)")
_THREAD = re.compile(r"thread \(\w+\):? ?(.*)")
_ENTRIES = (
    ("_run", "paralab/process/executor.py"),
    ("run_call", "paralab/process/lanes.py"),
    ("_run", "asyncio/events.py"),
)
"""Where the runtime enters calls; what stands above them is not the user's."""


def look(target: Any, seconds: float, interval: float, namespace: str | None) -> Profile:
    """See :func:`paralab_profiling.attach`.

    Raises:
        AttachError: py-spy is not installed, or may not look, or there is no such process.
    """
    program = _program()
    targets = _targets(target, namespace)
    rate = max(1, round(1 / interval))
    tree, samples, notes = Tree(), 0, []
    with tempfile.TemporaryDirectory(prefix="py-spy-") as folder:
        runs = [_begin(program, each.pid, rate, folder) for each in targets]
        try:
            try:
                end = time.monotonic() + seconds
                while time.monotonic() < end and any(run.poll() is None for run in runs):
                    time.sleep(max(0.0, min(0.1, end - time.monotonic())))
            except KeyboardInterrupt:
                pass  # what was seen until now is the answer
            told = [_end(run) for run in runs]
        finally:
            for run in runs:
                if run.poll() is None:
                    run.kill()
                    run.wait()
        for each, (code, said) in zip(targets, told, strict=True):
            file = Path(folder, str(each.pid))
            if not file.exists() or code:
                raise AttachError(_why_not(each, said))
            for path, looks in stacks(file.read_text(errors="replace"), each):
                tree.add([path[0]], 0.0)
                tree.add(path, looks / rate)
                samples += looks
            errors = re.search(r"Errors: ([1-9]\d*)", said)
            if errors:
                notes.append(f"process {each.pid}: {int(errors[1]):,} looks failed")
    notes.append("each look paused the process for a moment")
    return Profile(
        *("py-spy", "s", tree.frames()),
        workers={each.number: 0 for each in targets if each.number},
        seconds=samples / rate,
        samples=samples,
        stamp=measured_on(),
        extra={"notes": notes},
    )


def _program() -> str:
    # Beside this Python first: the folder may not be in PATH.
    program = shutil.which("py-spy", path=get_path("scripts")) or shutil.which("py-spy")
    if program is None:
        raise AttachError(
            "py-spy is not installed: pip install 'paralab[attach]', or pip install py-spy. "
            "method='sampler' needs nothing."
        )
    return program


def _targets(target: Any, namespace: str | None) -> Sequence[Target]:
    engine = installed()
    if isinstance(target, int) and not isinstance(target, bool):
        try:
            if engine is not None:
                return [_named(engine, each) for each in found(engine, target, namespace)]
        except AttachError:
            if target <= 0 or not exists(target):
                raise
        if target <= 0 or not exists(target):
            raise AttachError(f"There is no process {target}.")
        return [Target(target, what=f"process {target}")]
    if engine is None:
        raise AttachError(
            "paralab is not running in this process, so only a pid can be given: call "
            "paralab.init() first."
        )
    return [_named(engine, each) for each in found(engine, target, namespace)]


def _named(engine: Engine, target: Target) -> Target:
    """The target, with what runs there in place of what it is called."""
    if target.is_driver:
        return target
    names = {actor["pid"]: actor["class_name"] for actor in engine.info("actors")}
    names |= {w["pid"]: w["task"] for w in engine.info("workers") if w["pid"] not in names}
    what = shown_name(names.get(target.pid) or target.what)
    return Target(target.pid, target.number, what)


def _begin(program: str, pid: int, rate: int, folder: str) -> subprocess.Popen[str]:
    words = [program, "record", "--pid", str(pid), "--format", "raw", "--rate", str(rate)]
    words += ["--idle", "--threads", "--function", "--full-filenames", "--duration", "unlimited"]
    if is_stopped(pid):
        words.append("--nonblocking")  # py-spy would wait for ever for it to stop
    words += ["--output", os.path.join(folder, str(pid))]
    # A process session of its own: Ctrl-C is for us, and we tell it when to end.
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _end(run: subprocess.Popen[str]) -> tuple[int, str]:
    with suppress(ProcessLookupError):
        run.send_signal(signal.SIGINT)
    try:
        said, _ = run.communicate(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        run.kill()
        said, _ = run.communicate()
    return run.returncode, said


def _why_not(target: Target, said: str) -> str:
    lines = [shown_name(line) for line in said.splitlines() if line.strip()]
    low = said.lower()
    if "permission denied" in low or "operation not permitted" in low:
        return (
            f"py-spy may not look at process {target.pid}: the system does not permit it to read "
            "another process's memory (ptrace). As root: sysctl kernel.yama.ptrace_scope=0; in a "
            "container: start it with --cap-add SYS_PTRACE. Or use method='sampler', which needs "
            "no permission."
        )
    if not exists(target.pid):
        return f"Process {target.pid} ended before py-spy could look at it."
    why = lines[-1] if lines else "it said nothing"
    return f"py-spy could not look at process {target.pid}: {why}"


def stacks(raw: str, target: Target) -> Iterator[tuple[list[Where], int]]:
    """The stacks in a file of py-spy's: each as a path from its root, and how often it was seen.

    Of a worker only what calls of tasks and methods do; of other processes all threads, each under
    its name.
    """
    for line in raw.splitlines():
        words, _, count = line.rpartition(" ")
        thread, *rest = words.split(";")
        frames = [each for text in rest if (each := _FRAME.fullmatch(text))]
        if not count.isdigit() or not frames:
            continue
        name = _THREAD.fullmatch(thread)
        root = shown_name((name and name[1]) or thread)
        if target.number and not target.is_driver:
            entries = [at for at, each in enumerate(frames) if _is_entry(each)]
            if not entries:
                continue  # the runtime's own
            frames = frames[entries[-1] + 1 :]
            root = target.what
        elif root.startswith("paralab-") and target.number:
            continue
        path = [Where(root, "", 0, "task")]
        for each in frames:
            file, kind = placed(each[2])
            if kind == "runtime" and path[-1].kind in ("runtime", "task"):
                continue  # of the runtime only where it was entered
            path.append(Where(shown_name(each[1]), numbered_file(file), int(each[3] or 0), kind))
        yield path, int(count)


def _is_entry(frame: re.Match[str]) -> bool:
    name = frame[1].rpartition(".")[2]
    return any(name == entry and frame[2].endswith(file) for entry, file in _ENTRIES)
