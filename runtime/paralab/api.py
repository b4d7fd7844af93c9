"""The functions of ``import paralab``: check what the user gave, then ask the engine.

Nothing here knows how an engine works.  A wrong argument is refused at once, by name; a list
of a thousand refs is checked in one pass, because ``wait`` is called in loops.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from paralab import remote_traceback
from paralab.actor import ActorClass, ActorHandle, find_actor
from paralab.engine import Engine, _Slot, current
from paralab.exceptions import ActorHandleNotFoundError, ParalabError, SystemFailure
from paralab.library_name import is_called_ray, said
from paralab.lifecycle import other_session, start_by_itself
from paralab.object_ref import ObjectRef
from paralab.object_ref_generator import ObjectRefGenerator
from paralab.remote_function import RemoteFunction

_ALL = 1 << 31
_SURVEY_SECONDS = 30.0


def _engine() -> Engine:
    return _Slot.engine or start_by_itself()


def _running() -> Engine:
    """The engine that runs; who only looks at a session does not start one."""
    engine = _Slot.engine
    if engine is None:
        library = "Ray" if is_called_ray() else "paralab"
        error = SystemFailure(f"{library} has not been started yet.")
        error.ADVICE = said("Call paralab.init() before you ask for its state.")
        raise error
    return engine


def remote(*args: Any, **options: Any) -> Any:
    """Makes a function or class remote: ``@remote`` or ``@remote(num_cpus=2, ...)``.

    Args:
        num_cpus, num_gpus, memory, resources, name, num_returns, max_retries, ...: how its
            tasks or actors run, see ``paralab.options``.

    Returns:
        A remote function with ``.remote`` and ``.options``, or an actor class with both.

    Raises:
        TypeError: what is decorated is neither a function nor a class, or an option is of
            the wrong type.
        ValueError: an option is unknown or its value wrong.
        NotImplementedError: an option is known from Ray but not available yet.
    """
    if not options and len(args) == 1:
        return _make_remote(args[0], {})
    if args or not options:
        raise TypeError(
            said(
                "The @paralab.remote decorator must be applied either with no arguments and "
                "without parentheses, as '@paralab.remote', or with keyword options, as "
                f"'@paralab.remote(num_returns=2)'; it got {len(args)} positional arguments and "
                f"{len(options)} options."
            )
        )

    def decorate(definition: Any) -> RemoteFunction | ActorClass:
        return _make_remote(definition, options)

    return decorate


def _make_remote(definition: Any, options: dict[str, Any]) -> RemoteFunction | ActorClass:
    if inspect.isfunction(definition):
        return RemoteFunction(definition, options)
    if inspect.isclass(definition):
        return ActorClass(definition, options)
    if isinstance(definition, (RemoteFunction, ActorClass)):
        raise TypeError(f"{definition!r} is remote already; use .options(...) to change how.")
    raise TypeError(
        said(
            "The @paralab.remote decorator must be applied to either a function or a class; got "
            f"{definition!r} of type {type(definition).__name__}. Wrap other callables in a "
            "function."
        )
    )


def _engine_of(refs: Sequence[Any], caller: str) -> Any:
    """The engine, if all of ``refs`` are refs of its session; else raises."""
    engine: Any = _Slot.engine
    if engine is None:
        if not refs:
            return start_by_itself()
        wrong = refs
    else:
        mailbox = engine.mailbox
        # One pass for both checks: wait() must cost little for a thousand refs.
        wrong = [
            ref for ref in refs if type(ref) is not ObjectRef or ref._entry.mailbox is not mailbox
        ]
    if not wrong:
        return engine
    for position, ref in enumerate(refs):
        is_generator = type(ref) is ObjectRefGenerator and caller == "wait"
        if type(ref) is not ObjectRef and not is_generator:
            raise TypeError(
                f"Attempting to call `{caller}` on the value {_short(ref)}, which is not an "
                f"ObjectRef: element {position} of the list is {_short(ref)} of type "
                f"{type(ref).__name__}."
            )
    raise ValueError(f"{wrong[0]!r} is from {other_session()}")


def get(object_refs: Any, *, timeout: float | None = None, _use_object_store: bool = False) -> Any:
    """Waits for values and returns them.

    Args:
        object_refs: a ref, or a list of refs.
        timeout: seconds to wait at most; None, and -1 as in Ray, waits for ever, 0 takes what
            is ready.
        _use_object_store: Ray's, for tensors that are not in the store; here all are.

    Returns:
        The value, or the list of values in the order of the refs.  Arrays are read-only and
        look into shared memory.

    Raises:
        GetTimeoutError: a value was not ready in time.
        TaskError: the task raised; it is also an instance of the exception's own class.
        ParalabError: the system failed; the class says how.
        ValueError, TypeError: ``object_refs`` is neither a ref nor a list of refs, a ref is
            from an earlier session, or ``timeout`` is negative.
    """
    engine: Any = _Slot.engine
    if timeout is not None:
        _check_timeout(timeout, forever=-1)
        if timeout == -1:
            timeout = None
    is_single = type(object_refs) is ObjectRef
    refs: Sequence[ObjectRef] = (object_refs,) if is_single else object_refs
    if not (is_single and engine is not None and object_refs._entry.mailbox is engine.mailbox):
        if type(object_refs) is ObjectRefGenerator:
            return object_refs  # as Ray does
        if not (is_single or isinstance(object_refs, list)):
            raise ValueError(  # Ray's choice, on which programs rely
                f"Invalid type of object refs, {type(object_refs)}, is given. 'object_refs' must "
                f"either be an ObjectRef or a list of ObjectRefs; got {_short(object_refs)}."
            )
        engine = _engine_of(refs, "get")
    try:
        return engine.get_one(object_refs, timeout) if is_single else engine.get(refs, timeout)
    except (ParalabError, KeyboardInterrupt) as failure:
        error = failure
    # Raised anew so that the traceback shows the user's line and this one, and what the error
    # says; the frames below are paralab's own business unless the user asks for them.
    try:
        raise error if remote_traceback.shows_all_frames() else error.with_traceback(None)
    finally:
        del error, refs


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _check_timeout(timeout: Any, forever: float | None = None) -> None:
    if not isinstance(timeout, (int, float)):
        raise TypeError(
            f"timeout={timeout!r} is of type {type(timeout).__name__}; expected seconds or None."
        )
    if not timeout >= 0 and timeout != forever:
        raise ValueError(f"The 'timeout' argument must be nonnegative. Received {timeout}.")


def put(value: Any, *, _owner: Any = None, _tensor_transport: str | None = None) -> ObjectRef:
    """Stores a copy of ``value`` and returns a ref to it.

    Args:
        value: anything that can be pickled.
        _owner, _tensor_transport: Ray's, not available.

    Raises:
        NotImplementedError: ``_owner`` or ``_tensor_transport`` is given.
        TypeError: ``value`` is a ref, or cannot be pickled; the message names the path to
            what cannot.
        ObjectStoreFullError: it does not fit.
    """
    if type(value) is ObjectRef:
        raise TypeError(
            f"Calling 'put' on an ObjectRef is not allowed: {value!r} is one already. To store "
            "the ref itself, put it into a list."
        )
    if _owner is not None or _tensor_transport is not None:
        raise NotImplementedError(
            "put() makes objects that the calling process owns, in the store; _owner and "
            "_tensor_transport are not available. Let an actor's method call put() and return "
            "the ref in a list."
        )
    return (_Slot.engine or start_by_itself()).put(value)


def wait(
    ray_waitables: list[ObjectRef | ObjectRefGenerator],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[Any], list[Any]]:
    """Waits until some of several refs have their values or errors.

    Args:
        ray_waitables: a list of different refs.  A generator among them is ready when its next
            item, or its end, is there.
        num_returns: for how many to wait, and how many are returned as ready at most.
        timeout: seconds to wait at most; None waits for ever.
        fetch_local: whether a value counts only once it is on this node.

    Returns:
        The ready refs and the others, both in the order in which they were given.

    Raises:
        TypeError: not a list, or an element is not a ref.
        ValueError: a ref occurs twice or is from an earlier session, ``num_returns`` is not
            between 1 and the number of refs, or ``timeout`` is negative.
    """
    refs: Any = ray_waitables
    if not isinstance(refs, list):
        is_single = type(refs) in (ObjectRef, ObjectRefGenerator)
        kind = f"a single {type(refs).__name__}" if is_single else _short(refs)
        raise TypeError(
            f"wait() expected a list of ObjectRefs, got {kind} of type {type(refs).__name__}."
        )
    if timeout is not None:
        _check_timeout(timeout)
    if not refs:
        _engine_of(refs, "wait")
        return [], []
    engine: Any = _Slot.engine
    mailbox = None if engine is None else engine.mailbox
    # A thousand refs are looked at together; what is wrong with one of them is found out after.
    entries: list[Any] = []
    try:
        entries = [ref._entry for ref in refs]
        is_ours = not [entry for entry in entries if entry.mailbox is not mailbox]
    except AttributeError:
        is_ours = False
    if not is_ours:
        engine = _engine_of(refs, "wait")
    if len(set(entries)) != len(refs):
        twice = next(ref for i, ref in enumerate(refs) if ref in refs[:i])
        raise ValueError(f"Wait requires a list of unique refs; {twice!r} occurs twice.")
    _check_num_returns(num_returns, len(refs))
    try:
        ready, others = engine.wait(refs, num_returns, timeout, fetch_local)
    except KeyboardInterrupt as failure:
        interrupt = failure
    else:
        return ready, others
    # As in get: where in paralab the interrupt struck tells the user nothing.
    try:
        raise interrupt if remote_traceback.shows_all_frames() else interrupt.with_traceback(None)
    finally:
        del interrupt, refs


def _check_num_returns(num_returns: Any, count: int) -> None:
    if not isinstance(num_returns, int):
        raise TypeError(
            f"num_returns={num_returns!r} is of type {type(num_returns).__name__}; expected an int."
        )
    if not 1 <= num_returns <= count:
        raise ValueError(
            f"num_returns={num_returns} is out of range: expected 1 to {count}, the number of refs."
        )


def kill(actor: ActorHandle, *, no_restart: bool = True) -> None:
    """Ends an actor's process at once; pending and later calls raise ActorDiedError.

    Args:
        actor: its handle.
        no_restart: whether it stays dead although it has restarts left.

    Raises:
        ValueError: ``actor`` is not a handle.
        ActorHandleNotFoundError: it is from an earlier session.
    """
    if not isinstance(actor, ActorHandle):
        raise ValueError(  # noqa: TRY004 - Ray's choice, on which programs rely
            said("paralab.kill() only supported for actors. For tasks, try paralab.cancel(). ")
            + f"Got: {_short(actor)} of type {type(actor).__name__}."
        )
    engine: Any = _Slot.engine
    if engine is None or actor._ref._entry.mailbox is not engine.mailbox:
        raise ActorHandleNotFoundError(
            f"{actor!r} is from a session that was shut down: its actor is gone already."
        )
    engine.kill(actor._ref, no_restart)


def cancel(
    ray_waitable: ObjectRef | ObjectRefGenerator, *, force: bool = False, recursive: bool = True
) -> None:
    """Asks that a task does not run on; does nothing if it has finished.

    ``get`` of its ref then raises TaskCancelledError.  A task that has not begun never does.  One
    that runs gets a KeyboardInterrupt, even while it sleeps or waits; what it makes of that is
    what its ref stands for.  A call of an actor is not interrupted: it may ask
    ``get_runtime_context().is_canceled()``, and its result is dropped.  No cancelled task is
    tried again.

    Args:
        ray_waitable: a ref that the task returns.
        force: whether a running task's process is ended; the task has no say then.
        recursive: whether to cancel the tasks that it has started too.

    Raises:
        TypeError: not a ref.
        ValueError: ``force`` is given for a call of an actor.
    """
    if type(ray_waitable) is ObjectRefGenerator:
        ray_waitable = ray_waitable.completed()
    if type(ray_waitable) is not ObjectRef:
        raise TypeError(
            said(
                "paralab.cancel() only supported for object refs. For actors, try paralab.kill(). "
            )
            + f"Got: {_short(ray_waitable)} of type {type(ray_waitable).__name__}."
        )
    _engine_of((ray_waitable,), "cancel").cancel(ray_waitable, force, recursive)


def get_actor(name: str, namespace: str | None = None) -> ActorHandle:
    """A handle of the actor that was made with ``.options(name=name)``.

    It does not keep the actor alive: that ends with the handles that come from ``.remote()``, or
    when it is killed if it is detached.

    Args:
        name: its name.
        namespace: where it was named; None for the session's own namespace.

    Raises:
        ValueError: there is no such actor, or ``name`` or ``namespace`` is empty.
        TypeError: ``name`` or ``namespace`` is not a str.
    """
    if not name:
        raise ValueError(f"Please supply a non-empty value to get_actor; got {name!r}.")
    given: dict[str, Any] = {"name": name, "namespace": namespace or ""}
    for argument, value in given.items():
        if not isinstance(value, str):
            raise TypeError(
                f"get_actor({argument}={_short(value)}) is of type {type(value).__name__}; "
                "expected a str."
            )
    if namespace == "":
        raise ValueError('"" is not a valid namespace. Pass None to not specify a namespace.')
    found = find_actor(name, namespace)
    if found is None:
        raise ValueError(
            f"Failed to look up actor with name {_short(name)}. Either no actor was made with this "
            "name, or it has ended, or it was named in another namespace than "
            f"{namespace or _engine().info('context')['namespace']!r}."
        )
    return found


def nodes() -> list[dict[str, Any]]:
    """One dict about each node, with the keys of Ray's ``nodes()``.

    Raises:
        SystemFailure: nothing runs yet.
    """
    found: list[dict[str, Any]] = _running().info("nodes")
    return found


def cluster_resources() -> dict[str, float]:
    """How much there is of each resource: CPUs and GPUs as numbers, memory in bytes.

    Raises:
        SystemFailure: nothing runs yet.
    """
    found: dict[str, float] = _running().info("cluster_resources")
    return found


def available_resources() -> dict[str, float]:
    """How much of each resource is free now; what is used up is left out.

    Raises:
        SystemFailure: nothing runs yet.
    """
    found: dict[str, float] = _running().info("available_resources")
    return found


def get_gpu_ids() -> list[int] | list[str]:
    """The GPUs assigned to the running task or actor; empty in the driver."""
    ids = _engine().info("context").get("accelerator_ids", {}).get("GPU", [])
    return [int(each) if str(each).isdigit() else each for each in ids]


def timeline(filename: str | None = None) -> list[dict[str, Any]] | None:
    """The time stamps of finished tasks, in the Trace Event Format of Chrome and Perfetto.

    Every process of the session is asked for the tasks that it has submitted, so those that
    tasks and actors have submitted are among them.  What a process had submitted that has ended
    is gone.

    Args:
        filename: where to write them as JSON; None returns them instead.

    Raises:
        RuntimeError: nothing runs yet.
    """
    from paralab.chrome_trace import as_json, trace_of_all

    survey = current().survey("tasks", _ALL, _SURVEY_SECONDS)
    events = trace_of_all((each.address, each.answer or []) for each in survey.told)
    if filename is None:
        return events
    with open(filename, "w", encoding="utf-8") as file:
        file.write(as_json(events))
    return None


def restart_workers() -> None:
    """Lets fresh worker processes take over, so that edited modules are imported anew.

    Every task submitted after this returns runs in a fresh process.  Idle workers go at once,
    busy ones after the task that they run, and one that owns an object which is still needed
    when that is freed.  Actors stay as they are; make new ones to have them run the new code.
    What this process itself has imported stays too: reload it here (``importlib.reload``, or
    ``%autoreload`` in a notebook) if its functions are tasks.
    """
    _engine().restart_workers()
