"""The options of tasks, actors and methods: checked at once, and turned into what engines read.

One table says what each option may be, a second one which values this version does not carry
out yet (a silent neglect would give wrong results, so they raise); to implement one is to
delete its row.  Names, defaults and exception types are Ray's; two checks are stricter, an
amount of a resource finer than 1e-4 and an amount that is not a finite number.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from paralab.shown_text import did_you_mean, shown_name
from paralab.task_spec import (
    AS_ACTOR,
    DYNAMIC,
    RESOURCE_UNIT,
    STREAMING,
    ActorOptions,
    TaskOptions,
    Where,
    fixed_resources,
)

DEFAULT_MAX_RETRIES = 3
_RESERVED = {
    "CPU": "num_cpus",
    "GPU": "num_gpus",
    "memory": "memory",
    "object_store_memory": "object_store_memory of paralab.init",
}
_NONE = type(None)


@dataclass(frozen=True, slots=True)
class Option:
    """What one option may be: its types, in words, and a check of the value."""

    types: tuple[type, ...]
    """In Ray's order: messages show them, and programs look for what Ray shows."""
    expected: str
    is_valid: Callable[[Any], bool] = lambda value: True

    def check(self, name: str, value: object) -> None:
        """Raises TypeError or ValueError that names the option, the value and what was expected."""
        if not isinstance(value, self.types):
            shown = self.types if len(self.types) > 1 else self.types[0]
            raise TypeError(
                f"The type of keyword {name!r} must be {shown}, but received type {type(value)}: "
                f"{name}={value!r}; expected {self.expected}."
            )
        if not self.is_valid(value):
            raise ValueError(
                f"The keyword {name!r} only accepts {self.expected}; it got {name}={value!r}."
            )


def _at_least(lowest: int) -> Callable[[Any], bool]:
    return lambda value: value is None or value >= lowest


def _is_amount(value: Any) -> bool:
    if value is None:
        return True
    if not math.isfinite(value) or value < 0:
        return False
    return bool(value == 0 or value >= 1 / RESOURCE_UNIT)


def _is_gpu_amount(value: Any) -> bool:
    return _is_amount(value) and (value is None or value <= 1 or value == int(value))


def _is_memory(value: Any) -> bool:
    return value is None or (math.isfinite(value) and value >= 0)


def _are_exceptions(value: Any) -> bool:
    return isinstance(value, bool) or all(
        isinstance(item, type) and issubclass(item, Exception) for item in value
    )


def _count(infinite: bool) -> Option:
    if infinite:
        return Option(
            (int, _NONE),
            "None, 0, -1 or a positive integer, where -1 represents infinity",
            _at_least(-1),
        )
    return Option((int, _NONE), "None, 0 or a positive integer", _at_least(0))


_AMOUNT = Option((float, int, _NONE), "0 or a number >= 0.0001", _is_amount)
_TEXT = Option((str, _NONE), "a str or None")
_DICT = Option((dict, _NONE), "a dict or None")
_FLAG = Option((bool, _NONE), "True or False")
_PROFILE = Option((str, _NONE), "the name of a profiler, such as 'pyinstrument', or None")

