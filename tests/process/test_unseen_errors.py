"""Errors that nobody asks for are told once their last ref is gone, and no others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab.exceptions import ActorDiedError, TaskCancelledError, WorkerCrashedError
from paralab.remote_errors import pack_failure
from paralab.unseen_errors import KINDS, UnseenErrors
from paralab.util.iter import from_range
from paralab.util.state import list_tasks

pytestmark = pytest.mark.usefixtures("session")


@paralab.remote(max_retries=0)
def fail(text: str) -> None:
    raise ValueError(text)


@paralab.remote
def use(value: Any) -> Any:
    return value


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What was told until now: what is expected, and an error made last of all."""
    shown: list[str] = []

    def read() -> str:
        shown.append(capsys.readouterr().err)
        return "".join(shown)

    def until_last(*expected: str) -> str:
        last = f"last {os.urandom(4).hex()}"
        fail.remote(last)
        eventually(lambda: all(words in read() for words in (last, *expected)))
        return "".join(shown)

    return until_last


def test_a_result_that_nobody_wanted(told: Callable[..., str]) -> None:
    fail.remote("dropped at once")
    ref = fail.remote("dropped later")
    paralab.get(use.remote([ref]))  # that looks at the ref and not at what it stands for
    assert "dropped later" not in told()
    del ref
    text = told(*(expected := ("dropped at once", "dropped later")))
    for words in expected:
        begins = "Unhandled error (suppress with 'PARALAB_IGNORE_UNHANDLED_ERRORS=1'): "
        assert f"{begins}ValueError: {words} (task fail, line " in text
        assert text.count(f"\nValueError: {words}\n") == 1


def test_what_was_seen_is_not_told(told: Callable[..., str]) -> None:
    got, waited, taken, future, elsewhere = (
        fail.remote(f"silent {number}") for number in range(5)
    )  # fmt: skip
    with pytest.raises(ValueError, match="silent 0"):
        paralab.get(got)
    with pytest.raises(ValueError, match="silent 3"):
        future.future().result()
    paralab.wait([waited])
    used = use.remote(taken)
    with pytest.raises(ValueError, match="silent 2"):
        paralab.get(used)

    @paralab.remote
    def look(refs: list[Any]) -> bool:
        try:
            paralab.get(refs[0])
        except ValueError:
            return True
        return False

    assert paralab.get(look.remote([elsewhere]))
    del got, waited, taken, future, used, elsewhere
    assert "silent" not in told()


def test_items_that_were_asked_for_ahead(told: Callable[..., str]) -> None:
    numbers = from_range(4)
    assert numbers.take(4) == [0, 2, 1, 3]  # both shards were asked for a third one
    assert numbers.take(1) == [0]  # and have answered
    assert "StopIteration" not in told()


def test_the_last_of_a_chain_is_told(told: Callable[..., str]) -> None:
    use.remote(use.remote(fail.remote("at its start")))
    text = told("at its start")
    assert text.count("Unhandled error (suppress") == 2  # and the one that says that it is over
    assert text.count("Task use did not run.") == 2


def test_lost_processes_are_told_and_what_was_ended_is_not(told: Callable[..., str]) -> None:
    @paralab.remote(max_retries=0)
    def die() -> None:
        os._exit(3)

    @paralab.remote
    class Actor:
        def wait(self) -> None:
            pass

    @paralab.remote
    def hang(ref: list[Any]) -> None:
        paralab.get(ref[0])

    die.remote()
    actor = Actor.remote()
    paralab.get(actor.wait.remote())
    paralab.kill(actor)
    actor.wait.remote()
    never = hang.options(num_cpus=0).remote([hang.options(resources={"none": 1}).remote([])])
    paralab.cancel(never)
    del never
    text = told("Task die failed")
    assert "ActorDiedError" not in text
    assert "cancel" not in text


