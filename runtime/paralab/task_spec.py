"""What the API hands to an engine: a function or class, and how to run it.

Options are checked before they get here (``paralab.options``); an engine may rely on them.
One options object serves all calls of one remote function, so engines may key tables on it.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from paralab.exceptions import ActorExit
from paralab.shown_text import shown_name

EMPTY: Mapping[str, Any] = MappingProxyType({})
AS_ACTOR = -2
"""``max_retries`` of an actor's method that leaves it to the actor's ``max_task_retries``."""
RESOURCE_UNIT = 10_000
"""Resources are counted in ints of 1/10,000, so that sums are exact."""
STREAMING = -1
"""``TaskOptions.num_returns`` of a generator whose items become refs one by one."""
DYNAMIC = -2
"""``TaskOptions.num_returns`` of a generator whose one ref stands for the refs to all items."""


def fixed_resources(amounts: Mapping[str, float]) -> dict[str, int]:
    """Amounts such as ``{"CPU": 0.5}`` in units of 1e-4, zeros left out.

    What is finer is cut off, as in Ray, but for the errors of floats: 0.29 stays 0.29.
    """
    fixed = {name: int(amount * RESOURCE_UNIT + 1e-6) for name, amount in amounts.items()}
    return {name: amount for name, amount in fixed.items() if amount}


class Where(NamedTuple):
    """Where a task or an actor may run.  On its way it is a plain tuple."""

    group: str = ""
    """A placement group's id in hexadecimal digits."""
    bundle: int = -1
    """Which of the group's bundles, -1 for any."""
    captures: bool = False
    """Whether what it starts goes into the same group."""
    node: str = ""
    """A node's id in hexadecimal digits."""
    is_soft: bool = False
    """Whether another node will do where that one does not exist."""
    selectors: tuple[Any, ...] = ()
    """Conditions on the labels of the node (``state.labels``), each the next one's fallback."""
    spreads: bool = False
    """Whether the nodes take turns."""


def _new_id() -> bytes:
    return os.urandom(16)


@dataclass(eq=False)
class FunctionSpec:
    """A function that workers can be sent.  Identity matters: one spec is sent once."""

    function: Callable[..., Any]
    name: str
    """``module.qualname`` as it is shown."""
    is_generator: bool = False
    id: bytes = field(default_factory=_new_id)
    """16 bytes; the same in every process that knows this function."""
    max_calls: int = 0
    """How often one process may run it; 0 for any number."""
    cache: Any = field(default=None, repr=False)
    """The engine's own: what it has prepared for this function."""


@dataclass(eq=False)
class ActorSpec:
    """A class that workers can be sent."""

    cls: type
    name: str
    """Qualified name of the class as it is shown."""
    methods: Mapping[str, TaskOptions]
    """For each public method the options of its calls."""
    is_async: bool = False
    id: bytes = field(default_factory=_new_id)
    """16 bytes; the same in every process that knows this class."""
    cache: Any = field(default=None, repr=False)
    """The engine's own: what it has prepared for this class."""


@dataclass(eq=False)
class TaskOptions:
    """How one task, or one actor call, runs.

    ``resources`` are in units of 1e-4 and include "CPU", "GPU" and "memory" (bytes, times
    10,000) where they are not zero.
    """

    name: str = ""
    num_returns: int = 1
    """A number, STREAMING or DYNAMIC."""
    resources: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    in_order: bool = True
    """Of an actor's call: whether those behind it wait while its inputs are missing."""
    max_retries: int = 3
    retry_exceptions: bool | tuple[type[BaseException], ...] = False
    recorded: bool = True
    """Whether it is seen in records and among the tasks that are under way."""
    items_ahead: int = -1
    """How many items of a generator may be there before they are taken; less than 1: any number."""
    runtime_env: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    where: Where | None = None
    inherits: bool = True
    """Whether it goes into the placement group of the task that starts it, if that captures."""
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    """Options that are accepted and checked but that only a later part of the runtime reads."""
    cache: Any = field(default=None, repr=False)
    """The engine's own: what it has prepared for calls with these options."""


@dataclass(eq=False)
class ActorOptions:
    """How an actor is placed and run.

    ``creation_resources`` are needed while the constructor waits for a place,
    ``resources`` (units of 1e-4) are held for the actor's life.
    """

    name: str | None = None
    namespace: str | None = None
    resources: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    creation_resources: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    max_concurrency: int | None = None
    max_restarts: int = 0
    max_task_retries: int = 0
    max_pending_calls: int = -1
    lifetime: str | None = None
    get_if_exists: bool = False
    recorded: bool = True
    """Whether its constructor is seen in records; calls have options of their own."""
    handle_state: Any = None
    """What a handle is made from besides its ref, for who finds an actor by its name."""
    runtime_env: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    where: Where | None = None
    inherits: bool = True
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


DEFAULT_CONCURRENCY = 1_000
"""Calls that an async actor runs at once, where its options do not say."""