COMMON: dict[str, Option] = {
    "num_cpus": _AMOUNT,
    "num_gpus": Option(
        (float, int, _NONE),
        "0 or a number >= 0.0001, whole above 1",
        _is_gpu_amount,
    ),
    "memory": Option((float, int, _NONE), "a number of bytes >= 0", _is_memory),
    "resources": _DICT,
    "name": _TEXT,
    "accelerator_type": _TEXT,
    "runtime_env": _DICT,
    "scheduling_strategy": Option((object,), "None, 'DEFAULT' or 'SPREAD'"),
    "label_selector": _DICT,
    "fallback_strategy": Option((list, _NONE), "a list or None"),
    "placement_group": Option((object,), "a placement group, None or 'default'"),
    "placement_group_bundle_index": Option((int,), "an int"),
    "placement_group_capture_child_tasks": _FLAG,
    "enable_task_events": Option((bool,), "True or False"),
    "profile": _PROFILE,
    "_labels": _DICT,
}
_NUM_RETURNS = Option(
    (int, str, _NONE),
    "None, a non-negative integer, 'streaming' (for generators), or 'dynamic'",
    lambda value: (
        value in ("streaming", "dynamic") if isinstance(value, str) else value is None or value >= 0
    ),
)
_RETRY_EXCEPTIONS = Option(
    (bool, list, tuple), "a bool or a list of exception classes", _are_exceptions
)
_GENERATOR: dict[str, Option] = {
    "_generator_backpressure_num_objects": Option(
        (int, _NONE),
        "a value > 0, with 1 for a generator that makes an item whenever one is taken, or -1 or "
        "None for no limit; _generator_backpressure_num_objects=0 is not allowed",
        lambda value: value != 0,
    ),
    "_num_objects_per_yield": Option((int, _NONE), "a positive int or None", _at_least(1)),
}
TASK: dict[str, Option] = {
    **COMMON,
    "num_returns": _NUM_RETURNS,
    "max_retries": _count(infinite=True),
    "retry_exceptions": _RETRY_EXCEPTIONS,
    "max_calls": _count(infinite=False),
    "object_store_memory": Option(
        (int, _NONE), "None: tasks cannot reserve shared memory", lambda value: value is None
    ),
    **_GENERATOR,
}
ACTOR: dict[str, Option] = {
    **COMMON,
    "max_concurrency": _count(infinite=False),
    "max_restarts": _count(infinite=True),
    "max_task_retries": _count(infinite=True),
    "max_pending_calls": _count(infinite=True),
    "lifetime": Option(
        (str, _NONE),
        "'detached', 'non_detached' or None",
        lambda value: value in (None, "detached", "non_detached"),
    ),
    "namespace": _TEXT,
    "get_if_exists": Option((bool,), "True or False"),
    "concurrency_groups": Option((list, dict, _NONE), "a dict, a list or None"),
    "allow_out_of_order_execution": _FLAG,
    "enable_tensor_transport": _FLAG,
    "object_store_memory": _count(infinite=False),
}
METHOD: dict[str, Option] = {
    "num_returns": _NUM_RETURNS,
    "name": _TEXT,
    "concurrency_group": _TEXT,
    "max_task_retries": _count(infinite=True),
    "retry_exceptions": _RETRY_EXCEPTIONS,
    "enable_task_events": Option((bool,), "True or False"),
    "tensor_transport": _TEXT,
    "profile": _PROFILE,
    **_GENERATOR,
}


def _is_given(value: Any) -> bool:
    return bool(value)


NOT_YET: dict[str, tuple[Callable[[Any], bool], str]] = {
    "_num_objects_per_yield": (lambda value: (value or 1) > 1, "several refs from one yield"),
    "tensor_transport": (_is_given, "tensors that bypass the object store"),
    "enable_tensor_transport": (_is_given, "tensors that bypass the object store"),
}
"""What Ray has and this version has not: which values ask for it, and what it is."""

_READ_BY_ENGINES = {
    "num_cpus", "num_gpus", "memory", "resources", "accelerator_type", "name", "num_returns",
    "max_retries", "retry_exceptions", "runtime_env", "max_concurrency", "max_restarts",
    "max_task_retries", "max_pending_calls", "lifetime", "namespace", "get_if_exists",
    "_generator_backpressure_num_objects", "enable_task_events",
}  # fmt: skip


def _check(options: Mapping[str, Any], table: Mapping[str, Option], of_what: str) -> None:
    for name, value in options.items():
        option = table.get(name)
        if option is None:
            public = sorted(each for each in table if not each.startswith("_"))
            raise ValueError(
                f"Invalid option keyword {shown_name(name)}={value!r} for {of_what}. "
                f"{did_you_mean(name, table)}Valid ones are {', '.join(public)}."
            )
        option.check(name, value)
        _check_more(name, value)
        if name in NOT_YET and NOT_YET[name][0](value):
            raise NotImplementedError(
                f"The option {name}={value!r} is not available yet: this version of paralab "
                f"does not have {NOT_YET[name][1]}."
            )


def _check_more(name: str, value: Any) -> None:
    if name == "resources" and value is not None:
        check_resources(value, "resources")
    elif name == "concurrency_groups" and value:
        _check_groups(value)
    elif name == "profile" and value is not None:
        import_module("paralab.profiled").check(value)  # most programs need none


