"""E9: an owner dies, and everybody who waits for what it owned hears of it soon."""

# mypy: allow-untyped-decorators

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paralab
from paralab.exceptions import ObjectLostError, OwnerDiedError
from patience import patient

pytestmark = [pytest.mark.usefixtures("shutdown_after"), pytest.mark.slow]

SOON = 20.0
"""Seconds on an idle machine; it takes some hundredths, and for ever when nobody tells."""
LARGE = 200_000


@paralab.remote(num_cpus=0)
def never(fifo: str) -> None:
    """Waits until somebody writes, which nobody does."""
    open(fifo).close()


@paralab.remote(num_cpus=0)
class Owner:
    """Owns what is put, and the results of the tasks that it starts."""

    def refs(self, fifo: str) -> list[Any]:
        return [paralab.put(1), paralab.put(np.zeros(LARGE)), never.remote(fifo)]

    def pid(self) -> int:
        return os.getpid()


@paralab.remote(num_cpus=0, num_returns="streaming", max_retries=0)
def own(fifo: str) -> Iterator[Any]:
    """A task that owns the same, and does not end."""
    yield os.getpid()
    yield [paralab.put(1), paralab.put(np.zeros(LARGE)), never.remote(fifo)]
    open(fifo).close()


@paralab.remote(num_cpus=0, max_retries=0)
def wait_for(refs: list[Any], ready: str) -> tuple[str, float]:
    """Says which error came, and when."""
    open(ready, "w").close()
    try:
        paralab.get(refs[0])
    except ObjectLostError as error:
        return type(error).__name__, time.monotonic()
    return "", 0.0


@paralab.remote(num_cpus=0)
def take(value: Any) -> Any:
    return value


@pytest.mark.parametrize("kind", ["actor", "worker"])
def test_all_who_wait_hear_of_it(kind: str, tmp_path: Path, scorecard: Any) -> None:
    paralab.init(num_cpus=2)
    fifo = str(tmp_path / "never")
    os.mkfifo(fifo)
    if kind == "actor":
        owner = Owner.remote()
        pid, refs = paralab.get(owner.pid.remote()), paralab.get(owner.refs.remote(fifo))
    else:
        running = own.remote(fifo)
        pid, refs = paralab.get(next(running)), paralab.get(next(running))
    small, large, pending = refs
    many = 20 if scorecard.full else 3
    waiting = []
    for at in range(many):
        ready = str(tmp_path / f"ready{at}")
        os.mkfifo(ready)
        waiting.append(wait_for.remote([pending], ready))
        open(ready).close()
    dependent = take.remote(pending)
    heard: list[tuple[str, float]] = []

    def wait_here() -> None:
        with pytest.raises(OwnerDiedError) as caught:
            paralab.get(pending)
        heard.append((type(caught.value).__name__, time.monotonic()))

    here = threading.Thread(target=wait_here)
    here.start()
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    heard += paralab.get(waiting)
    with pytest.raises(OwnerDiedError):
        paralab.get(dependent)
    # What nobody has looked at is gone too, and asking does not wait.
    for ref in (small, large):
        with pytest.raises(OwnerDiedError, match="owner has exited"):
            paralab.get(ref, timeout=patient(SOON))
    last = time.monotonic()
    here.join()
    assert [name for name, _when in heard] == ["OwnerDiedError"] * (many + 1)
    slowest = max(when for _name, when in heard) - killed
    assert slowest < patient(SOON)
    assert last - killed < patient(2 * SOON)
    what = f"SIGKILL of an owner ({kind}): until the last of {many + 2} who wait has its error"
    scorecard.figure("E9", what, round(slowest, 3), "s", short="all who wait know after {}")
    assert paralab.get(take.remote(5)) == 5
