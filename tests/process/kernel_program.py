"""Runs cells in a real Jupyter kernel: a program of its own, as clients keep sockets and threads.

Reads a list of steps as JSON from standard input and writes what each gave to standard output.
A step is one of::

    {"code": source}                             runs a cell: its messages, in order
    {"code": source, "interrupt_at": text}       and interrupts the kernel once text was printed
    {"end": "shutdown" | "restart" | "kill", "pids": name}
                                                 ends the kernel; how long the processes whose
                                                 pids the variable ``name`` holds lived on

A message is ``[type, text, late]``; ``late`` says that it belongs to an earlier cell.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from typing import Any

from jupyter_client.manager import KernelManager  # type: ignore[import-not-found, unused-ignore]

TIMEOUT = 120.0


class Kernel:
    """One kernel and its client."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT)

    def run(self, code: str, interrupt_at: str = "") -> list[list[Any]]:
        """Runs one cell and returns its messages."""
        messages: list[list[Any]] = []
        number = self.client.execute(code)
        deadline = time.monotonic() + TIMEOUT
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            kind, content = message["msg_type"], message["content"]
            late = message["parent_header"].get("msg_id") != number
            if kind == "status" and content["execution_state"] == "idle" and not late:
                break
            if kind == "stream":
                messages.append([content["name"], content["text"], late])
                if interrupt_at and interrupt_at in content["text"]:
                    self.manager.interrupt_kernel()
            elif kind == "error":
                messages.append([kind, "\n".join(content["traceback"]), late])
            elif kind in ("execute_result", "display_data"):
                messages.append([kind, content["data"]["text/plain"], late])
        self.client.get_shell_msg(timeout=TIMEOUT)
        return messages

    def end(self, how: str, name: str) -> float:
        """Ends the kernel; seconds until the last of the processes was gone."""
        pids = json.loads(self.run(f"print({name})")[0][1])
        descriptors = [os.pidfd_open(pid) for pid in pids]
        if how == "kill":
            provisioner: Any = self.manager.provisioner
            os.kill(provisioner.pid, signal.SIGKILL)
            started = time.monotonic()
        elif how == "restart":
            self.manager.restart_kernel(now=False)
            started = time.monotonic()
        else:
            self.manager.shutdown_kernel(now=False)
            started = time.monotonic()
        for descriptor in descriptors:
            if not select.select([descriptor], [], [], TIMEOUT)[0]:
                raise TimeoutError(f"of {pids} some live on")
            os.close(descriptor)
        ended = time.monotonic()
        if how == "restart":  # how long the new kernel takes is another matter
            self.client.wait_for_ready(timeout=TIMEOUT)
        return ended - started

    def close(self) -> None:
        """Ends what is left."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def main() -> None:
    steps = json.load(sys.stdin)
    kernel = Kernel()
    answers: list[Any] = []
    try:
        for step in steps:
            if "end" in step:
                answers.append(kernel.end(step["end"], step["pids"]))
            else:
                answers.append(kernel.run(step["code"], step.get("interrupt_at", "")))
    finally:
        kernel.close()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
