"""``attach``: what runs is seen while it runs, and nothing of the sampler stays."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab.util import state
from paralab_profiling.attaching import AttachError, attach
from paralab_profiling.profilers import words
from paralab_profiling.profilers.result import Profile

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("attached_may_take_long")]

SECONDS = 60.0
"""How long anything may take; nothing waits that long unless something is broken."""
asking = sys.modules["paralab_profiling.attaching.attach"]


def spin() -> int:
    total = 0
    for number in range(300_000):
        total += number
    return total


def wait_for(gate: str) -> None:
    """Blocks in a call of the system until the gate is opened."""
    with open(gate) as file:
        file.read()


@paralab.remote
def works(begun: str, gate: str) -> None:
    Path(begun).touch()
    while not os.path.exists(gate):
        spin()


@paralab.remote
def waits(begun: str, gate: str) -> None:
    Path(begun).touch()
    wait_for(gate)


@paralab.remote
class Worker:
    def works(self, begun: str, gate: str) -> None:
        Path(begun).touch()
        while not os.path.exists(gate):
            spin()

    def threads(self) -> list[str]:
        return [each.name for each in threading.enumerate()]

    def name_it(self, name: str, begun: str, gate: str) -> None:
        code = spin.__code__.replace(co_qualname=name)
        hostile = FunctionType(code, globals())
        Path(begun).touch()
        while not os.path.exists(gate):
            hostile()


@paralab.remote
class Loop:
    def __init__(self) -> None:
        self.end = asyncio.Event()

    async def outer(self, begun: str) -> None:
        child = asyncio.create_task(self.child())
        await self.inner(begun)
        await child

    async def inner(self, begun: str) -> None:
        touch(begun)
        await self.end.wait()

    async def child(self) -> None:
        await self.end.wait()

    async def let_go(self) -> None:
        self.end.set()

    async def threads(self) -> list[str]:
        return [each.name for each in threading.enumerate()]


def touch(file: str) -> None:
    Path(file).touch()


class Gate:
    """Two files: one says that a task has begun, the other lets it end."""

    def __init__(self, folder: Path, name: str, is_fifo: bool = False) -> None:
        self.begun, self.gate = (str(folder / f"{name}-{each}") for each in ("begun", "gate"))
        self.files = self.begun, self.gate
        if is_fifo:
            os.mkfifo(self.gate)

    @contextmanager
    def around(self, ref: Any) -> Iterator[Any]:
        """While the task runs; at the end it is let go, and waited for.

        Where the gate is a fifo, the task waits at it from the beginning.
        """
        eventually(lambda: os.path.exists(self.begun), SECONDS)
        # To open a fifo for writing waits for its reader, who then waits for what is written.
        is_fifo = os.path.exists(self.gate)
        try:
            with open(self.gate, "w") if is_fifo else nullcontext():
                yield ref
        finally:
            Path(self.gate).touch()
            paralab.get(ref, timeout=SECONDS)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path, "a")


def no_sampler(actor: Any) -> bool:
    return "paralab-sampler" not in paralab.get(actor.threads.remote(), timeout=SECONDS)


def test_a_task_that_works(session: Any, gate: Gate) -> None:
    with gate.around(works.remote(*gate.files)) as ref:
        profile = attach(ref, 1)
    (root,) = profile.roots
    assert (root.name, root.calls, root.kind) == (works._spec.name, 1, "task")
    assert profile.total("spin") > 0.5 * profile.total_of_all > 0
    assert profile.top()[0].name == "spin"
    # A look at a task costs some tens of microseconds; one of 20 ms would be one that waits.
    assert profile.cost is not None
    assert 1 < profile.cost < 1.5
    assert sum(profile.workers.values()) == 1
    (told,) = profile.extra["sampling"]
    assert told["looks"] == profile.samples >= 1


def test_a_generator_that_runs(session: Any, gate: Gate) -> None:
    @paralab.remote
    def yields(begun: str, gate: str) -> Iterator[int]:
        touch(begun)
        while not os.path.exists(gate):
            spin()
        yield 1

    generator = yields.options(num_returns="streaming").remote(*gate.files)
    with gate.around(generator.completed()):
        profile = attach(generator, 0.5)
    assert profile.total("spin") > 0.5 * profile.total_of_all > 0


def test_a_task_that_waits_says_so(session: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path, "fifo", is_fifo=True)
    with gate.around(waits.remote(*gate.files)) as ref:
        profile = attach(ref, 1)
    assert profile.total("wait_for") > 0.9 * profile.total_of_all > 0
    assert profile.total("(waiting)") > 0.5 * profile.total_of_all


def test_one_task_does_not_show_others(session: Any, tmp_path: Path) -> None:
    one, other = Gate(tmp_path, "one"), Gate(tmp_path, "other")
    with (
        one.around(works.options(name="one").remote(*one.files)) as ref,
        other.around(works.options(name="other").remote(*other.files)) as ref_2,
    ):
        assert attach(ref, 0.2).tasks == {"one": 1}
        assert attach([ref, ref_2], 0.2).tasks == {"one": 1, "other": 1}
        assert attach(None, 0.2).tasks == {"one": 1, "other": 1}


def test_a_task_that_ends_ends_it(session: Any, gate: Gate, monkeypatch: Any) -> None:
    asked = []

    def let_go(_seconds: float) -> None:
        asked.append(1)
        Path(gate.gate).touch()
        eventually(lambda: not state.list_tasks(filters=[("state", "=", "RUNNING")]), SECONDS)

    with gate.around(works.remote(*gate.files)) as ref, monkeypatch.context() as patched:
        patched.setattr(asking.time, "sleep", let_go)
        profile = attach(ref, 3_000)
    assert profile.samples
    assert asked


def test_actors(session: Any, gate: Gate) -> None:
    actor = Worker.options(name="named <b>", namespace="space", max_concurrency=3).remote()
    ref = actor.works.remote(*gate.files)
    with gate.around(ref):
        by_handle = attach(actor, 0.2)
        by_name = attach("named <b>", 0.2, namespace="space")
        by_name_alone = attach("named <b>", 0.2)
        (row,) = state.list_actors(filters=[("name", "=", "named <b>")])
        by_id, by_pid = attach(row.actor_id, 0.2), attach(row.pid, 0.2)
        for profile in (by_handle, by_name, by_name_alone, by_id, by_pid):
            assert profile.tasks == {"Worker.works": 1}
            assert profile.total("spin") > 0
        with pytest.raises(AttachError, match="in the namespace 'space'"):
            attach("named <b>", 1, namespace="other")
        assert eventually(lambda: no_sampler(actor), SECONDS)


def test_coroutines_that_wait(session: Any, gate: Gate) -> None:
    actor = Loop.remote()
    with gate.around(actor.outer.remote(gate.begun)):
        # This call comes after the first steps of both coroutines.
        paralab.get(actor.threads.remote(), timeout=SECONDS)
        profile = attach(actor, 0.5)
        assert eventually(lambda: no_sampler(actor), SECONDS)
        paralab.get(actor.let_go.remote(), timeout=SECONDS)
    assert set(profile.tasks) == {"Loop.outer", "Loop.child, started by a call"}
    (root,) = (root for root in profile.roots if root.name == "Loop.outer")
    assert [frame.name for frame in root.children] == ["Loop.outer"]
    assert [frame.name for frame in root.children[0].children] == ["Loop.inner"]


def test_hostile_names(session: Any, gate: Gate) -> None:
    name = "</script><b>\x1b[2J\u202eevil"
    actor = Worker.remote()
    with gate.around(actor.name_it.remote(name, *gate.files)):
        profile = attach(actor, 0.2)
    html = profile.picture.to_html()
    assert "</script><b>" not in html
    for text in (html, words.text(profile), words.tree(profile), profile.to_collapsed()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "</script><b>\N{REPLACEMENT CHARACTER}[2J" in words.tree(profile)


def test_what_cannot_be_looked_at(session: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path, "a")
    done = works.remote(*gate.files)
    with gate.around(done):
        queued = works.options(num_cpus=2).remote(*gate.files)
        with pytest.raises(AttachError, match="does not run yet: it waits for a worker"):
            attach(queued)
        after = works.remote(done, gate.gate)
        with pytest.raises(AttachError, match="does not run yet: it waits for its arguments"):
            attach(after)
        paralab.cancel(after)
    paralab.get(queued, timeout=SECONDS)
    actor = Worker.remote()
    pid = paralab.get(actor.__ray_call__.remote(lambda _self: os.getpid()), timeout=SECONDS)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(paralab.exceptions.ActorDiedError):
        paralab.get(actor.threads.remote(), timeout=SECONDS)
    for target, said in (
        (done, "has ended already"),
        (paralab.put(1), "made by put"),
        (actor, "has ended"),
        (pid, f"Process {pid} has ended"),
        ("nobody \x1b[2J", "No living actor is called"),
        (1, "no worker or driver of this session"),
        (-1, "There is no process -1"),
        (10**20, "There is no process"),
        ([], "list of targets is empty"),
    ):
        with pytest.raises(AttachError, match=said) as caught:
            attach(target)
        assert "\x1b" not in str(caught.value)
    for wrong in (1.5, True, works, b"x"):
        with pytest.raises(TypeError, match="expected an actor, the ref"):
            attach(wrong)


def test_ctrl_c_gives_what_was_seen(session: Any, gate: Gate, monkeypatch: Any) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    actor = Worker.options(max_concurrency=2).remote()
    with gate.around(actor.works.remote(*gate.files)):
        with monkeypatch.context() as patched:
            patched.setattr(asking.time, "sleep", interrupt)
            profile = attach(actor, 3_000)
        assert profile.samples
        assert eventually(lambda: no_sampler(actor), SECONDS)


def test_a_worker_that_dies_meanwhile(session: Any, gate: Gate, monkeypatch: Any) -> None:
    actor = Worker.options(max_concurrency=2).remote()
    pid = paralab.get(actor.__ray_call__.remote(lambda _self: os.getpid()), timeout=SECONDS)
    ref = actor.works.remote(*gate.files)
    eventually(lambda: os.path.exists(gate.begun), SECONDS)
    hear = asking._Asking._hear

    def kill_once_seen(self: Any, survey: Any) -> None:
        hear(self, survey)
        if any(answer.get("looks") for answer in self._seen.values()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            paralab.wait([ref], timeout=SECONDS)

    with monkeypatch.context() as patched:
        patched.setattr(asking._Asking, "_hear", kill_once_seen)
        profile = attach(actor, 3_000)
    assert profile.samples
    with pytest.raises(paralab.exceptions.ActorDiedError):
        paralab.get(ref, timeout=SECONDS)


def test_from_the_shell(session: Any, gate: Gate, tmp_path: Path) -> None:
    program = "from paralab_profiling.attaching.command import profile; profile()"
    file = tmp_path / "seen.json"
    actor = Worker.options(name="in a shell").remote()

    with gate.around(actor.works.remote(*gate.files)):
        done = subprocess.run(
            [sys.executable, "-c", program, "in a shell", "--seconds", "0.5", "--output", file],
            check=False, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Worker.works ×1" in done.stdout
    assert Profile.load(file).total("spin") > 0
