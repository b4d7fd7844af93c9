"""The driver's engine: a client that has started the node and ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from paralab.exceptions import LocalNodeDied
from paralab.messages import ENVIRONMENT, STOP, SURROUND
from paralab.platform import how_it_ended
from paralab.process import session_folder
from paralab.process.client import CoreClient
from paralab.process.links import Link
from paralab.process.prints import PrintedLines, notebook_shell
from paralab.state.obituaries import ended

NOTICE_SECONDS = 0.2
"""How long a node's folder is waited for that another driver, or its end, may still hold."""
END_SECONDS = 5.0
"""How long a node may take to end before it is killed."""


class DriverCore(CoreClient):
    """The engine of a driver, which also ends the node if it has started it."""

    def __init__(
        self, sock: socket.socket, node: subprocess.Popen[bytes] | None, log: bool
    ) -> None:
        self._node_process = node
        self._stopping = False
        self._printed = PrintedLines(log, fold=_folds_repeats())
        self._stands = stands()
        self._moves = 0
        super().__init__(sock, "paralab-io", self._printed)
        self._shell = notebook_shell()
        if self._shell is not None:  # what is repeated in the next cell is no repeat there
            self._shell.events.register("post_execute", self._printed.finish)
            self._shell.events.register("pre_execute", self.look_around)

    def shutdown(self, linger: float = 0.0) -> None:
        """Ends the session: node, workers, sockets.  May be called twice.

        The node ends its workers, passes on what they had printed, and closes its socket.
        """
        node = self._node_process
        if linger and self._shell is None:  # no cell is left that could show anything
            self._linger(time.monotonic() + linger)
        if (node is None or node.returncode is None) and self.broken is None:
            self._stopping = True
            self.post_node((STOP,))
        try:
            self.baton.wait(lambda: self.broken, time.monotonic() + END_SECONDS)
        finally:
            self.broken = self.broken or _shut_down()
            self.failures += 1
            super().shutdown()
            self._printed.finish()
            if self._shell is not None:
                self._shell.events.unregister("post_execute", self._printed.finish)
                self._shell.events.unregister("pre_execute", self.look_around)
                self._shell = None
            if node is not None:
                end_node(node)
                self._sweep()

    def _linger(self, deadline: float) -> None:
        """Waits for what is not answered yet; Ctrl-C ends the patience, not the shutdown."""
        pending, submissions = self.calls.table.pending, self.mailbox.submissions
        with suppress(KeyboardInterrupt):
            self.baton.wait(lambda: self.broken or not (pending or submissions), deadline)

    def say_environment(self, runtime_env: Any) -> None:
        """Which environment this job has, which is that of all that it submits by default."""
        folder = self.welcome["info"]["session_dir"]
        named = self.welcome["environment"] = runtime_env.named({}, folder)
        self.request(lambda: self.post_node((ENVIRONMENT, *named, True)))

    def look_around(self, leading: bool = False) -> None:
        """See :class:`CoreClient`.  Looked at are the import path and the folder.

        It is done where it costs nothing: at the first call of a function, before workers are
        asked for, at the start of a notebook's cell.
        """
        here = stands()
        if here != self._stands:
            self._stands = here
            self._moves += 1
            self._say_where() if leading else self.request(self._say_where)

    def _say_where(self) -> None:
        """The node tells all workers and those to come; those on lease hear it from here first."""
        for link in (self.node, *(worker.peer for worker in self.calls.table.leases.values())):
            self.tell_where(link)

    def tell_where(self, link: Link) -> None:
        """See :class:`CoreClient`.  Numbered, for what the node passes on may be overtaken."""
        if self._moves:
            link.post((SURROUND, *self._stands, self._moves))

    def info(self, what: str) -> Any:
        """See :class:`paralab.engine.Engine`."""
        return list(self._printed.recent) if what == "prints" else super().info(what)

    def disown(self) -> None:
        """In a forked child: it must not wait for the parent's node either."""
        super().disown()
        if self._node_process is not None:
            self._node_process.returncode = 0

    def _closed(self, link: Link) -> None:
        if link is self.node:
            if self._stopping:
                self.broken = _shut_down()
            else:
                self.broken = self.broken or LocalNodeDied(self._how_the_node_ended())
                self._sweep()
        super()._closed(link)

    def _how_the_node_ended(self) -> str:
        node = self._node_process
        if node is None:
            return "The node process, which another one has started, has ended."
        with suppress(subprocess.TimeoutExpired):  # its socket closes a little before it ends
            return ended(f"The node process {node.pid}", how_it_ended(node.wait(END_SECONDS)))
        return f"The node process {node.pid} has closed its connection."

    def _sweep(self) -> None:
        """A node that was killed leaves its folder to its drivers; one that lives keeps it."""
        if self.welcome:
            session_folder.remove_left(self.welcome["info"]["session_dir"], NOTICE_SECONDS)


def stands() -> tuple[list[str], str]:
    """This process's import path and folder, which its workers are to have too."""
    try:
        return list(sys.path), os.getcwd()
    except FileNotFoundError:  # it has been removed
        return list(sys.path), "/"


def _folds_repeats() -> bool:
    """Whether the variable of Ray's users lets us count equal lines instead of showing them."""
    return os.environ.get("RAY_DEDUP_LOGS", "1").lower() in ("1", "true")


def _shut_down() -> BaseException:
    if not threading.main_thread().is_alive():
        # The interpreter ends, and a daemon thread waits: that one is to end without a word.
        return SystemExit()
    return RuntimeError("paralab was shut down while this call waited.")


def end_node(node: subprocess.Popen[bytes]) -> None:
    """Waits for the node, which ends when its driver's socket closes; kills it if need be."""
    if node.returncode is not None:
        return
    try:
        node.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        node.send_signal(signal.SIGKILL)
        node.wait()
