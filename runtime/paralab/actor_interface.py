"""What handles know of an actor's class: its methods, and how calls of them are ordered.

It travels with each handle by id, and without the class, so a process can call an actor whose
class it cannot import.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn
from weakref import WeakValueDictionary

from paralab.call_signature import CallSignature, Shape, shape_of
from paralab.exceptions import ActorHandleNotFoundError
from paralab.options import build_method_options
from paralab.shown_text import did_you_mean, shown_name
from paralab.task_spec import ACTOR_METHODS, TaskOptions

METHOD_OPTIONS = "__paralab_method_options__"

MethodTable = dict[str, tuple[Shape, dict[str, Any], bool]]
"""For each method its parameters, the options given to ``@method``, and if it is a generator."""


class Traits(NamedTuple):
    """What an actor's options say about calls of it."""

    is_async: bool = False
    in_order: bool = True
    """Whether calls wait for missing inputs of those before them."""
    max_pending_calls: int = -1
    groups: tuple[str, ...] = ()
    """Names of its concurrency groups."""
    recorded: bool = True
    """Whether its calls are recorded, where a method does not say otherwise."""
    profile: str | None = None
    """By which tool its calls are profiled, where a method does not say otherwise."""


def is_async(function: Any) -> bool:
    """Whether a method makes its actor async."""
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def is_generator(function: Any) -> bool:
    """Whether a method's items are returned one by one."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


class Interface:
    """The methods of one class, with the traits of one way to make its actors."""

    def __init__(self, id_: bytes, name: str, table: MethodTable, traits: Traits) -> None:
        self.id = id_
        self.name = name
        self.table = table
        self.traits = traits
        self.options: dict[str, TaskOptions] = {}
        self.signatures: dict[str, CallSignature] = {}
        for method_name, (shape, _given, _is_generator) in table.items():
            self.options[method_name] = self.method_options(method_name, {})
            shown = shown_name(f"{name}.{method_name}")
            self.signatures[method_name] = CallSignature(shown, shape)

    def method_options(self, method: str, more: dict[str, Any]) -> TaskOptions:
        """The options of a method's calls: those of ``@method``, and ``more``.

        Raises:
            ValueError, TypeError: one is unknown or wrong; the message names it.
        """
        _, given, generator = self.table[method]
        default: dict[str, Any] = {
            "name": f"{self.name}.{method}",
            "enable_task_events": self.traits.recorded,
        }
        if self.traits.profile is not None:
            default["profile"] = self.traits.profile
        options = {**default, **given, **more}
        group = options.get("concurrency_group")
        if group and group not in self.traits.groups:
            known = ", ".join(self.traits.groups) or "none; name them in concurrency_groups"
            raise ValueError(
                f"concurrency_group={group!r} of {options['name']} is not a group of the actor "
                f"class {self.name}. Its groups are: {known}."
            )
        return build_method_options(options, is_generator=generator, in_order=self.traits.in_order)

    def handle_state(self) -> tuple[Any, ...]:
        """What a handle is made from besides its ref."""
        return self.id, self.name, self.table, self.traits

    def with_traits(self, traits: Traits) -> Interface:
        """The same methods of actors that are made in another way."""
        return self if traits == self.traits else known(self.id, self.name, self.table, traits)


_interfaces: WeakValueDictionary[tuple[bytes, Traits], Interface] = WeakValueDictionary()
"""Interfaces known here by class id; an entry goes with the last class object or handle."""


def known(id_: bytes, name: str, table: MethodTable, traits: Traits) -> Interface:
    """The interface with this id and these traits; there is one in a process."""
    found = _interfaces.get((id_, traits))
    if found is None:
        made = Interface(id_, name, table, traits)
        found = _interfaces.setdefault((id_, traits), made)
    return found


def methods_of(cls: type) -> Iterator[tuple[str, Callable[..., Any], bool]]:
    """Name, function, and whether the first parameter is bound at the call."""
    for name in dir(cls):
        if name in ("__new__", "__init__", "__init_subclass__", "__subclasshook__"):
            continue
        raw = inspect.getattr_static(cls, name, None)
        if isinstance(raw, (staticmethod, classmethod)):
            yield name, raw.__func__, isinstance(raw, classmethod)
        elif inspect.isfunction(raw) or isinstance(raw, functools.partialmethod):
            yield name, getattr(cls, name), True


def table_of(cls: type) -> MethodTable:
    """What handles know of each method of ``cls``, and of those that every actor has."""
    table: MethodTable = {}
    for name, function, is_bound in methods_of(cls):
        given = getattr(function, METHOD_OPTIONS, {})
        table[name] = shape_of(function, skip_first=is_bound), given, is_generator(function)
    for name, function in ACTOR_METHODS.items():
        table[name] = shape_of(function, skip_first=True), {}, False
    return table


def of_class(cls: type) -> Interface:
    """What an actor itself can tell of its methods, from its class."""
    table = table_of(cls)
    groups = {
        given["concurrency_group"] for _, given, _ in table.values() if "concurrency_group" in given
    }
    is_async_actor = any(is_async(function) for _, function, _ in methods_of(cls))
    traits = Traits(is_async_actor, groups=tuple(sorted(groups)))
    return known(os.urandom(16), shown_name(cls.__name__), table, traits)


def no_such_method(interface: Interface, name: str) -> NoReturn:
    """Raises the AttributeError that names what there is."""
    advice = did_you_mean(name, interface.options).rstrip()
    if not advice:
        public = sorted(known for known in interface.options if not known.startswith("_"))
        advice = f"Its methods are: {', '.join(public) or 'none'}."
    raise AttributeError(
        f"'ActorHandle' object has no attribute {name!r}: the actor class {interface.name} has no "
        f"method {name!r}. {advice} Attributes of an actor can only be read by its methods."
    )


def class_attribute(actor_class: Any, name: str) -> Any:
    """An attribute of the class behind an actor class.

    Methods use class attributes, and static and class methods, under the class's own name, and
    that is the actor class's.

    Raises:
        AttributeError: there is none, or the class is not known here yet.
    """
    wrapped = vars(actor_class).get("__wrapped__")
    if wrapped is not None and not name.startswith("__") and hasattr(wrapped, name):
        return getattr(wrapped, name)
    raise AttributeError(f"{type(actor_class).__name__!r} object has no attribute {name!r}")


def public_names(cls: type | None) -> list[str]:
    """What completion offers of a class."""
    return [name for name in dir(cls) if cls is not None and not name.startswith("_")]


def stale(name: str, actor_id: bytes) -> ActorHandleNotFoundError:
    """The error for a call by a handle from an earlier session."""
    return ActorHandleNotFoundError(
        f"The handle Actor({name}, {actor_id.hex()}) is from a session that was shut down: its "
        "actor is gone. Handles are not valid across sessions; make a new actor with "
        f"{name}.remote()."
    )
