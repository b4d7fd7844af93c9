"""E20's program: parts that together send every message that there is.

Each part is given a folder of its own and ``acted``, which says whether the fault has happened; it
returns what a reader can check.  What it returns must not depend on what happened to messages.
"""

# mypy: disable-error-code="attr-defined,no-any-return,untyped-decorator"

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from process_helpers import LARGE, eventually, stored

import paralab
from paralab.engine import current
from paralab.exceptions import (
    ActorDiedError,
    OutOfMemoryError,
    OwnerDiedError,
    RuntimeEnvSetupError,
    TaskCancelledError,
    TaskUnschedulableError,
)
from paralab.experimental import internal_kv
from paralab.util import state
from paralab.util.placement_group import placement_group, remove_placement_group
from paralab.util.scheduling_strategies import (
    NodeAffinitySchedulingStrategy,
    PlacementGroupSchedulingStrategy,
)

Acted = Callable[[], bool]
ROUNDS = 30
"""After so many a part gives up to provoke a message."""


@paralab.remote
def add(one: int, other: int) -> int:
    return one + other


@paralab.remote
def nested(count: int) -> int:
    return sum(paralab.get([add.remote(number, 1) for number in range(count)]))


@paralab.remote
def opened(box: list[Any]) -> Any:
    return paralab.get(box[0])


@paralab.remote
def passed_on(box: list[Any]) -> list[Any]:
    return box


@paralab.remote
def large(letter: str) -> bytes:
    return letter.encode() * LARGE


@paralab.remote
def size(data: bytes) -> int:
    return len(data)


@paralab.remote
class Counter:
    def __init__(self, start: int = 0) -> None:
        self.count = start
        self.box: list[Any] = []

    def add(self, number: int) -> int:
        self.count += number
        return self.count

    def keep(self, box: list[Any]) -> None:
        self.box = box

    def make(self, value: Any) -> list[Any]:
        return [paralab.put(value)]

    def opened(self) -> Any:
        return paralab.get(self.box[0])

    def leave(self) -> None:
        paralab.actor.exit_actor()


@paralab.remote
def use(counter: Any, number: int) -> int:
    return paralab.get(counter.add.remote(number))


def tasks(folder: Path, acted: Acted) -> object:
    """Plain and nested tasks, a function with a ref in it, refs in refs."""
    captured = paralab.put(7)

    @paralab.remote
    def closure() -> int:
        return paralab.get(captured)

    found = [
        paralab.get([add.remote(number, 1) for number in range(10)]),
        paralab.get([nested.remote(2), nested.remote(3)]),
        paralab.get(opened.remote([add.remote(1, 1)])),
        paralab.get(add.remote(add.remote(1, 2), add.remote(3, 4))),
        paralab.get(closure.remote()),
    ]
    del closure
    gc.collect()
    for _ in range(ROUNDS):
        if acted():
            break
        _take_back(folder)
        paralab.get([*[add.remote(1, 1) for _ in range(40)], add.options(num_cpus=2).remote(1, 1)])
    return found


@paralab.remote
def step(what: str, path: str) -> None:
    if what == "wait":
        with open(path) as file:
            file.read()
    elif what == "work":
        sum(range(100_000))


def _take_back(folder: Path) -> None:
    """Short calls behind one that ends only after them: they have to be taken back."""
    path = str(folder / "fifo")
    if not os.path.exists(path):
        os.mkfifo(path)
    paralab.get([step.remote("", "") for _ in range(50)])
    last, *others = [step.remote(what, path) for what in ("wait", *[""] * 40)]
    paralab.get(others)
    with open(path, "w") as file:
        file.write("go")
    paralab.get(last)


def wide(_folder: Path, acted: Acted) -> object:
    """A task that needs all CPUs, while others have them."""
    found = 0
    for _ in range(ROUNDS):
        busy = [step.remote("work", "") for _ in range(60)]
        paralab.wait(busy, num_returns=4)
        found = paralab.get(add.options(num_cpus=2).remote(1, 2))
        paralab.get(busy)
        if acted():
            break
    return found


