"""Whole sessions in one process, seeded; see ``world.py``.  A failing seed says how to see it.

The runs are made by ``python tests/sim`` in processes of their own, because the runtime's modules
get stand-ins for the system there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)
SIM = Path(__file__).parent


def simulate(*arguments: str, timeout: float = 280) -> tuple[int, str]:
    """Runs the simulation; returns its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, str(SIM), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_nothing_is_lost_doubled_or_left_whoever_dies() -> None:
    code, said = simulate("--seeds", "0:60", "--seconds", "15")
    assert code == 0, said


def test_a_seed_is_the_same_run_each_time() -> None:
    first, second = (simulate("--seed", "7")[1].split("\n") for _ in range(2))
    assert first[:-2] == second[:-2]
    assert len(first) > 20
