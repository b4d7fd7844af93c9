"""E11: sessions are started, work, and are killed, many times over; nothing adds up.

In turns the driver alone is killed, and every process of the session at once, as by a power cut:
then the folder stays, and the next start removes it.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from program import Program

from leak_check import descendants, names_in, reap, wait_ended

SOURCE = """
paralab.init(num_cpus=2)

@paralab.remote
def size(data):
    return len(data)

@paralab.remote
class Keeper:
    def keep(self, data):
        self.data = data
        return len(data)

keeper = Keeper.remote()
large = paralab.put(bytes(300_000))
assert paralab.get([size.remote(large), keeper.keep.remote(large)]) == [300_000, 300_000]
refs = [size.remote(large) for _ in range(200)]
print("ready", flush=True)
paralab.get(refs)
sys.stdin.readline()
"""


def residue(folder: Path) -> tuple[set[str], set[str]]:
    return names_in(folder), {name for name in os.listdir("/dev/shm") if "paralab" in name}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_adds_up(scorecard: Any) -> None:
    folder = Path(os.environ["TMPDIR"])
    before, (names, shared) = descendants(os.getpid()), residue(folder)
    cycles = 100 if scorecard.full else 8
    most = 0
    for cycle in range(cycles):
        driver = Program(SOURCE)
        try:
            assert driver.line() == "ready"
            mine = descendants(os.getpid()) - before
            for pid in mine if cycle % 2 else {driver.pid}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in mine:
                assert wait_ended(pid, 60)
        finally:
            driver.process.kill()
            driver.process.communicate()
        reap()
        most = max(most, len(names_in(folder) - names))
    last = Program(SOURCE)
    assert last.line() == "ready"
    assert last.end(line="\n") == (0, "", "")
    now, shared_now = residue(folder)
    left = len(now - names) + len(shared_now - shared) + len(descendants(os.getpid()) - before)
    assert left == 0, (now - names, shared_now - shared)
    assert most <= 3, "a folder with its token and socket is all that may stay, till the next start"
    scorecard.figure(
        "E11",
        f"{cycles} cycles of start, work, SIGKILL: processes, names in /dev/shm and files left",
        left,
        "",
        "Ray: its session folders stay",
        short=f"{{}} left of {cycles} sessions",
    )