def objects(_folder: Path, _acted: Acted) -> object:
    """Large values put, passed, returned, and refs that go from hand to hand."""
    one = paralab.put(b"a" * LARGE)
    first, second = Counter.remote(), Counter.remote()
    box = paralab.get(first.make.remote(b"owned by an actor"))
    paralab.get(second.keep.remote(box))
    again = paralab.get(passed_on.remote(box))
    found = [
        paralab.get(size.remote(one)),
        len(paralab.get(large.remote("b"))),
        paralab.get(size.remote(b"c" * LARGE)),
        paralab.get(opened.remote([paralab.put(b"d")])),
        paralab.get(second.opened.remote()),
        paralab.get(opened.remote(again)),
        paralab.get(again[0]),
    ]
    del box, again
    return found


def actors(_folder: Path, acted: Acted) -> object:
    """Actors with and without names, passed on, restarted, killed, and leaving."""
    counter = Counter.remote(10)
    named = Counter.options(name="counter", max_restarts=1, max_task_retries=-1).remote(20)
    found = [
        paralab.get([counter.add.remote(1) for _ in range(5)]),
        paralab.get(use.remote(counter, 5)),
        paralab.get(paralab.get_actor("counter").add.remote(1)),
    ]
    paralab.kill(named, no_restart=False)
    found.append(paralab.get(named.add.remote(2)))
    leaving, killed = Counter.remote(), Counter.remote()
    found.append(_how(leaving.leave.remote()))
    found.append(_how(leaving.add.remote(1)))
    found.append(paralab.get(killed.add.remote(1)))
    paralab.kill(killed)
    found.append(_how(killed.add.remote(1)))
    del counter, named, leaving, killed
    eventually(lambda: not _living_actors(), 20)
    return found


def _living_actors() -> list[Any]:
    return [each for each in current().info("actors") if each["state"] != "DEAD"]


def _how(ref: Any) -> str:
    try:
        paralab.get(ref)
    except ActorDiedError as error:
        return type(error).__name__
    return "it lives"


def generators(_folder: Path, _acted: Acted) -> object:
    """Items while the function still runs, held up and stopped by who takes them."""

    @paralab.remote(num_returns="streaming", _generator_backpressure_num_objects=2)
    def count(to: int) -> Any:
        yield from range(to)

    found = [[paralab.get(ref) for ref in count.remote(8)]]
    stopped = count.remote(1_000_000)
    found.append([paralab.get(next(stopped)) for _ in range(3)])
    del stopped
    return found


@paralab.remote(max_retries=0)
def endless(begun: Path) -> None:
    begun.touch()
    threading.Event().wait()


@paralab.remote
def cancel(box: list[Any]) -> None:
    paralab.cancel(box[0])


@paralab.remote(max_retries=5)
def deaf(begun: Path) -> int:
    begun.touch()
    return sum(range(10**12))  # hours, in one call that keeps the interpreter's lock


def cancelling(folder: Path, _acted: Acted) -> object:
    """By the owner, by a borrower, and by force."""
    found = []
    for by in ("owner", "borrower"):
        ref = endless.remote(folder / by)
        eventually((folder / by).exists, 20)
        if by == "owner":
            paralab.cancel(ref)
        else:
            paralab.get(cancel.remote([ref]))
        try:
            paralab.get(ref)
        except TaskCancelledError:
            found.append("cancelled")
    ref = deaf.remote(folder / "deaf")
    eventually((folder / "deaf").exists, 20)
    paralab.cancel(ref, force=True)
    try:
        paralab.get(ref)
    except TaskCancelledError:
        found.append("ended")
    return found


def groups(folder: Path, _acted: Acted) -> object:
    """A placement group, a task in it, and what is free, now and while a task runs."""
    group = placement_group([{"CPU": 1}], name="group")
    paralab.get(group.ready())
    inside = PlacementGroupSchedulingStrategy(group)
    found: list[Any] = [paralab.get(add.options(scheduling_strategy=inside).remote(1, 2))]
    found.append(eventually(lambda: paralab.available_resources()["CPU"] == 1, 20))
    remove_placement_group(group)
    found.append(eventually(lambda: paralab.available_resources()["CPU"] == 2, 20))
    path = str(folder / "fifo")
    os.mkfifo(path)
    waiting = step.remote("wait", path)
    with open(path, "w"):  # it waits for a reader, so the task runs
        found.append(eventually(lambda: paralab.available_resources()["CPU"] == 1, 20))
    paralab.get(waiting)
    return found


@paralab.remote
def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


@paralab.remote
def have_said(text: str) -> None:
    paralab.get(say.remote(text))