def check_resources(resources: Mapping[Any, Any], argument: str) -> None:
    """Checks custom resources, of a task or of a node.

    Raises:
        TypeError: a name is not a str or an amount not a number.
        ValueError: a name is empty or has an option of its own, or an amount is negative,
            not finite or finer than 1e-4.
    """
    for name, amount in resources.items():
        if not isinstance(name, str):
            raise TypeError(f"{argument}={resources!r}: the name {name!r} is not a str.")
        if not name:
            raise ValueError(f"{argument}={resources!r}: a resource needs a name.")
        if name in _RESERVED:
            raise ValueError(
                f"{argument}={resources!r}: {name!r} cannot be a custom resource; "
                f"use {_RESERVED[name]} instead."
            )
        if not isinstance(amount, (int, float)):
            raise TypeError(
                f"{argument}[{name!r}]={amount!r} is of type {type(amount).__name__}; "
                f"expected {_AMOUNT.expected}."
            )
        if not _is_amount(amount):
            raise ValueError(f"{argument}[{name!r}]={amount!r}: expected {_AMOUNT.expected}.")


def _check_groups(groups: Any) -> None:
    expected = "a dict such as {'io': 2}: for each group how many of its calls may run at once"
    if not isinstance(groups, dict):
        raise TypeError(f"The option concurrency_groups={groups!r} is a list; expected {expected}.")
    for name, limit in groups.items():
        if not isinstance(name, str) or not isinstance(limit, int) or isinstance(limit, bool):
            raise TypeError(
                f"The option concurrency_groups={groups!r} is wrong: expected {expected}."
            )
        if not name or limit < 1:
            raise ValueError(
                f"The option concurrency_groups={groups!r} is not valid: a group needs a name "
                f"and a limit of at least 1, not {name!r}: {limit!r}."
            )


def _amounts(options: Mapping[str, Any]) -> dict[str, float]:
    amounts: dict[str, float] = dict(options.get("resources") or {})
    for name, resource in (("num_cpus", "CPU"), ("num_gpus", "GPU")):
        if options.get(name) is not None:
            amounts[resource] = options[name]
    if options.get("memory"):
        amounts["memory"] = int(options["memory"])
    if options.get("accelerator_type"):
        amounts[f"accelerator_type:{options['accelerator_type']}"] = 0.001
    return amounts


_PLACING = {
    "scheduling_strategy", "label_selector", "fallback_strategy", "placement_group",
    "placement_group_bundle_index", "placement_group_capture_child_tasks",
}  # fmt: skip


def _place(
    options: Mapping[str, Any], resources: Mapping[str, int], placing: Mapping[str, int], name: str
) -> tuple[Where | None, bool]:
    """Where it runs, and whether a task that captures takes it into its placement group."""
    if _PLACING.isdisjoint(options):
        return None, True
    from paralab.placing import where_of  # it knows the API, which knows this module

    return where_of(options, resources, placing, name)


def _extra(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _READ_BY_ENGINES}


def _num_returns(value: int | str | None, is_generator: bool) -> int:
    if isinstance(value, str):
        return DYNAMIC if value == "dynamic" else STREAMING
    if value is None:
        return STREAMING if is_generator else 1
    return value


def check_num_returns(value: Any, is_generator: bool, stacklevel: int) -> None:
    """Checks a num_returns that has just been written, ``stacklevel`` frames up from here.

    Raises:
        ValueError: refs that come one by one are asked of what is no generator.
    """
    if value in ("streaming", "dynamic") and not is_generator:
        raise ValueError(
            f"num_returns='{value}' can only be used with generator functions (functions that use "
            "'yield'). The decorated function is not a generator function."
        )
    if value == "dynamic":
        from paralab.util.annotations import RayDeprecationWarning

        text = "num_returns='dynamic' is deprecated: use num_returns='streaming' instead."
        warnings.warn(text, RayDeprecationWarning, stacklevel=stacklevel)


def _retry_exceptions(value: Any) -> bool | tuple[type[BaseException], ...]:
    return value if isinstance(value, bool) else tuple(value)


def refuse_in_task_options(options: Mapping[str, Any]) -> None:
    """Raises ValueError for what a task's ``.options`` may not change."""
    if "max_calls" in options:
        raise ValueError("Setting 'max_calls' is not supported in '.options()'.")


