"""The jobs of a node: one for each driver that ever came.

A job is all that one driver has started.  It has a number, and every process that works for it
carries that number in its address, so nothing here has to be told who belongs to whom.  A job
whose driver has gone lives on in its detached actors, and in what these have started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paralab.ids import Address, job_id, job_of


@dataclass(slots=True)
class Job:
    """One driver's, and what its workers must know of it."""

    number: int
    pid: int
    config: Mapping[str, Any]
    """``namespace``, ``sys_path``, ``cwd``, ``argv``: of the driver, for its workers."""
    started: int
    driver: Address | None = None
    """Set as soon as it has an address; None again once it has gone."""
    ended: int = 0
    """In ns of the wall clock; 0 while the driver lives."""


class JobTable:
    """All jobs of one node, by id; they stay, as their detached actors may."""

    def __init__(self) -> None:
        self.jobs: dict[bytes, Job] = {}

    def begin(self, config: Mapping[str, Any], pid: int, now: int) -> Job:
        """A driver comes; its address follows, as that carries the job's number."""
        job = Job(len(self.jobs) + 1, pid, config, now)
        self.jobs[job_id(job.number)] = job
        return job

    def of(self, address: Address) -> Job:
        """The job for which a process works."""
        return self.jobs[job_of(address)]

    def driver_left(self, driver: Address, now: int) -> None:
        """The driver at this address has gone."""
        job = self.of(driver)
        if job.driver == driver:
            job.driver = None
            job.ended = now
