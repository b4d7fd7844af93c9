"""``%paralab`` and ``%cluster``: what runs, starting it and ending it, from a notebook."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

import paralab
from paralab.engine import installed
from paralab_profiling.details import byte_count
from paralab_profiling.magics import arguments
from paralab_profiling.magics.interrupts import Interrupts

_INIT = ("num_cpus", "num_gpus", "resources", "object_store_memory", "namespace", "address")


@dataclass(frozen=True)
class Status:
    """What runs.

    Attributes:
        running: whether there is a session; if not, all else is empty.
        resources: how much there is of each.
        free: how much of each is free.
        workers: how many processes can run tasks.
        actors: how many actors live.
        store_bytes, store_capacity: of the object store.
        cancels: whether interrupting a cell cancels its tasks.
    """

    running: bool
    resources: dict[str, float]
    free: dict[str, float]
    workers: int
    actors: int
    store_bytes: int
    store_capacity: int
    cancels: bool

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)

    def __repr__(self) -> str:
        interrupt = "cancels its tasks" if self.cancels else "leaves its tasks alone"
        last = f"interrupting a cell {interrupt}"
        if not self.running:
            return (
                f"paralab does not run; %paralab init starts it, and so does the first task\n{last}"
            )
        amounts = [
            f"{self.free.get(name, 0):g} of {amount:g} {name}"
            for name, amount in sorted(self.resources.items())
            if "memory" not in name and ":" not in name
        ]
        store = f"{byte_count(self.store_bytes)} of {byte_count(self.store_capacity)}"
        return (
            f"paralab runs: {', '.join(amounts)} free\n"
            f"{self.workers} worker processes, {self.actors} actors\n"
            f"{store} in the object store\n{last}"
        )


@magics_class
class ControlMagics(Magics):
    """``%paralab`` and ``%cluster``."""

    def __init__(self, shell: Any, interrupts: Interrupts) -> None:
        super().__init__(shell)
        self._interrupts = interrupts

    @magic_arguments()
    @argument(
        "what", nargs="?", default="status", choices=["status", "init", "shutdown", "interrupt"],
        help="status: what runs; init: start it; shutdown: end it; interrupt on|off: whether "
        "interrupting a cell cancels its tasks",
    )  # fmt: skip
    @argument("switch", nargs="?", choices=["on", "off"], help="of interrupt")
    @argument("--num-cpus", type=float, metavar="N", help="init: CPUs that tasks may use at once")
    @argument("--num-gpus", type=float, metavar="N", help="init: GPUs")
    @argument("--resources", type=arguments.amounts, metavar="NAME=N,...", help="init: custom ones")
    @argument("--object-store-memory", type=arguments.size, metavar="SIZE", help="init: as 500MB")
    @argument("--namespace", type=arguments.text, metavar="NAME", help="init: of named actors")
    @argument(
        "--address",
        type=arguments.text,
        metavar="ADDRESS",
        help="init: of a node that runs, or auto",
    )
    @argument("--local-mode", action="store_true", help="init: run all tasks in this process")
    @argument("--quiet", action="store_true", help="init: do not show what tasks print")
    @argument("-o", dest="output", type=arguments.name, metavar="NAME", help="bind the result")
    @line_magic
    def paralab(self, line: str) -> Any:
        """Shows what runs, starts it, or ends it."""
        __tracebackhide__ = True
        options = arguments.parse(self.paralab, line)
        given = {each: value for each in _INIT if (value := getattr(options, each)) is not None}
        if options.local_mode:
            given["local_mode"] = True
        if options.quiet:
            given["log_to_driver"] = False
        if given and options.what != "init":
            raise ValueError(f"%paralab {options.what} takes no {', '.join(given)}; init does.")
        if options.switch and options.what != "interrupt":
            raise ValueError(f"%paralab {options.what} takes no {options.switch}; interrupt does.")
        result = self._do(options, given)
        if options.output:
            self.shell.user_ns[options.output] = result
        return None if line.rstrip().endswith(";") else result

    @magic_arguments()
    @argument("-o", dest="output", type=arguments.name, metavar="NAME", help="bind the view")
    @line_magic
    def cluster(self, line: str) -> Any:
        """Shows workers, actors, resources and the object store.

        In a notebook the view is kept up to date until the session ends, and has buttons to profile
        each process and to end each actor; in a terminal it is how things are now.
        """
        __tracebackhide__ = True
        options = arguments.parse(self.cluster, line)
        from paralab_profiling import cluster

        view = cluster()
        if options.output:
            self.shell.user_ns[options.output] = view
        return None if line.rstrip().endswith(";") else view

    def _do(self, options: argparse.Namespace, given: dict[str, Any]) -> Any:
        if options.what == "init":
            return paralab.init(**given)
        if options.what == "shutdown":
            paralab.shutdown()
            return None
        if options.what == "interrupt" and options.switch:
            self._interrupts.is_on = options.switch == "on"
            return None
        return self._status()

    def _status(self) -> Status:
        engine, cancels = installed(), self._interrupts.is_active
        if engine is None:
            return Status(False, {}, {}, 0, 0, 0, 0, cancels)
        store = engine.info("store")
        actors = [each for each in engine.info("actors") if each.get("state") != "DEAD"]
        return Status(
            running=True,
            resources=paralab.cluster_resources(),
            free=paralab.available_resources(),
            workers=len(engine.info("workers")),
            actors=len(actors),
            store_bytes=int(store.get("used", 0)),
            store_capacity=int(store.get("capacity", 0)),
            cancels=cancels,
        )