def build_task_options(
    options: Mapping[str, Any], *, is_generator: bool = False, name: str = "the task"
) -> TaskOptions:
    """Checks the options of a task and fills in the defaults.

    Args:
        options: as given to ``@remote(...)`` and ``.options(...)``.
        is_generator: whether the function is a generator.
        name: of the function, for errors.

    Raises:
        ValueError, TypeError: an option is unknown or wrong; the message names it.
        NotImplementedError: an option is right but not available yet.
    """
    _check(options, TASK, "remote functions")
    retries = options.get("max_retries")
    resources = fixed_resources({"CPU": 1, **_amounts(options)})
    where, inherits = _place(options, resources, {}, name)
    return TaskOptions(
        name=shown_name(options.get("name") or ""),
        num_returns=_num_returns(options.get("num_returns"), is_generator),
        resources=resources,
        where=where,
        inherits=inherits,
        max_retries=DEFAULT_MAX_RETRIES if retries is None else retries,
        retry_exceptions=_retry_exceptions(options.get("retry_exceptions", False)),
        items_ahead=options.get("_generator_backpressure_num_objects") or -1,
        runtime_env=options.get("runtime_env") or {},
        recorded=options.get("enable_task_events", True),
        extra=_extra(options),
    )


def refuse_in_actor_options(options: Mapping[str, Any]) -> None:
    """Raises ValueError for what an actor's ``.options`` may not change."""
    if "concurrency_groups" in options:
        raise ValueError("Setting 'concurrency_groups' is not supported in '.options()'.")


def build_actor_options(options: Mapping[str, Any], *, name: str = "the actor") -> ActorOptions:
    """Checks the options of an actor and fills in the defaults.

    An actor for which no resource is named needs one CPU to start and none to live on; one
    for which any is named holds them all, and one CPU unless num_cpus says otherwise, for
    its life.

    Raises:
        ValueError, TypeError: an option is unknown or wrong; the message names it.
        NotImplementedError: an option is right but not available yet.
    """
    if options.get("name") == "":
        raise ValueError("Actor name cannot be an empty string: name='' names nothing.")
    if options.get("namespace") == "":
        raise ValueError('"" is not a valid namespace. Pass None to not specify a namespace.')
    if options.get("get_if_exists") and not options.get("name"):
        raise ValueError("The actor name must be specified to use `get_if_exists`.")
    _check(options, ACTOR, "actors")
    amounts = _amounts(options)
    is_light = not amounts.keys() - {"memory"}
    resources = fixed_resources(amounts if is_light else {"CPU": 1, **amounts})
    placing = fixed_resources({"CPU": 1, **amounts})
    where, inherits = _place(options, resources, placing, name)
    return ActorOptions(
        name=options.get("name"),
        namespace=options.get("namespace"),
        resources=resources,
        creation_resources=placing,
        where=where,
        inherits=inherits,
        max_concurrency=options.get("max_concurrency") or None,
        max_restarts=options.get("max_restarts") or 0,
        max_task_retries=options.get("max_task_retries") or 0,
        max_pending_calls=_or(options.get("max_pending_calls"), -1),
        lifetime=options.get("lifetime"),
        get_if_exists=bool(options.get("get_if_exists")),
        runtime_env=options.get("runtime_env") or {},
        recorded=options.get("enable_task_events", True),
        extra=_extra(options),
    )


def build_method_options(
    options: Mapping[str, Any], *, is_generator: bool = False, in_order: bool = True
) -> TaskOptions:
    """Checks the options of an actor's method, from ``@method`` or ``.options``.

    Raises:
        ValueError, TypeError: an option is unknown or wrong; the message names it.
        NotImplementedError: an option is right but not available yet.
    """
    _check(options, METHOD, "actor methods")
    return TaskOptions(
        name=shown_name(options.get("name") or ""),
        num_returns=_num_returns(options.get("num_returns"), is_generator),
        in_order=in_order,
        max_retries=_or(options.get("max_task_retries"), AS_ACTOR),
        retry_exceptions=_retry_exceptions(options.get("retry_exceptions", False)),
        items_ahead=options.get("_generator_backpressure_num_objects") or -1,
        recorded=options.get("enable_task_events", True),
        extra=_extra(options),
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
