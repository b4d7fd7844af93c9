"""The error classes: their tree, their constructors, and their way through pickles and tasks."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

BASES = {
    "RayError": ["Exception"],
    "RaySystemError": ["RayError"],
    "RayTaskError": ["RayError"],
    "RayActorError": ["RayError"],
    "ActorDiedError": ["RayActorError"],
    "ActorUnavailableError": ["RayActorError"],
    "ActorAlreadyExistsError": ["ValueError", "RayError"],
    "ActorHandleNotFoundError": ["ValueError", "RayError"],
    "GetTimeoutError": ["RayError", "TimeoutError"],
    "ObjectLostError": ["RayError"],
    "ReferenceCountingAssertionError": ["ObjectLostError", "AssertionError"],
    "StreamingGeneratorReplayInconsistentError": ["RaySystemError"],
    "RayChannelError": ["RaySystemError"],
    "RayChannelTimeoutError": ["RayChannelError", "TimeoutError"],
    "RayCgraphCapacityExceeded": ["RaySystemError"],
    "RayDirectTransportError": ["RaySystemError"],
}
for name in (
    "ObjectFetchTimedOutError", "ObjectFreedError", "OwnerDiedError",
    "ObjectReconstructionFailedError",
):  # fmt: skip
    BASES[name] = ["ObjectLostError"]

HEX = "ab" * 28
MADE: dict[str, tuple[tuple[Any, ...], str]] = {
    "RayError": (("text",), "text"),
    "UserCodeException": (("text",), "text"),
    "RaySystemError": (("text",), "System error: text"),
    "RayTaskError": (("f", "the traceback", ValueError("x")), "the traceback"),
    "RayActorError": ((HEX, "text"), "text"),
    "ActorDiedError": ((), "The actor died unexpectedly before finishing this task."),
    "ActorUnavailableError": (("text", None), "is unavailable: text."),
    "ActorUnschedulableError": (("text",), "The actor is not schedulable: text"),
    "TaskUnschedulableError": (("text",), "The task is not schedulable: text"),
    "ActorAlreadyExistsError": (("text",), "text"),
    "ActorHandleNotFoundError": (("text",), "text"),
    "ActorPlacementGroupRemoved": ((), "The placement group corresponding to this Actor"),
    "TaskPlacementGroupRemoved": ((), "The placement group corresponding to this task"),
    "AsyncioActorExit": (("text",), "text"),
    "AuthenticationError": (("text",), "text"),
    "GetTimeoutError": (("text",), "text"),
    "LocalRayletDiedError": ((), ""),
    "NodeDiedError": (("text",), "text"),
    "ObjectFetchTimedOutError": ((HEX, None, ""), f"Failed to retrieve object {HEX}."),
    "ObjectFreedError": ((HEX, None, ""), f"Failed to retrieve object {HEX}."),
    "ObjectLostError": ((HEX, None, "here"), "The ObjectRef was created at: here"),
    "OwnerDiedError": ((HEX, None, ""), "The object's owner has exited"),
    "ObjectReconstructionFailedError": ((HEX, None, "why"), "why"),
    "ReferenceCountingAssertionError": ((HEX, None, ""), HEX),
    "ObjectRefStreamEndOfStreamError": (("text",), "text"),
    "ObjectStoreFullError": (("text",), "text"),
    "OutOfDiskError": (("text",), "text"),
    "OutOfMemoryError": (("text",), "text"),
    "OufOfBandObjectRefSerializationException": (("text",), "text"),
    "PendingCallsLimitExceeded": (("text",), "text"),
    "PlasmaObjectNotAvailable": (("text",), "text"),
    "RayCgraphCapacityExceeded": (("text",), "text"),
    "RayChannelError": (("text",), "text"),
    "RayChannelTimeoutError": (("text",), "text"),
    "RayDirectTransportError": (("text",), "text"),
    "RpcError": (("text", 4), "text"),
    "RuntimeEnvSetupError": (("text",), "Failed to set up runtime environment.\ntext"),
    "StreamingGeneratorReplayInconsistentError": (("text",), "text"),
    "TaskCancelledError": (("0123", "why"), "Task: 0123 was cancelled. why"),
    "UnserializableException": (("text",), "text"),
    "WorkerCrashedError": ((), "The worker died unexpectedly while executing this task."),
}
"""For each class the arguments of its constructor, and what its text then contains."""


@pytest.mark.parametrize("name", BASES)
def test_the_tree(rt: Any, name: str) -> None:
    assert getattr(rt.exceptions, name).__bases__ == tuple(
        getattr(rt.exceptions, base, None) or __builtins__[base]  # type: ignore[index]
        for base in BASES[name]
    )


@pytest.mark.parametrize("name", MADE)
def test_made_by_a_program(rt: Any, name: str) -> None:
    arguments, text = MADE[name]
    error = getattr(rt.exceptions, name)(*arguments)
    assert isinstance(error, rt.exceptions.RayError)
    assert text in str(error)


@pytest.mark.parametrize("name", MADE)
def test_pickled_and_back(rt: Any, name: str) -> None:
    if rt.engine == "ray":
        pytest.skip("some of Ray's own do not survive it")
    error = getattr(rt.exceptions, name)(*MADE[name][0])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert set(vars(copy)) == set(vars(error))
    again = rt.exceptions.RayError.from_bytes(error.to_bytes())
    assert type(again) is type(error)


def test_through_a_task(rt: Any) -> None:
    @rt.remote
    def back(error: Any) -> Any:
        return error

    @rt.remote
    def fail(error: Any) -> None:
        raise error

    for name, (arguments, text) in MADE.items():
        if rt.engine == "ray" and name != "NodeDiedError":
            continue
        error = getattr(rt.exceptions, name)(*arguments)
        told = "ValueError: x" if name == "RayTaskError" else text
        if name != "RayTaskError":  # of Ray one that is a result is raised
            copy = rt.get(back.remote([error]))[0]
            assert (type(copy), str(copy)) == (type(error), str(error))
        with pytest.raises(getattr(rt.exceptions, name)) as caught:
            rt.get(fail.remote(error))
        assert isinstance(caught.value, rt.exceptions.RayTaskError)
        assert told in str(caught.value)


def test_attributes(rt: Any) -> None:
    x = rt.exceptions
    actor = x.RayActorError(HEX, "text", True)
    assert (actor.actor_id, actor.error_msg) == (HEX, "text")
    assert (actor.actor_init_failed, actor.preempted) == (True, False)
    assert x.NodeDiedError("text").message == "text"
    assert x.RpcError("text", 4).rpc_code == 4
    assert x.RuntimeEnvSetupError("text").error_message == "text"
    assert x.TaskUnschedulableError("text").error_message == "text"
    cancelled = x.TaskCancelledError("01", "why")
    assert (cancelled.task_id, cancelled.error_message) == ("01", "why")
    lost = x.ObjectLostError(HEX, b"a", "here")
    assert (lost.object_ref_hex, lost.owner_address, lost.call_site) == (HEX, b"a", "here")
    task = x.RayTaskError("f", "the traceback", ValueError("x"), pid=5, ip="1.2.3.4")
    assert (task.function_name, task.traceback_str, task.pid, task.ip) == (
        "f", "the traceback", 5, "1.2.3.4",
    )  # fmt: skip
    both = task.as_instanceof_cause()
    assert isinstance(both, ValueError)
    assert both.cause.args == ("x",)
    died = x.ActorDiedError(task)
    assert died.actor_init_failed
    assert "The actor died because of an error raised in its creation task" in str(died)
