"""What many calls share: the function as workers are sent it, and the options of its calls.

A template is made at the first call of a function with given options and lives as long as they
do.  A worker is told of it once, before the first call that needs it (DEFINE); when it goes, so
does what the workers keep of it (FORGET), and with that the refs that the function had captured.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paralab.messages import ACTOR as ACTOR_CLASS
from paralab.messages import DEFINE, FORGET, FUNCTION, METHOD
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.serialization import join_blob, pack
from paralab.state.at_most_once import TriedOnce
from paralab.state.tasks import Template
from paralab.task_spec import ActorOptions, ActorSpec, FunctionSpec, TaskOptions, concurrency_of

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class Templates:
    """Makes templates, and tells workers of them."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._mailbox = core.mailbox
        self._count = 0

    def of_function(self, spec: FunctionSpec, options: TaskOptions) -> Template:
        """What calls of this function with these options share; made at the first call."""
        data, refs = self._pickled(spec, spec.function)
        name = options.name or spec.name
        template = self._template(FUNCTION, spec, options, name, (data, spec.max_calls), refs)
        template.environment = self._environment(options)
        options.cache = template
        return template

    def of_method(self, method: str, options: TaskOptions, name: str) -> Template:
        """What calls of this method with these options share."""
        group = options.extra.get("concurrency_group") or ""
        template = self._template(METHOD, None, options, name, (method, group), ())
        template.method = method
        options.cache = template
        return template

    def of_class(self, spec: ActorSpec, options: ActorOptions) -> Template:
        """What the actors of a class share."""
        data, refs = self._pickled(spec, spec.cls)
        calls = TaskOptions(name=spec.name, num_returns=0, max_retries=0, where=options.where)
        calls.recorded = options.recorded
        template = self._template(ACTOR_CLASS, spec, calls, spec.name, data, refs)
        template.method = "__init__"
        template.data = (data, concurrency_of(spec, options))
        template.environment = self._environment(options)
        return template

    def _environment(self, options: TaskOptions | ActorOptions) -> Any:
        """The name of the environment in which calls with these options run."""
        core = self._core
        core.look_around()
        if not options.runtime_env:
            return core.welcome["environment"][0]
        if core.environments is None:  # by name: it stands above this room
            part = importlib.import_module("paralab.runtime_env.on_client")
            core.environments = part.ClientEnvironments(core)
        return core.environments.key(options)

    def _template(
        self, what: int, spec: Any, options: TaskOptions, name: str, data: Any, refs: Any
    ) -> Template:
        self._count += 1
        made = TriedOnce if options.max_retries == 0 else Template
        template = made(self._count, what, spec, options, name, self._mailbox)
        template.recorded = options.recorded and self._core.events.on
        template.data = data
        template.refs = list(refs)
        if spec is not None:
            template.function_id = spec.id
        return template

    def _pickled(self, spec: Any, thing: Any) -> tuple[bytes, Sequence[ObjectRef]]:
        cached = spec.cache
        if cached is None or cached[2] is not self._mailbox:
            data, buffers, refs = pack(thing, f"the definition of {spec.name}", spec.name)
            if buffers:
                data = join_blob(data, buffers)
            cached = spec.cache = (data, refs, self._mailbox)
        return cached[0], cached[1]

    def define(self, template: Template, link: Link) -> None:
        """Tells the process at ``link`` of a template, before the first call that needs it."""
        template.sent_to.add(link.address)
        refs = self._core.objects.hand_over(template.refs, link.address) if template.refs else []
        name, count = template.name, template.num_returns
        options = template.options
        retry = bool(options.retry_exceptions)
        link.post(
            (
                DEFINE,
                template.number,
                template.what,
                name,
                count,
                template.function_id,
                template.data,
                refs,
                retry,
            )
        )

    def forget(self) -> None:
        """Tells workers of templates that are gone here."""
        forgets = self._mailbox.forgets
        while forgets:
            number, addresses = forgets.popleft()
            for address in addresses:
                link = self._core.links.peer(address)
                if link is not None:
                    link.post((FORGET, number))