def telling(_folder: Path, _acted: Acted) -> object:
    """Prints of tasks and of their children, and what all processes know."""
    core = current()
    lines: list[str] = []
    shown, core._on_print = core._on_print, lambda *line: lines.append(line[3])
    try:
        paralab.get([say.remote("one"), have_said.remote("two")])
        eventually(lambda: len(lines) >= 2, 20)
        rows = state.list_tasks(limit=100)
    finally:
        core._on_print = shown
    return [sorted(lines), sorted(row.name for row in rows if row.name in ("say", "have_said"))]


@paralab.remote
def note(key: str, value: str) -> Any:
    return internal_kv._internal_kv_put(key, value, namespace="e20")


def small_values(_folder: Path, _acted: Acted) -> object:
    """Values under names, from the driver and from a task."""
    found: list[Any] = [internal_kv._internal_kv_put("k", "1", namespace="e20")]
    found.append(paralab.get(note.remote("k", "2")))
    found.append(internal_kv._internal_kv_get("k", namespace="e20"))
    found.append(internal_kv._internal_kv_list("", namespace="e20"))
    internal_kv._internal_kv_del("k", namespace="e20")
    return [*found, internal_kv._internal_kv_exists("k", namespace="e20")]


@paralab.remote
def module_value(name: str) -> Any:
    import importlib

    return importlib.import_module(name).VALUE


@paralab.remote(max_calls=2)
def worker() -> int:
    return os.getpid()


def processes(folder: Path, _acted: Acted) -> object:
    """Workers that are replaced, die, or have another import path or environment."""
    (folder / "e20_module.py").write_text("VALUE = 4\n")
    before = list(sys.path)
    sys.path.append(str(folder))
    found: list[Any] = [paralab.get(module_value.remote("e20_module"))]
    sys.path[:] = before
    pids = paralab.get([worker.remote() for _ in range(6)])
    found.append(max(map(pids.count, pids)))
    paralab.get([add.remote(1, 1) for _ in range(4)])
    paralab.restart_workers()
    found.append(paralab.get(add.remote(2, 2)))
    found.append(paralab.get(die_once.remote(str(folder / "mark"))))
    return found


@paralab.remote(max_retries=3)
def die_once(path: str) -> int:
    with open(path, "a") as file:
        file.write("x")
    if os.path.getsize(path) == 1:
        os._exit(1)
    return 5


def environments(_folder: Path, _acted: Acted) -> object:
    """A worker with a variable of its own, and one whose hook raises."""

    @paralab.remote
    def variable() -> str | None:
        return os.environ.get("E20")

    def hook() -> None:
        raise OSError("no such device")

    found = [paralab.get(variable.options(runtime_env={"env_vars": {"E20": "here"}}).remote())]
    try:
        paralab.get(variable.options(runtime_env={"worker_process_setup_hook": hook}).remote())
    except RuntimeEnvSetupError as error:
        found.append(type(error).__name__)
    return found


def refusals(_folder: Path, _acted: Acted) -> object:
    """What can never be met is said, or refused."""
    core = current()
    lines: list[str] = []
    shown, core._on_print = core._on_print, lambda *line: lines.append(line[3])
    try:
        ref = add.options(num_cpus=50).remote(1, 2)
        eventually(lambda: lines, 20)
        paralab.cancel(ref)
    finally:
        core._on_print = shown
    nowhere = NodeAffinitySchedulingStrategy("00" * 28, soft=False)
    found: list[Any] = [len(lines), "50.0" in lines[0]]
    try:
        paralab.get(add.options(scheduling_strategy=nowhere).remote(1, 2))
    except TaskUnschedulableError as error:
        found.append(type(error).__name__)
    return found


def owners(_folder: Path, _acted: Acted) -> object:
    """An owner dies while somebody looks at what it has stored."""
    owner = Counter.remote()
    seen, unseen = (paralab.get(owner.make.remote(memoryview(bytes(LARGE)))) for _ in range(2))
    view = paralab.get(seen[0])
    paralab.kill(owner)
    found: list[Any] = [len(view)]
    try:
        paralab.get(unseen[0])
    except OwnerDiedError as error:
        found.append(type(error).__name__)
    del view, seen, unseen
    return found


@paralab.remote
def eat() -> None:
    held = []
    while True:
        held.append(bytearray(b"x" * (4 << 20)))


def memory(_folder: Path, _acted: Acted) -> object:
    """A task that eats all that there is."""
    try:
        paralab.get(eat.remote())
    except OutOfMemoryError as error:
        return type(error).__name__
    return None


