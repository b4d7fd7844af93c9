"""The node's drivers: the one that has started it, those that joined, and their jobs."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from paralab import platform
from paralab.ids import Address, job_of
from paralab.messages import PRINTED, SURROUND
from paralab.process import node_log
from paralab.process.door import Door
from paralab.process.node_workers import Process
from paralab.process.session_folder import LOG, SCHEME
from paralab.shown_text import shown_name, shown_text
from paralab.state.jobs import Job, JobTable

if TYPE_CHECKING:
    from paralab.process.node import Node

FAREWELL_SECONDS = 1.0
"""How long a driver may take to read the last lines."""


class NodeDrivers:
    """The driver part of the node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.jobs = JobTable()
        self.master: Process | None = None
        """The driver that has started this node, and with which it ends; a node that stands
        alone has none."""
        self.door = Door(node, stands_alone=node.config["job"] is None)
        self.info = {
            **node.config["info"],
            "node_id": node.node_id.hex(),
            "address": SCHEME + self.door.path,
            "gcs_address": SCHEME + self.door.path,
            "session_dir": self.door.path,
        }

    def begin(self, sock: socket.socket) -> None:
        """Takes the master in, or says where a node that stands alone can be found."""
        config = self._node.config["job"]
        if config is None:
            node_log.log_to(os.path.join(self.door.path, LOG))
            if self._node.config["ends_with"]:
                self._end_with(self._node.config["ends_with"])
            sock.sendall(self.door.path.encode())
            sock.close()
            return
        parent = os.getppid()
        self.master = self.add(sock, parent, config)
        self._node.running = self.master is not None and os.getppid() == parent

    def _end_with(self, pid: int) -> None:
        def end(_event: int) -> None:
            self._node.running = False

        self._node.watch(platform.open_process(pid), end)

    def add(self, sock: socket.socket, pid: int, config: dict[str, Any]) -> Process | None:
        """A driver comes, and with it a job; None if it has gone already."""
        node = self._node
        try:
            pidfd = platform.open_process(pid)
        except ProcessLookupError:
            sock.close()
            return None
        driver = node.add_process(sock, self.jobs.begin(config, pid, time.time_ns()))
        driver.pid = pid
        driver.pidfd = pidfd
        node.watch(pidfd, lambda _event: self.left(driver))
        if config["environment"] is not None:
            self._prestart(driver.address, config["environment"][0])
        return driver

    def _prestart(self, driver: Address, environment: str) -> None:
        for instruction in self._node.leases.prestart(job_of(driver), environment):
            self._node.carry_out(instruction)

    def environment(self, process: Process, key: str, description: dict[str, Any]) -> None:
        """A driver says which environment its job has."""
        job = self.jobs.of(process.address)
        job.config = {**job.config, "environment": (key, description)}
        if description.get("config", {}).get("eager_install", True):
            self._prestart(process.address, key)

    def moved(self, driver: Process, path: list[str], folder: str, moves: int) -> None:
        """A driver has another import path or folder, and so have its workers; actors stay."""
        job = self.jobs.of(driver.address)
        job.config = {**job.config, "sys_path": path, "cwd": folder, "moves": moves}
        others = self._node.clients.keys() - self._node.directory.by_worker - {driver.address}
        for address in others:  # those that are starting among them
            if job_of(address) == job_of(driver.address):
                self._node.post(address, (SURROUND, path, folder, moves))

    def left(self, driver: Process) -> None:
        """A driver has gone, or says that it goes: all that it has started ends."""
        node = self._node
        if driver is self.master:
            node.running = False
        elif driver.address in node.clients:
            node.unwatch(driver.pidfd)
            os.close(driver.pidfd)
            driver.pidfd = -1
            driver.connection.flush()
            node.process_died(driver, f"The driver, process {driver.pid}, has ended.")
            self.jobs.driver_left(driver.address, time.time_ns())
            for instruction in node.leases.job_ended(job_of(driver.address)):
                node.carry_out(instruction)

    def is_driver(self, process: Process) -> bool:
        """Whether it is one, and no worker."""
        return self.of(process.address) == process.address

    def of(self, address: Address) -> Address | None:
        """The driver for whose job a process works, if it is still there."""
        return self.jobs.of(address).driver

    def welcome(self, job: Job) -> dict[str, Any]:
        """What a process has to know of its job."""
        faults = self._node.config["faults"]
        return {"driver": job.driver, **job.config, "info": self.info, "faults": faults}

    def show(self, process: Process, name: str, pid: int, stream: str, text: str, *of: Any) -> None:
        """Tells the driver of a process's job what that has printed; or the log, without one."""
        driver = self.of(process.address)
        if driver is not None:
            self._node.post(driver, (PRINTED, name, pid, stream, text, *of))
        else:
            label = f"({shown_name(name)} pid={pid})"
            lines = shown_text(text.removesuffix("\n")).split("\n")
            node_log.write("".join(f"{label} {line}\n" for line in lines))

    def tell(self, text: str) -> None:
        """Tells every driver, or the log, what concerns all: a line."""
        text = f"{shown_text(text)}\n"
        drivers = [each for each in self._node.clients.values() if self.is_driver(each)]
        for driver in drivers:
            self._node.post(driver.address, (PRINTED, "", 0, "stderr", text))
        if not drivers:
            node_log.write(text)

    def status(self) -> dict[str, Any]:
        """What there is to know from outside: resources, who waits, whose jobs there are."""
        leases = self._node.leases
        shown = leases.resources.shown
        return {
            "node_id": self._node.node_id.hex(),
            "pid": os.getpid(),
            "total": shown(leases.places.total()),
            "available": shown(leases.places.available()),
            "nodes": len(leases.places.alive),
            "workers": len(leases.workers),
            "waiting": [
                {"name": r.name, "count": r.count, "resources": shown(r.resources)}
                for r in leases.requests
            ],
            "jobs": [
                {"job_id": job.number, "pid": job.pid, "namespace": job.config["namespace"]}
                for job in self.jobs.jobs.values()
                if job.driver is not None
            ],
            "store": self._node.store.stats() | {"by_owner": None},
        }

    def rows(self) -> list[tuple[Any, ...]]:
        """Every job that there was: id, pid, begin and end in ns (0: not yet), command line."""
        return [
            (id_, job.pid, job.started, job.ended, list(job.config["argv"]))
            for id_, job in self.jobs.jobs.items()
        ]

    def close(self) -> None:
        """Says goodbye to every driver, and locks the door."""
        for process in self._node.clients.values():
            if self.is_driver(process):
                process.connection.flush_all(FAREWELL_SECONDS)
        self.door.close()
