"""One method of one actor: ``handle.method.remote(...)``, and its variants.

A method holds the actor's ref and never the handle, see ``actor``.  Calls that have to count what
is pending, or that are profiled, take longer ways of their own, so that the others need not ask.
"""

from __future__ import annotations

from typing import Any

from paralab.actor_interface import Interface, stale
from paralab.engine import _Slot
from paralab.exceptions import PendingCallsLimitExceeded
from paralab.ids import actor_id
from paralab.object_ref import ObjectRef
from paralab.options import check_num_returns
from paralab.remote_function import result_of
from paralab.shown_text import shown_name
from paralab.task_spec import TaskOptions


def actor_id_of(ref: ObjectRef) -> bytes:
    """The 16 bytes that name the actor behind ``ref``: 12 of its ref's digest, 4 of the job."""
    return actor_id(ref.binary())


def shown_actor(name: str, ref: ObjectRef) -> str:
    """What stands for an actor of the class ``name`` in texts."""
    return f"Actor({name}, {actor_id_of(ref).hex()})"


class ActorMethod:
    """One method of one actor; ``remote`` calls it."""

    __slots__ = ("_accepted", "_interface", "_name", "_options", "_ref")

    def __init__(
        self, ref: ObjectRef, name: str, options: TaskOptions, interface: Interface
    ) -> None:
        self._ref = ref
        self._name = name
        self._options = options
        self._interface = interface
        self._accepted = interface.signatures[name].accepted

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Queues one call; calls from one caller run in order.

        Args:
            *args, **kwargs: of the method; refs among them are replaced by their values.

        Returns:
            A ref; a list of refs or None where ``num_returns`` is not 1; an ObjectRefGenerator
            where the method is a generator.

        Raises:
            TypeError: the arguments do not fit the method, or one cannot be pickled.
            ActorHandleNotFoundError: the handle is from an earlier session.
        """
        engine: Any = _Slot.engine
        ref = self._ref
        if engine is None or ref._entry.mailbox is not engine.mailbox:
            raise stale(self._interface.name, actor_id_of(ref))
        if ((len(args), *kwargs) if kwargs else len(args)) not in self._accepted:
            self._interface.signatures[self._name].check(args, kwargs)
        options = self._options
        if options.num_returns == 1:
            return engine.call_actor(ref, self._name, options, args, kwargs)[0]
        refs = engine.call_actor(ref, self._name, options, args, kwargs)
        return result_of(refs, options.num_returns)

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """A node of a graph for one call that is made later, see :mod:`paralab.dag`."""
        from paralab.actor import ActorHandle  # it makes what is defined here
        from paralab.dag.class_node import bind_method

        return bind_method(ActorHandle(self._ref, self._interface), self, args, kwargs)

    def options(self, **options: Any) -> ActorMethod:
        """The same method with other options, such as ``num_returns``.

        Raises:
            ValueError, TypeError: an option is unknown or wrong; the message names it.
        """
        _, _, generates = self._interface.table[self._name]
        check_num_returns(options.get("num_returns"), generates, 3)
        checked = self._interface.method_options(self._name, options)
        kind = method_class(self._interface, checked)
        return kind(self._ref, self._name, checked, self._interface)

    def _remote(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Ray's older way to write ``.options(...).remote(...)``."""
        return self.options(**options).remote(*(args or ()), **(kwargs or {}))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "Actor methods cannot be called directly. Instead of running "
            f"'object.{(name := shown_name(self._name))}()', try 'object.{name}.remote()'."
        )

    def __repr__(self) -> str:
        return f"<method {shown_name(self._name)} of {self._actor()}>"

    def _actor(self) -> str:
        return shown_actor(self._interface.name, self._ref)


class _LimitedMethod(ActorMethod):
    """A method of an actor with ``max_pending_calls``."""

    __slots__ = ()

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Queues one call unless too many wait; see :meth:`ActorMethod.remote`.

        Raises:
            PendingCallsLimitExceeded: so many of this process's calls are not answered yet.
        """
        self._check_limit()
        return super().remote(*args, **kwargs)

    def _check_limit(self) -> None:
        engine = _Slot.engine
        ref = self._ref
        limit = self._interface.traits.max_pending_calls
        if engine is not None and ref._entry.mailbox is engine.mailbox:  # type: ignore[attr-defined]
            if 0 < limit <= engine.pending_calls(ref):
                raise PendingCallsLimitExceeded(
                    f"The task {self._name} could not be submitted to "
                    f"{self._actor()} because more than {limit} tasks are "
                    "queued on the actor. This limit can be adjusted with the "
                    "`max_pending_calls` actor option."
                )


class _ProfiledMethod(_LimitedMethod):
    """A method with the option ``profile``: called through what measures it."""

    __slots__ = ()

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Queues one call; see :meth:`ActorMethod.remote`."""
        from paralab.profiled import measured_call, wanted  # most programs need none

        engine: Any = _Slot.engine
        if engine is None or self._ref._entry.mailbox is not engine.mailbox:
            raise stale(self._interface.name, actor_id_of(self._ref))
        self._check_limit()
        self._interface.signatures[self._name].check(args, kwargs)
        options = self._options
        requests = wanted(options.extra["profile"])
        method, args = measured_call(self._name, options.name, requests, args)
        refs = engine.call_actor(self._ref, method, options, args, kwargs)
        return result_of(refs, options.num_returns)


def method_class(interface: Interface, options: TaskOptions) -> type[ActorMethod]:
    """Which class a method is of."""
    if options.extra.get("profile") is not None:
        return _ProfiledMethod
    return ActorMethod if interface.traits.max_pending_calls <= 0 else _LimitedMethod
