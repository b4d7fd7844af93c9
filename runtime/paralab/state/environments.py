"""Which environments of workers a node knows, and how far each has come.

An environment is named by the hash of its description; "" is that of the node itself, and always
there.  What has to be built is built once, however many requests wait for it::

    new ──first request──▶ being built ──▶ ready ──workers of it do not start──▶ new
     ▲                         │
     └── failed: all requests that wait for it fail with the reason ──┘

A failure is not kept: who asks later has it tried anew, for the package may be there by then.
Entries never leave: a session has few environments, and each is some text.
"""

from __future__ import annotations

from dataclasses import dataclass

from paralab.state.lease_instructions import BuildEnvironment

FAILED_STARTS = 3
"""After so many workers of an environment that ended before they took work, it counts as bad."""


@dataclass(slots=True)
class _Environment:
    must_build: bool
    is_ready: bool
    is_being_built: bool = False
    failed_starts: int = 0
    """In a row; back to 0 with each worker that reports."""


class Environments:
    """The environments of one node, the default one left out."""

    def __init__(self) -> None:
        self._known: dict[str, _Environment] = {}

    def add(self, key: str, must_build: bool) -> None:
        """An environment that requests may name from now on; it may be told several times."""
        self._known.setdefault(key, _Environment(must_build, not must_build))

    def is_ready(self, key: str) -> bool:
        """Whether workers of it can be started."""
        return not key or self._known[key].is_ready

    def prepare(self, key: str) -> list[BuildEnvironment]:
        """A request waits for it: it is to be built, unless that is under way."""
        environment = self._known[key]
        if environment.is_being_built:
            return []
        environment.is_being_built = True
        return [BuildEnvironment(key)]

    def built(self, key: str) -> None:
        """It is there."""
        environment = self._known[key]
        environment.is_being_built = False
        environment.is_ready = True

    def failed(self, key: str) -> None:
        """It could not be built, or its workers cannot start; the next request tries again."""
        environment = self._known[key]
        environment.failed_starts = 0
        environment.is_being_built = False
        environment.is_ready = not environment.must_build

    def started(self, key: str) -> None:
        """A worker of it has reported."""
        if key:
            self._known[key].failed_starts = 0

    def start_failed(self, key: str) -> bool:
        """A worker of it ended before it reported; True if that happens too often."""
        if not key:
            return False
        self._known[key].failed_starts += 1
        return self._known[key].failed_starts >= FAILED_STARTS
