"""Refs as futures on several processes: whose they are, and what ends them."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pytest
from process_helpers import LARGE, eventually, stored
from program import program

import paralab
from paralab.engine import current


@paralab.remote
def add(a: int, b: int = 1) -> int:
    return a + b


@paralab.remote
def large() -> bytes:
    return bytes(LARGE)


@paralab.remote
def hold(path: str) -> str:
    with open(path) as fifo:
        return fifo.read()


@pytest.fixture
def fifo(tmp_path: Any) -> str:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


@pytest.mark.usefixtures("runtime")
def test_many_at_once() -> None:
    async def main() -> int:
        return sum(await asyncio.gather(*(add.remote(n, 0) for n in range(2_000))))

    assert asyncio.run(main()) == sum(range(2_000))


@pytest.mark.usefixtures("runtime")
def test_a_borrowed_ref() -> None:
    @paralab.remote
    def give() -> list[Any]:
        return [add.options(num_cpus=0).remote(1), paralab.put("mine")]

    async def main() -> list[Any]:
        return await asyncio.gather(*await give.remote())

    assert asyncio.run(main()) == [2, "mine"]


@pytest.mark.usefixtures("runtime")
def test_a_future_holds_its_object_and_lets_it_go() -> None:
    async def main() -> int:
        future = large.remote().as_future()
        return len(await future)

    assert asyncio.run(main()) == LARGE
    future = large.remote().future()
    assert len(future.result(timeout=60)) == LARGE
    del future
    eventually(lambda: stored() == 0)


@pytest.mark.usefixtures("runtime")
def test_a_callback_may_use_the_library() -> None:
    came = threading.Event()
    values: list[int] = []

    def callback(value: int) -> None:
        values.append(paralab.get(add.remote(value)))  # in Ray this would wait for ever
        came.set()

    add.remote(1)._on_completed(callback)
    assert came.wait(60)
    assert values == [3]


@pytest.mark.usefixtures("runtime")
def test_refs_from_ids() -> None:
    ref = add.remote(1)
    again = paralab.ObjectRef.from_hex(ref.hex())
    assert again == ref == paralab.ObjectRef.from_binary(ref.binary())
    assert paralab.get(again) == 2
    with pytest.raises(ValueError, match="28"):
        paralab.ObjectRef.from_binary(b"short")
    with pytest.raises(paralab.exceptions.ObjectLostError):
        paralab.get(paralab.ObjectRef.from_random(), timeout=60)


@pytest.mark.usefixtures("runtime")
def test_a_loop_that_has_ended_meanwhile(fifo: str) -> None:
    refs: list[Any] = []

    async def main() -> None:
        refs.append(hold.remote(fifo))
        refs[0].as_future()

    asyncio.run(main())
    with open(fifo, "w") as file:
        file.write("late")
    assert paralab.get(refs[0]) == "late"
    assert paralab.get(add.remote(1)) == 2


@pytest.mark.usefixtures("runtime")
def test_a_lost_owner(fifo: str) -> None:
    @paralab.remote(num_cpus=0)
    class Maker:
        def make(self) -> list[Any]:
            return [hold.options(num_cpus=0).remote(fifo)]

        def pid(self) -> int:
            return os.getpid()

    maker = Maker.remote()
    (ref,) = paralab.get(maker.make.remote())

    async def main() -> None:
        future = asyncio.ensure_future(ref)
        await asyncio.sleep(0)
        os.kill(await maker.pid.remote(), signal.SIGKILL)
        with pytest.raises(paralab.exceptions.OwnerDiedError):
            await future

    asyncio.run(main())


def test_shutdown_while_futures_wait(runtime: Any, fifo: str) -> None:
    ref = hold.remote(fifo)
    future = ref.future()
    ended: list[BaseException] = []

    def wait() -> None:
        async def main() -> None:
            task = asyncio.ensure_future(ref)
            await asyncio.sleep(0)
            waits.set()
            await task

        try:
            asyncio.run(main())
        except RuntimeError as error:
            ended.append(error)

    waits = threading.Event()
    thread = threading.Thread(target=wait)
    thread.start()
    waits.wait()
    paralab.shutdown()
    thread.join()
    assert "shut down" in str(ended[0])
    with pytest.raises(RuntimeError, match="shut down"):
        future.result(timeout=60)
    with pytest.raises(RuntimeError, match="not running"):
        ref.future()
    paralab.init(num_cpus=1)
    with pytest.raises(ValueError, match="shut down"):
        ref.future()
    assert paralab.put(1).future().result(timeout=60) == 1


def test_the_node_dies_while_futures_wait(runtime: Any, fifo: str) -> None:
    future = hold.remote(fifo).future()
    node = current()._node_process.pid  # type: ignore[attr-defined]
    os.kill(node, signal.SIGKILL)
    with pytest.raises(paralab.exceptions.LocalNodeDied):
        future.result(timeout=60)


def test_the_program_ends_while_futures_wait(fifo: str) -> None:
    with program(
        f"""
        paralab.init(num_cpus=1)

        @paralab.remote
        def hold():
            return open({fifo!r}).read()

        future = hold.remote().future()
        print(paralab.put(1).future().result())
        """
    ) as driver:
        assert driver.end(seconds=60) == (0, "1\n", "")
