"""Child tasks in the placement group of their parent, where the parent captures them.

While a worker runs what captures, its engine's ``submit`` and ``create_actor`` are stood in for:
so those who do not capture pay nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from paralab.task_spec import ActorOptions, TaskOptions, Where, check_fits

if TYPE_CHECKING:
    from paralab.process.client import CoreClient

Options = TypeVar("Options", TaskOptions, ActorOptions)


def capture(core: CoreClient, where: Where | None) -> None:
    """From now on what is started here goes into the group of ``where``, if that captures."""
    stand_ins = vars(core)
    for name in ("submit", "create_actor"):
        stand_ins.pop(name, None)
        if where is not None and where.captures:
            captured = Captured(core, where)
            stand_ins[name] = partial(_start, getattr(core, name), captured)


def _start(method: Any, captured: Captured, spec: Any, options: Any, args: Any, kwargs: Any) -> Any:
    return method(spec, captured.options(options, spec.name), args, kwargs)


class Captured:
    """Options as they are inside of one group."""

    def __init__(self, core: CoreClient, where: Where) -> None:
        self._core = core
        self._where = Where(where.group, -1, True)
        self._known: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._bundles: list[dict[str, float]] | None = None

    def options(self, options: Options, name: str) -> Options:
        """The options with this group, unless they name a place themselves.

        Raises:
            ValueError: no bundle of the group is large enough.
        """
        if options.where is not None or not options.inherits:
            return options
        inside: Options | None = self._known.get(options)
        if inside is None:
            if self._bundles is None:
                groups = self._core.info("groups")
                found = [g for g in groups if g["placement_group_id"] == self._where.group]
                self._bundles = found[0]["bundles"] if found else []
            placing = getattr(options, "creation_resources", options.resources)
            check_fits(options.resources, placing, self._bundles, name)
            inside = self._known[options] = replace(options, where=self._where)
            if isinstance(inside, TaskOptions):
                inside.cache = None
        return inside
