"""Prints the public surface of the installed Ray Core as JSON: modules, names, parameters, methods.

    python tests/ray_surface.py > tests/conformance/ray_surface.json

Facts only, so that what paralab offers can be held against it where Ray is not installed.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import warnings
from typing import Any

MODULES = [
    "ray", "ray.actor", "ray.cloudpickle", "ray.cluster_utils", "ray.cross_language", "ray.dag",
    "ray.exceptions", "ray.experimental.tqdm_ray", "ray.job_config", "ray.remote_function",
    "ray.runtime_context", "ray.runtime_env", "ray.types", "ray.util", "ray.util.accelerators",
    "ray.util.actor_pool", "ray.util.annotations", "ray.util.check_serialize", "ray.util.debug",
    "ray.util.helpers", "ray.util.iter", "ray.util.metrics", "ray.util.multiprocessing",
    "ray.util.placement_group", "ray.util.queue", "ray.util.scheduling_strategies",
    "ray.util.serialization", "ray.util.state",
]  # fmt: skip
"""The modules whose names are compared one by one."""
CLOUDPICKLE = ["dump", "dumps", "load", "loads", "CloudPickler", "register_pickle_by_value"]
"""Of this one Ray ships a copy, with many more names that are nobody's business."""


def public_names(module: Any) -> list[str]:
    """What the module says is public, or else what it defines itself."""
    if module.__name__ == "ray.cloudpickle":
        return CLOUDPICKLE  # of paralab's, what it lists
    if hasattr(module, "__all__"):
        return sorted({name for name in module.__all__ if not name.startswith("_")})
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isclass(value) or inspect.isfunction(value))
    )


def _default(value: Any) -> str:
    plain = value is None or isinstance(value, (bool, int, float, str, tuple))
    return repr(value) if plain else "..."


def parameters(function: Any) -> str:
    """The parameters as they would be written, without annotations; "?" where nobody knows."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "?"
    plain = []
    for p in signature.parameters.values():
        shown = p.replace(annotation=p.empty)
        if p.default is not p.empty:
            shown = shown.replace(default=_Shown(_default(p.default)))
        plain.append(shown)
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


class _Shown:
    """A default as it is written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def members(cls: type, told: Any = ()) -> dict[str, str]:
    """Parameters of each public method, and "property" or "value" for what is no method.

    What comes from one of the classes ``told`` is left out: those have a description of their own.
    """
    found = {}
    for owner in reversed(cls.__mro__):
        parts = owner.__module__.split(".")
        if parts[0] not in ("ray", "paralab") or "cloudpickle" in parts:
            continue  # what Python's own classes give is there anyway
        if owner is not cls and owner in told:
            continue
        for name in vars(owner):
            if name.startswith("_"):
                continue
            raw = inspect.getattr_static(cls, name)
            if isinstance(raw, property):
                found[name] = "property"
            elif callable(getattr(cls, name, None)):
                found[name] = parameters(getattr(cls, name))
            else:
                found[name] = "value"
    return found


def describe(value: Any, told: Any = ()) -> dict[str, Any]:
    """What is compared of one public name; for ``told`` see :func:`members`."""
    if inspect.ismodule(value):
        return {"kind": "module"}
    if inspect.isclass(value):
        return {"kind": "class", "parameters": parameters(value), "members": members(value, told)}
    if callable(value):
        return {"kind": "function", "parameters": parameters(value)}
    return {"kind": "value"}


def surface(modules: list[str]) -> dict[str, dict[str, Any]]:
    """The description of every public name of these modules that can be had."""
    found: dict[str, dict[str, Any]] = {}
    for module_name in modules:
        module = importlib.import_module(module_name)
        names = {}
        told = [value for value in vars(module).values() if inspect.isclass(value)]
        for name in public_names(module):
            try:
                names[name] = describe(getattr(module, name), told)
            except Exception as error:  # needs a package that Ray does not install by itself
                names[name] = {"kind": type(error).__name__}
        found[module_name] = names
    return found


def as_json(release: str, found: dict[str, dict[str, Any]]) -> str:
    """One line for each name, so that a new release shows as a readable difference."""
    modules = []
    for module, names in sorted(found.items()):
        lines = [f"  {json.dumps(name)}: {json.dumps(names[name])}" for name in sorted(names)]
        modules.append(f" {json.dumps(module)}: {{\n" + ",\n".join(lines) + "\n }")
    body = ",\n".join(modules)
    return f'{{"release": {json.dumps(release)},\n"modules": {{\n{body}\n}}}}\n'


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    ray = importlib.import_module("ray")
    sys.stdout.write(as_json(ray.__version__, surface(MODULES)))