def concurrency_of(spec: ActorSpec, options: ActorOptions) -> tuple[bool, dict[str, int]] | None:
    """Whether an actor is async, and how many calls each of its groups runs at once.

    The group "" is that of calls that name none.  None: one call after the other.
    """
    groups = options.extra.get("concurrency_groups") or {}
    limit = options.max_concurrency or (DEFAULT_CONCURRENCY if spec.is_async else 1)
    if limit == 1 and not spec.is_async and not groups:
        return None
    return spec.is_async, {"": limit, **groups}


def _ready(_instance: Any) -> bool:
    return True


def _call(instance: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(instance, *args, **kwargs)


def _terminate(_instance: Any) -> NoReturn:
    raise ActorExit


ACTOR_METHODS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"__ray_ready__": _ready, "__ray_call__": _call, "__ray_terminate__": _terminate}
)
"""Methods that every actor has."""


PROFILED = "__paralab_profiled__"
"""The method through which a method is called that is measured; see ``profiled``."""


def _profiled(
    instance: Any, module: str, requests: Any, name: str, method: str, /, *args: Any, **kwargs: Any
) -> Any:
    made = importlib.import_module(module).measured(bound_method(instance, method), name, requests)
    return made(*args, **kwargs)


_EVERYONES = {**ACTOR_METHODS, PROFILED: _profiled}


def bound_method(instance: Any, name: str) -> Callable[..., Any]:
    """A method of an actor's instance, or one that every actor has."""
    everyones = _EVERYONES.get(name)
    if everyones is not None:
        return partial(everyones, instance)
    if name in getattr(instance, "__dict__", EMPTY):  # an attribute of the method's name
        for cls in type(instance).__mro__:
            if name in vars(cls):
                return vars(cls)[name].__get__(instance, type(instance))  # type: ignore[no-any-return]
    return getattr(instance, name)  # type: ignore[no-any-return]


def shut_down(instance: Any) -> None:
    """Lets an actor that ends in good order clean up, by its ``__ray_shutdown__``.

    What that raises is told, and ends nothing.
    """
    try:
        clean_up = getattr(instance, "__ray_shutdown__", None)
        if clean_up is not None:
            clean_up()
    except BaseException:
        name = shown_name(type(instance).__name__)
        sys.stderr.write(f"Error in __ray_shutdown__ of {name}\n{traceback.format_exc()}")


async def constructed(cls: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An instance made in an event loop, where ``__init__`` may be a coroutine function."""
    if not inspect.iscoroutinefunction(cls.__init__):
        return cls(*args, **kwargs)
    instance = cls.__new__(cls, *args, **kwargs)
    await instance.__init__(*args, **kwargs)
    return instance


def split_items(
    generator: Iterator[Any], num_returns: int, name: str
) -> tuple[list[Any], Exception | None]:
    """The values of the refs that a generator fills, and the error that the others stand for.

    What it yields beyond ``num_returns`` is left.
    """
    values: list[Any] = []
    try:
        values.extend(islice(generator, num_returns))
    except Exception as error:
        return values, error
    if len(values) == num_returns:
        return values, None
    message = f"Task {name} returned {len(values)} objects, but num_returns={num_returns}."
    return values, ValueError(message)


def split_returns(value: Any, num_returns: int, name: str) -> list[Any]:
    """The values of a task's refs, from what its function returned.

    Raises:
        ValueError, TypeError: it returned another number of values, or nothing to count.
    """
    if num_returns == 1:
        return [value]
    if num_returns == 0:
        return []
    try:
        values = list(value)
    except TypeError:
        raise TypeError(
            f"Task {name} returned {type(value).__name__}, but num_returns={num_returns} needs "
            f"a tuple or list of {num_returns} values."
        ) from None
    if len(values) != num_returns:
        raise ValueError(
            f"Task {name} returned {len(values)} objects, but num_returns={num_returns}."
        )
    return values


def check_fits(
    resources: Mapping[str, int],
    placing: Mapping[str, int],
    bundles: Sequence[Mapping[str, float]],
    name: str,
) -> None:
    """Refuses what no bundle can ever hold.

    Args:
        resources: what the task or actor holds, in units of 1e-4.
        placing: what it needs to start.
        bundles: of the group, as users write them.
        name: of the function or class.

    Raises:
        ValueError: with Ray's words, by which programs know it.
    """
    for amounts in (resources, placing):
        wanted = {key: _plain(amount / RESOURCE_UNIT) for key, amount in amounts.items()}
        if not bundles or any(
            all(b.get(key, 0) >= n for key, n in wanted.items()) for b in bundles
        ):
            continue
        if amounts is resources:
            raise ValueError(
                f"Cannot schedule {name} with the placement group because the resource request "
                f"{wanted} cannot fit into any bundles for the placement group, {list(bundles)}."
            )
        raise ValueError(
            f"Cannot schedule {name} with the placement group because the actor requires "
            f"{wanted.get('CPU', 0):g} CPU for creation, but it cannot fit into any bundles for "
            f"the placement group, {list(bundles)}. Consider creating a placement group with CPU "
            "resources."
        )


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number
