"""``@remote`` on a class: actors, and the handles by which they are called.

::

    ActorClass --remote()--> ActorHandle --.method--> ActorMethod --remote()--> ObjectRef
                                  |                        |
                                  +------- ObjectRef ------+   stands for the actor itself

The actor lives while a ref to it does.  A handle keeps the methods it was asked for, and they
hold the ref and never the handle, so there is no circle and the last handle's end is the
actor's end, at once.  What a handle must know of its class (``_Interface``) travels with it by
id; the class itself does not, so a process can call an actor whose class it cannot import.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from weakref import WeakValueDictionary

from paralab.call_signature import CallSignature, Shape, shape_of
from paralab.engine import _Slot, current
from paralab.exceptions import (
    ActorAlreadyExistsError,
    ActorClassInheritanceException,
    ActorExit,
    ActorHandleNotFoundError,
)
from paralab.id_types import ActorID
from paralab.ids import actor_id
from paralab.library_name import said
from paralab.object_ref import ObjectRef
from paralab.options import (
    STREAMING,
    build_actor_options,
    build_method_options,
    refuse_in_actor_options,
)
from paralab.remote_function import refuse_streaming, result_of, start_engine
from paralab.task_spec import ActorOptions, ActorSpec, TaskOptions

__all__ = [
    "ActorClass",
    "ActorClassInheritanceException",
    "ActorHandle",
    "ActorMethod",
    "exit_actor",
    "method",
]

_METHOD_OPTIONS = "__paralab_method_options__"

MethodTable = dict[str, tuple[Shape, dict[str, Any], bool]]
"""For each method its parameters, the options given to ``@method``, and if it is a generator."""


def actor_id_of(ref: ObjectRef) -> bytes:
    """The 16 bytes that name the actor behind ``ref``: 12 of its ref's digest, 4 of the job."""
    return actor_id(ref.binary())


def method(*args: Any, **options: Any) -> Any:
    """Sets the options of an actor's method, as in ``@method(num_returns=2)``.

    Args:
        num_returns: how many refs a call returns, an int >= 0.
        name, max_task_retries, retry_exceptions, enable_task_events: as in Ray.

    Raises:
        ValueError, TypeError: an option is unknown or wrong; the message names it.
    """
    if args and (len(args) != 1 or options or not callable(args[0])):
        raise TypeError("@method takes keyword options only, as in @method(num_returns=2).")

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        build_method_options(options, is_generator=_is_generator(function))
        setattr(function, _METHOD_OPTIONS, options)
        return function

    return mark(args[0]) if args else mark