BLOCK = 4 << 20
ROOM = 32 << 20


def spilling(_folder: Path, _acted: Acted) -> object:
    """Twice as much as the store holds, then more than it holds looked at all at once."""
    refs = [paralab.put(np.full(BLOCK, number, np.uint8)) for number in range(16)]
    looked_at = [paralab.get(ref) for ref in refs[: ROOM // BLOCK + 2]]
    found = [int(block[-1]) for block in looked_at]
    del looked_at
    return found + [int(paralab.get(ref)[-1]) for ref in refs]


class Part(NamedTuple):
    """One part, what it has to return, and the messages that it is there for."""

    run: Callable[[Path, Acted], object]
    expected: object
    messages: str
    settings: tuple[tuple[str, Any], ...] = ()
    """For ``_system_config``."""
    room: int | None = None
    """Bytes of the object store."""


TASKS = [[*range(1, 11)], [3, 6], 2, 10, 7]
PARTS = [
    Part(
        tasks,
        TASKS,
        "ASSIGNED BLOCKED CALL DEFINE FETCH FORGET LEASED OBJECT PEER READY RESULT RETURNED "
        "RETURN_LEASE TAKE_BACK UNBLOCKED WANT_LEASE WELCOME STOP",
    ),
    Part(wide, 3, "REVOKE"),
    Part(
        objects,
        [LARGE, LARGE, LARGE, b"d", *[b"owned by an actor"] * 3],
        "ALLOCATE SEAL FREE HOLD RELEASE CONNECT TERMINATE",
    ),
    Part(
        actors,
        [
            [11, 12, 13, 14, 15], 20, 21, 22,
            "ActorDiedError", "ActorDiedError", 1, "ActorDiedError",
        ],
        "CREATE_ACTOR ACTOR_AT FIND_ACTOR KILL_ACTOR DROP_ACTOR ACTOR_DEAD ACTOR_EXIT KEEP_ACTOR "
        "CONSTRUCTOR CONSTRUCT NAMED_ACTOR ACTOR_RESTARTS",
    ),
    Part(generators, [[*range(8)], [0, 1, 2]], "ITEMS CREDIT"),
    Part(cancelling, ["cancelled", "cancelled", "ended"], "CANCEL CANCEL_REF END_RUNNING"),
    Part(groups, [3, True, True, True], "CREATE_GROUP GROUP GROUP_STATE TIDY TIDIED ASK ANSWER"),
    Part(
        telling,
        [["one\n", "two\n"], ["have_said", "say", "say"]],
        "PRINTED RELAY_PRINT SURVEY TELL TOLD",
    ),
    Part(small_values, [False, True, b"2", [b"k"], False], "KEY_VALUES"),
    Part(processes, [4, 2, 4, 5], "SURROUND RESTART RETIRE RETIRING SPENT DIED"),
    Part(environments, ["here", "RuntimeEnvSetupError"], "ENVIRONMENT ENVIRONMENT_FAILED"),
    Part(refusals, [1, True, "TaskUnschedulableError"], "UNMET REFUSED"),
    Part(owners, [LARGE, "OwnerDiedError"], "OWNER_DIED LOOKING"),
    Part(
        memory, "OutOfMemoryError", "WHAT_RUNS RUNNING SHORT_OF_MEMORY",
        (("memory_limit_bytes", 300_000_000),),
    ),
    Part(
        spilling, [*range(10), *range(16)], "WHO_LOOKS LOOKED PLACE_OF LENT", room=ROOM
    ),
]  # fmt: skip


def at_rest() -> None:
    """Asserts that nothing is counted, leased, stored or under way any more."""
    gc.collect()
    core = current()
    total = paralab.cluster_resources()
    eventually(lambda: paralab.available_resources() == total, 20)
    eventually(lambda: not stored(), 20)
    for left in (
        lambda: core.calls.table.pending,
        lambda: core.calls.table.leases,
        lambda: core.ownership.owned,
        lambda: core.ownership.borrowed,
        lambda: core.questions.open,
        lambda: [each for each in core.info("workers") if each["state"] == "leased"],
        _living_actors,
    ):
        nothing_left(left)


def nothing_left(left: Callable[[], Any]) -> None:
    """Asserts that there will be none of something; names what there is."""
    try:
        eventually(lambda: not left(), 10)
    except AssertionError:
        raise AssertionError(f"left at rest: {left()}") from None