def test_what_ran_and_was_cancelled_is_not_told(told: Callable[..., str], tmp_path: Path) -> None:
    @paralab.remote(num_cpus=0)
    def child(path: str) -> None:
        Path(path).write_text("runs")  # a pipe: opened once the test opens it, too
        time.sleep(60)

    @paralab.remote
    def parent(paths: list[str]) -> None:
        paralab.wait([child.remote(path) for path in paths], num_returns=2)

    paths = [str(tmp_path / name) for name in "ab"]
    for path in paths:
        os.mkfifo(path)
    ref = parent.remote(paths)
    for path in paths:
        assert Path(path).read_text() == "runs"
    paralab.cancel(ref)
    with pytest.raises(TaskCancelledError):
        paralab.get(ref)
    paralab.get(use.remote(1))  # by the same worker, which has let go of the children
    assert "cancelled" not in told()


def test_a_constructor_that_raises(told: Callable[..., str]) -> None:
    @paralab.remote
    class Broken:
        def __init__(self) -> None:
            raise LookupError("no such model")

        def method(self) -> None:
            pass

    never_called = Broken.remote()
    begins = "Exception raised in creation task: The actor died because of an error raised in its "
    text = told("Broken pid", begins, "task Broken.__init__", "LookupError: no such model")
    assert text.count(begins) == 1
    with pytest.raises(ActorDiedError, match="no such model"):
        paralab.get(never_called.method.remote(), timeout=60)
    never_called.method.remote()  # nobody looks at it, and it has been told
    assert told().count(begins) == 1
    assert "Unhandled error (suppress with 'PARALAB_IGNORE_UNHANDLED_ERRORS=1'): The" not in text


def test_a_task_tells_by_its_own_output(told: Callable[..., str]) -> None:
    @paralab.remote
    def parent() -> int:
        ref = fail.remote("of a child")
        paralab.get(use.remote([ref]))
        return os.getpid()

    pid = paralab.get(parent.remote())
    assert f"pid={pid}) Unhandled error (suppress" in told("of a child")


def test_it_can_be_switched_off(told: Callable[..., str], monkeypatch: Any) -> None:
    monkeypatch.setenv("PARALAB_IGNORE_UNHANDLED_ERRORS", "1")
    ref = fail.remote("switched off")
    seen = [("task_id", "=", ref.task_id().hex()), ("state", "=", "FAILED")]
    eventually(lambda: list_tasks(filters=seen))  # which is no look at the result
    del ref
    paralab.get(use.remote(1))
    monkeypatch.undo()
    assert "switched off" not in told()


def packed(error: BaseException, function: str = "f") -> bytes:
    return pack_failure(error, function=function, pid=1, node="")


def test_alike_errors_are_counted() -> None:
    lines: list[str] = []
    unseen = UnseenErrors(lines.append)
    failure = packed(ValueError("each time"))
    for _ in range(12_345):
        unseen.tell(failure)
    unseen.tell(packed(TaskCancelledError("f")))
    unseen.tell(packed(WorkerCrashedError("it died")))
    first, *rest = lines
    assert first.startswith("Unhandled error (suppress with 'PARALAB_")
    assert first.endswith("ValueError: each time\n")
    assert [line.split(" times by now")[0] for line in rest[:-1]] == [
        f"Unhandled error, {count}" for count in ("10", "100", "1,000", "10,000")
    ]
    assert "it died" in rest[-1]


def test_the_counts_stay_few_and_nothing_of_the_users_runs() -> None:
    class Explosive(Exception):
        def __reduce__(self) -> Any:
            return exec, ("raise SystemExit('unpickled')",)

    lines: list[str] = []
    unseen = UnseenErrors(lines.append)
    for number in range(2 * KINDS):
        unseen.tell(packed(Explosive(f"number {number} \x1b[2J")))
    assert len(lines) == 2 * KINDS
    assert len(vars(unseen)["_counts"]) <= KINDS
    assert not any("\x1b" in line for line in lines)