def _is_generator(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def exit_actor() -> NoReturn:
    """Ends the actor in whose method this is called, once that method is left.

    The call and those that wait behind it fail with ActorDiedError.

    Raises:
        TypeError: the caller is not an actor.
    """
    if current().info("context").get("actor_id") is None:
        raise TypeError("exit_actor() ends the actor that calls it, and this is not an actor.")
    raise ActorExit


def find_actor(name: str, namespace: str | None) -> ActorHandle | None:
    """A handle of the living actor of that name; None if there is none."""
    found = (_Slot.engine or start_engine()).find_actor(name, namespace)
    return None if found is None else _rebuild_handle(found[0], *found[1])


class _Interface:
    """What handles know of a class: its name and, for each method, options and signature."""

    def __init__(self, id_: bytes, name: str, table: MethodTable) -> None:
        self.id = id_
        self.name = name
        self.table = table
        self.options: dict[str, TaskOptions] = {}
        self.signatures: dict[str, CallSignature] = {}
        for method_name, (shape, given, is_generator) in table.items():
            self.options[method_name] = build_method_options(given, is_generator=is_generator)
            self.signatures[method_name] = CallSignature(f"{name}.{method_name}", shape)

    def handle_state(self) -> tuple[Any, ...]:
        """What ``_rebuild_handle`` needs besides the ref."""
        return self.id, self.name, self.table


_interfaces: WeakValueDictionary[bytes, _Interface] = WeakValueDictionary()
"""Interfaces known here by class id; an entry goes with the last class object or handle."""
_specs: WeakValueDictionary[bytes, ActorSpec] = WeakValueDictionary()
"""Classes known here by id; an entry goes with the last ActorClass that uses it."""


def _methods_of(cls: type) -> Iterator[tuple[str, Callable[..., Any], bool]]:
    """Name, function, and whether the first parameter is bound at the call."""
    for name in dir(cls):
        if name in ("__new__", "__init__", "__init_subclass__", "__subclasshook__"):
            continue
        raw = inspect.getattr_static(cls, name, None)
        if isinstance(raw, (staticmethod, classmethod)):
            yield name, raw.__func__, isinstance(raw, classmethod)
        elif inspect.isfunction(raw) or isinstance(raw, functools.partialmethod):
            yield name, getattr(cls, name), True


def _interface_of(cls: type, spec_id: bytes) -> _Interface:
    table: MethodTable = {}
    for name, function, is_bound in _methods_of(cls):
        given = getattr(function, _METHOD_OPTIONS, {})
        table[name] = shape_of(function, skip_first=is_bound), given, _is_generator(function)
    return _Interface(spec_id, cls.__name__, table)


class ActorClass:
    """A class whose instances are actors, each in a process of its own.

    Made by :func:`paralab.remote`.
    """

    _spec: ActorSpec
    _interface: _Interface
    _signature: CallSignature
    _options: ActorOptions
    _given: dict[str, Any]
    __wrapped__: type

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        for name, function, _ in _methods_of(cls):
            if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
                raise NotImplementedError(
                    f"{cls.__name__}.{name} is an 'async def': async actors are not available yet."
                )
        spec = ActorSpec(cls, cls.__name__, {})
        _specs[spec.id] = spec
        _interfaces[spec.id] = interface = _interface_of(cls, spec.id)
        spec.methods = interface.options
        spec.handle_state = interface.handle_state()
        is_plain = not {"__init__", "__new__"} & {
            name for c in cls.__mro__[:-1] for name in vars(c)
        }
        shape = () if is_plain else shape_of(cls)
        self._set(spec, interface, options, CallSignature(spec.name, shape))
        self._wrap(cls)

    def _set(
        self,
        spec: ActorSpec,
        interface: _Interface,
        given: dict[str, Any],
        signature: CallSignature,
    ) -> None:
        self._spec = spec
        self._interface = interface
        self._given = given
        self._options = build_actor_options(given, name=spec.name)
        self._signature = signature

    def _wrap(self, cls: type) -> None:
        self.__module__, self.__doc__ = cls.__module__, cls.__doc__
        self.__name__, self.__qualname__ = cls.__name__, cls.__qualname__
        self.__wrapped__ = cls

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle:
        """Starts an actor.

        Args:
            *args, **kwargs: of the constructor; refs among them are replaced by their values.

        Returns:
            A handle.  The actor ends when its last handle, in any process, is gone, or if it
            is detached when it is killed.

        Raises:
            TypeError: the arguments do not fit the constructor, or one cannot be pickled.
            ActorAlreadyExistsError: another actor has the name, and ``get_if_exists`` is not
                given.
        """
        engine = _Slot.engine
        if engine is None:
            engine = start_engine()
        if ((len(args), *kwargs) if kwargs else len(args)) not in self._signature.accepted:
            self._signature.check(args, kwargs)
        options = self._options
        if options.get_if_exists:
            return self._get_or_create(args, kwargs)
        ref = engine.create_actor(self._spec, options, args, kwargs)
        return ActorHandle(ref, self._interface)

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """A node of a graph for an actor that is made later, see :mod:`paralab.dag`."""
        from paralab.dag.class_node import ClassNode

        return ClassNode(self, args, kwargs, self._given)

    def _get_or_create(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActorHandle:
        """The actor of the name in the options, or a new one."""
        name, namespace = self._options.name, self._options.namespace
        assert name is not None
        while True:  # another process may make it, or it may end, between two looks
            found = find_actor(name, namespace)
            if found is not None:
                return found
            try:
                return self.options(get_if_exists=False).remote(*args, **kwargs)
            except ActorAlreadyExistsError:
                continue

    def options(self, **options: Any) -> ActorClass:
        """The same class with other options, which are those of :func:`paralab.remote`.

        Raises:
            ValueError, TypeError: an option is unknown or wrong; the message names it.
        """
        refuse_in_actor_options(options)
        variant: ActorClass = ActorClass.__new__(ActorClass)
        variant._set(self._spec, self._interface, {**self._given, **options}, self._signature)
        variant._wrap(self.__wrapped__)
        return variant

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self._spec.name
        raise TypeError(
            f"Actors cannot be instantiated directly. Instead of '{name}()', use "
            f"'{name}.remote()'; '{name}.__wrapped__()' makes an ordinary object here."
        )

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        raise ActorClassInheritanceException(
            said(
                f"Attempted to define a subclass of the actor class '{self._spec.name}'. "
                "Inheriting from actor classes is not supported. Derive from the plain class and "
                "put @paralab.remote on the derived one."
            )
        )

    def __repr__(self) -> str:
        return f"<actor class {self._spec.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        spec, table, shape = self._spec, self._interface.table, self._signature.shape
        return _rebuild_class, (spec.id, spec.name, table, self._given, shape), spec.cls

    def __setstate__(self, cls: type) -> None:
        # Only ever called while unpickling, on what _rebuild_class made.  If this is a global
        # that the class's own methods use, that is not complete yet: look at nothing in it.
        spec: Any = self._spec
        if spec.cls is None:
            spec.cls = cls
        self.__wrapped__ = self._spec.cls


def _rebuild_class(
    spec_id: bytes, name: str, table: MethodTable, given: dict[str, Any], shape: Shape
) -> ActorClass:
    interface = _known_interface(spec_id, name, table)
    spec = _specs.get(spec_id)
    if spec is None:
        nothing_yet: Any = None  # the class follows, see __setstate__
        made = ActorSpec(nothing_yet, name, interface.options, id=spec_id)
        made.handle_state = interface.handle_state()
        spec = _specs.setdefault(spec_id, made)
    rebuilt: ActorClass = ActorClass.__new__(ActorClass)
    rebuilt._set(spec, interface, given, CallSignature(name, shape))
    return rebuilt


class ActorHandle:
    """Calls the methods of one actor: ``handle.method.remote(...)``.

    Handles can be given to tasks and other actors, and compare equal when they mean the same
    actor.
    """

    def __init__(self, ref: ObjectRef, interface: _Interface) -> None:
        self._ref = ref
        self._interface = interface

    def __getattr__(self, name: str) -> ActorMethod:
        interface: _Interface | None = self.__dict__.get("_interface")
        if interface is None:
            raise AttributeError(name)
        options = interface.options.get(name)
        if options is None:
            _no_such_method(interface, name)
        made = ActorMethod(self._ref, name, options, interface)
        self.__dict__[name] = made
        return made

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._interface.options})

    @property
    def _actor_id(self) -> ActorID:
        return ActorID(actor_id_of(self._ref))

    _ray_actor_id = _actor_id  # Ray's other name of it

    def __repr__(self) -> str:
        return f"Actor({self._interface.name}, {self._actor_id.hex()})"

    def __eq__(self, other: object) -> bool:
        return type(other) is ActorHandle and self._ref == other._ref

    def __hash__(self) -> int:
        return hash(self._ref)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_handle, (self._ref, *self._interface.handle_state())


