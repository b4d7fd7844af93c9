"""A driver that ends with work in flight, in any way: at once, and without a word of ours."""

from __future__ import annotations

import os
import signal

import pytest
from program import all_end, program

from leak_check import descendants

pytestmark = pytest.mark.slow

PATIENCE = 1_000
"""Seconds that the driver would wait for a node that does not end; a test has far less."""
BUSY = f"""
import paralab.process.driver
paralab.process.driver.END_SECONDS = {PATIENCE}
"""
BUSY += """
paralab.init(num_cpus=2)

@paralab.remote
def add(a):
    return a + 1

@paralab.remote
def hold():
    threading.Event().wait()

@paralab.remote
class Actor:
    def hold(self, data):
        threading.Event().wait()

@paralab.remote
class AsyncActor:
    async def hold(self):
        import asyncio
        await asyncio.sleep(1_000)

actors = [Actor.remote(), AsyncActor.remote()]
kept = paralab.put(bytes(300_000))
paralab.get([add.remote(1), add.remote(2)])
refs = [hold.remote(), actors[0].hold.remote(kept), actors[1].hold.remote()]
refs += [add.remote(n) for n in range(3_000)] + [hold.remote() for _ in range(10)]
print("busy", flush=True)
"""
GET = "paralab.get(refs)\n"
COMPUTE = "while True: pass\n"
ENDS: dict[str, tuple[str, int, int, str]] = {
    "the last line": ("", 0, 0, ""),
    "sys.exit": ("sys.exit(3)", 0, 3, ""),
    "an error": ("1 / 0", 0, 1, "ZeroDivisionError: division by zero\n"),
    "shutdown": ("paralab.shutdown()", 0, 0, ""),
    "Ctrl-C in get": (GET, signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt\n"),
    "Ctrl-C in wait": (
        "paralab.wait(refs, num_returns=len(refs))",
        *(signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt\n"),
    ),
    "Ctrl-C in a computation": (COMPUTE, signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt\n"),
    "SIGTERM": (GET, signal.SIGTERM, -signal.SIGTERM, ""),
    "SIGHUP": (COMPUTE, signal.SIGHUP, -signal.SIGHUP, ""),
    "os._exit": ("os._exit(4)", 0, 4, ""),
    "a thread in get": (f"threading.Thread(target={GET[:11]}, args=(refs,), daemon=True).start()",
                        0, 0, ""),
}  # fmt: skip
"""What the program does next, the signal it then gets, its exit code, how its errors end."""


@pytest.mark.parametrize("end", ENDS)
def test_a_driver_with_work_in_flight_ends_at_once(end: str) -> None:
    code, number, exit_code, said = ENDS[end]
    with program(BUSY + code + "\n") as driver:
        assert driver.line() == "busy"
        session = descendants(driver.pid)
        if number:
            os.kill(driver.pid, number)
        code_there, out, err = driver.end()
        assert (code_there, out) == (exit_code, ""), err
        assert err.endswith(said)
        if said:
            assert err.startswith("Traceback")
            assert err.count("Traceback") == 1, err
        else:
            assert err == ""
        all_end(session)
