"""``@remote`` on a class: actors, and the handles by which they are called.

::

    ActorClass --remote()--> ActorHandle --.method--> ActorMethod --remote()--> ObjectRef
                                  |                        |
                                  +------- ObjectRef ------+   stands for the actor itself

The actor lives while a ref to it does.  A handle keeps the methods it was asked for, and they
hold the ref and never the handle, so there is no circle and the last handle's end is the
actor's end, at once.  What a handle must know of its class (``Interface``) travels with it by
id; the class itself does not, so a process can call an actor whose class it cannot import.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import GenericAlias
from typing import Any, NoReturn, TypeVar, Union
from weakref import WeakValueDictionary

from paralab.actor_interface import (
    METHOD_OPTIONS,
    Interface,
    MethodTable,
    Traits,
    class_attribute,
    is_generator,
    known,
    methods_of,
    no_such_method,
    public_names,
    table_of,
)
from paralab.actor_interface import is_async as is_async_method
from paralab.actor_method import ActorMethod, actor_id_of, method_class, shown_actor
from paralab.call_signature import CallSignature, Shape, shape_of
from paralab.engine import _Slot, current
from paralab.exceptions import (
    ActorAlreadyExistsError,
    ActorClassInheritanceException,
)
from paralab.library_name import said
from paralab.object_ref import ObjectRef
from paralab.options import (
    build_actor_options,
    build_method_options,
    check_num_returns,
    refuse_in_actor_options,
)
from paralab.remote_function import settled, start_engine
from paralab.shown_text import shown_name
from paralab.task_spec import ActorOptions, ActorSpec

__all__ = [
    "ActorClass",
    "ActorClassInheritanceException",
    "ActorHandle",
    "ActorMethod",
    "exit_actor",
    "method",
]


def method(*args: Any, **options: Any) -> Any:
    """Sets the options of an actor's method, as in ``@method(num_returns=2)``.

    Args:
        num_returns: how many refs a call returns, an int >= 0, or "streaming" for a generator.
        name, max_task_retries, retry_exceptions, enable_task_events: as in Ray.

    Raises:
        ValueError, TypeError: an option is unknown or wrong; the message names it.
    """
    if args and (len(args) != 1 or options or not callable(args[0])):
        raise TypeError("@method takes keyword options only, as in @method(num_returns=2).")

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        check_num_returns(options.get("num_returns"), is_generator(function), 3)
        build_method_options(options, is_generator=is_generator(function))
        setattr(function, METHOD_OPTIONS, options)
        return function

    return mark(args[0]) if args else mark


def exit_actor() -> NoReturn:
    """Ends the actor in whose method this is called, once that method is left.

    The call and those that wait behind it fail with ActorDiedError.

    Raises:
        AsyncioActorExit, SystemExit: the actor is async, or it is not.
        TypeError: the caller is not an actor.
    """
    if (facts := current().info("context")).get("actor_id") is None:
        raise TypeError("exit_actor() ends the actor that calls it, and this is not an actor.")
    raise facts["exit"]()  # noqa: RSE102


def find_actor(name: str, namespace: str | None) -> ActorHandle | None:
    """A handle of the living actor of that name; None if there is none."""
    found = (_Slot.engine or start_engine()).find_actor(name, namespace)
    return None if found is None else _rebuild_handle(found[0], *found[1])


remote_classes: WeakValueDictionary[bytes, ActorSpec] = WeakValueDictionary()
"""Classes known here by id; an entry goes with the last ActorClass that uses it."""


class ActorClass:
    """A class whose instances are actors, each in a process of its own, as ``@remote`` makes it."""

    _spec: ActorSpec
    _interface: Interface
    _signature: CallSignature
    _options: ActorOptions
    _given: dict[str, Any]
    __wrapped__: type
    __class_getitem__: Any = classmethod(GenericAlias)  # ActorClass[Counter], for annotations

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        is_async = any(is_async_method(function) for _, function, _ in methods_of(cls))
        is_async = is_async or is_async_method(cls.__init__)  # type: ignore[misc]
        spec = ActorSpec(cls, shown_name(cls.__name__), {}, is_async=is_async)
        remote_classes[spec.id] = spec
        groups = tuple(build_actor_options(options).extra.get("concurrency_groups") or ())
        interface = known(spec.id, spec.name, table_of(cls), Traits(is_async, groups=groups))
        spec.methods = interface.options
        is_plain = not {"__init__", "__new__"} & {
            name for c in cls.__mro__[:-1] for name in vars(c)
        }
        shape = () if is_plain else shape_of(cls)
        self._set(spec, interface, settled(options), CallSignature(spec.name, shape))
        self._wrap(cls)

    def _set(
        self,
        spec: ActorSpec,
        interface: Interface,
        given: dict[str, Any],
        signature: CallSignature,
    ) -> None:
        self._spec = spec
        self._given = given
        name = shown_name(getattr(spec.cls, "__qualname__", spec.name))
        options = build_actor_options(given, name=name)
        self._signature = signature
        out_of_order = options.extra.get("allow_out_of_order_execution")
        at_once = spec.is_async or (options.max_concurrency or 1) > 1
        in_order = not (at_once if out_of_order is None else out_of_order)
        self._has_impossible_order = at_once and in_order
        traits = interface.traits._replace(in_order=in_order, recorded=options.recorded)
        tool = options.extra.get("profile")
        traits = traits._replace(max_pending_calls=options.max_pending_calls, profile=tool)
        self._interface = interface.with_traits(traits)
        self._options = replace(options, handle_state=self._interface.handle_state())

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
            ValueError: an actor that runs several calls at once is asked to keep their order.
        """
        if self._has_impossible_order:
            kind = "an async" if self._spec.is_async else "a multi-threaded"
            raise ValueError(
                f"{self._spec.name} is {kind} actor, which can't execute its tasks in order: "
                "leave out allow_out_of_order_execution=False."
            )
        engine = _Slot.engine or start_engine()
        if ((len(args), *kwargs) if kwargs else len(args)) not in self._signature.accepted:
            self._signature.check(args, kwargs)
        if self._options.get_if_exists:
            return self._get_or_create(args, kwargs)
        spec = self._spec
        if self._options.extra.get("profile") is not None:
            from paralab.profiled import measured_actor, wanted  # most programs need none

            spec = measured_actor(spec, wanted(self._options.extra["profile"]))
        ref = engine.create_actor(spec, self._options, args, kwargs)
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
        given = {**self._given, **settled(options)}
        variant._set(self._spec, self._interface, given, self._signature)
        variant._wrap(self.__wrapped__)
        return variant

    def _remote(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Ray's older way to write ``.options(...).remote(...)``."""
        return self.options(**options).remote(*(args or ()), **(kwargs or {}))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self._spec.name
        raise TypeError(
            f"Actors cannot be instantiated directly. Instead of '{name}()', use "
            f"'{name}.remote()'; '{name}.__wrapped__()' makes an ordinary object here."
        )

    def __getattr__(self, name: str) -> Any:
        return class_attribute(self, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *public_names(self.__dict__.get("__wrapped__"))]

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        raise ActorClassInheritanceException(
            said(
                f"Attempted to define a subclass of the actor class '{self._spec.name}'. "
                "Inheriting from actor classes is not currently supported. Derive from the plain "
                "class and put @paralab.remote on the derived one."
            )
        )

    def __repr__(self) -> str:
        return f"<actor class {self._spec.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        spec, interface, shape = self._spec, self._interface, self._signature.shape
        how = spec.id, spec.name, interface.table, interface.traits, self._given, shape
        return _rebuild_class, how, spec.cls

    def __setstate__(self, cls: type) -> None:
        # Only ever called while unpickling, on what _rebuild_class made.  If this is a global
        # that the class's own methods use, that is not complete yet: look at nothing in it.
        spec: Any = self._spec
        if spec.cls is None:
            spec.cls = cls
        self.__wrapped__ = self._spec.cls


def _rebuild_class(
    spec_id: bytes,
    name: str,
    table: MethodTable,
    traits: Traits,
    given: dict[str, Any],
    shape: Shape,
) -> ActorClass:
    interface = known(spec_id, name, table, traits)
    spec = remote_classes.get(spec_id)
    if spec is None:
        nothing_yet: Any = None  # the class follows, see __setstate__
        made = ActorSpec(nothing_yet, name, interface.options, is_async=traits.is_async, id=spec_id)
        spec = remote_classes.setdefault(spec_id, made)
    rebuilt: ActorClass = ActorClass.__new__(ActorClass)
    rebuilt._set(spec, interface, given, CallSignature(name, shape))
    return rebuilt


class ActorHandle:
    """Calls the methods of one actor: ``handle.method.remote(...)``.

    Tasks and other actors can be given it; two handles of one actor are equal.
    """

    __class_getitem__: Any = classmethod(GenericAlias)

    def __init__(self, ref: ObjectRef, interface: Interface) -> None:
        self._ref = ref
        self._interface = interface

    def __getattr__(self, name: str) -> ActorMethod:
        interface: Interface | None = self.__dict__.get("_interface")
        if interface is None:
            raise AttributeError(name)
        options = interface.options.get(name)
        if options is None:
            no_such_method(interface, name)
        made = method_class(interface, options)(self._ref, name, options, interface)
        self.__dict__[name] = made
        return made

    def __dir__(self) -> list[str]:
        return sorted({"__init__", *self._interface.options})

    @property
    def _actor_id(self) -> Any:
        from paralab.id_types import ActorID

        return ActorID(actor_id_of(self._ref))

    _ray_actor_id = _actor_id  # Ray's other name of it

    def __repr__(self) -> str:
        return shown_actor(self._interface.name, self._ref)

    def __eq__(self, other: object) -> bool:
        return type(other) is ActorHandle and self._ref == other._ref

    def __hash__(self) -> int:
        return hash(self._ref)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_handle, (self._ref, *self._interface.handle_state())


def _rebuild_handle(
    ref: ObjectRef, id_: bytes, name: str, table: MethodTable, traits: Traits
) -> ActorHandle:
    return ActorHandle(ref, known(id_, name, table, traits))


_Actor = TypeVar("_Actor")
ActorProxy = Union[ActorHandle, type[_Actor]]  # noqa: UP007 - for annotations