def _rebuild_handle(ref: ObjectRef, id_: bytes, name: str, table: MethodTable) -> ActorHandle:
    return ActorHandle(ref, _known_interface(id_, name, table))


def _known_interface(id_: bytes, name: str, table: MethodTable) -> _Interface:
    known = _interfaces.get(id_)
    return known or _interfaces.setdefault(id_, _Interface(id_, name, table))


def _no_such_method(interface: _Interface, name: str) -> NoReturn:
    from difflib import get_close_matches

    close = get_close_matches(name, interface.options, 3)
    public = sorted(known for known in interface.options if not known.startswith("_"))
    if close:
        advice = f"Did you mean {' or '.join(close)}?"
    else:
        advice = f"Its methods are: {', '.join(public) or 'none'}."
    raise AttributeError(
        f"'ActorHandle' object has no attribute {name!r}: the actor class {interface.name} has no "
        f"method {name!r}. {advice} Attributes of an actor can only be read by its methods."
    )


class ActorMethod:
    """One method of one actor; ``remote`` calls it."""

    __slots__ = ("_accepted", "_interface", "_name", "_options", "_ref")

    def __init__(
        self, ref: ObjectRef, name: str, options: TaskOptions, interface: _Interface
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
            A ref, or a list of refs or None where ``num_returns`` is not 1.

        Raises:
            TypeError: the arguments do not fit the method, or one cannot be pickled.
            ActorHandleNotFoundError: the handle is from an earlier session.
        """
        engine: Any = _Slot.engine
        ref = self._ref
        if engine is None or ref._entry.mailbox is not engine.mailbox:
            raise _stale(self._interface.name, ref)
        if ((len(args), *kwargs) if kwargs else len(args)) not in self._accepted:
            self._interface.signatures[self._name].check(args, kwargs)
        options = self._options
        if options.num_returns == 1:
            return engine.call_actor(ref, self._name, options, args, kwargs)[0]
        if options.num_returns == STREAMING:
            refuse_streaming(f"{self._interface.name}.{self._name}")
        refs = engine.call_actor(ref, self._name, options, args, kwargs)
        return result_of(refs, options.num_returns)

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """A node of a graph for one call that is made later, see :mod:`paralab.dag`."""
        from paralab.dag.class_node import bind_method

        handle = ActorHandle(self._ref, self._interface)
        return bind_method(handle, self, args, kwargs)

    def options(self, **options: Any) -> ActorMethod:
        """The same method with other options, such as ``num_returns``.

        Raises:
            ValueError, TypeError: an option is unknown or wrong; the message names it.
        """
        _, given, is_generator = self._interface.table[self._name]
        checked = build_method_options({**given, **options}, is_generator=is_generator)
        return ActorMethod(self._ref, self._name, checked, self._interface)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"Actor methods cannot be called directly. Instead of running "
            f"'object.{self._name}()', try 'object.{self._name}.remote()'."
        )

    def __repr__(self) -> str:
        return f"<method {self._name} of {ActorHandle(self._ref, self._interface)!r}>"


def _stale(name: str, ref: ObjectRef) -> ActorHandleNotFoundError:
    return ActorHandleNotFoundError(
        f"The handle Actor({name}, {actor_id_of(ref).hex()}) is from a session that was shut "
        "down: its actor is gone. Handles are not valid across sessions; make a new actor with "
        f"{name}.remote()."
    )
