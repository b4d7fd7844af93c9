"""Who gets what: GPUs by number, CPUs and custom resources by amount, exactly."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from leak_check import LeakCheck
from paralab.engine import current
from paralab.util import placement_group, remove_placement_group

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def machine(leak_check: LeakCheck, request: pytest.FixtureRequest) -> Iterator[None]:
    """Four CPUs, two GPUs and some more, for all tests of this module."""
    with leak_check.postponed(request.node.nodeid):
        try:
            paralab.init(num_cpus=4, num_gpus=2, resources={"licence": 3, "tape": 0.5})
            yield
        finally:
            paralab.shutdown()


@pytest.fixture(autouse=True)
def _all_is_given_back() -> Iterator[None]:
    total = paralab.cluster_resources()
    yield
    eventually(lambda: paralab.available_resources() == total)


@paralab.remote
def devices(meeting: str = "") -> str | None:
    """What it may see; with a meeting place, only once somebody is there to be told."""
    if meeting:
        meet(meeting)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def meet(path: str) -> None:
    with open(path, "w") as file:
        file.write("here")
    with open(path + ".go") as file:
        file.read()


class Gate:
    """Where tasks wait until the test has seen that they all run at once."""

    def __init__(self, folder: Path, count: int) -> None:
        self.paths = [str(folder / str(number)) for number in range(count)]
        for path in self.paths:
            os.mkfifo(path)
            os.mkfifo(path + ".go")

    def all_came(self) -> None:
        """Returns once every task is here."""
        for path in self.paths:
            with open(path) as file:
                assert file.read() == "here"

    def open(self) -> None:
        for path in self.paths:
            open(path + ".go", "w").close()


@paralab.remote
class Holder:
    def devices(self) -> str | None:
        return os.environ.get("CUDA_VISIBLE_DEVICES")

    def ids(self) -> list[str]:
        return list(paralab.get_runtime_context().get_accelerator_ids()["GPU"])


def test_whole_gpus_are_distinct(tmp_path: Path) -> None:
    gate = Gate(tmp_path, 2)
    refs = [devices.options(num_gpus=1).remote(path) for path in gate.paths]
    gate.all_came()
    assert "GPU" not in paralab.available_resources()
    gate.open()
    assert sorted(paralab.get(refs)) == ["0", "1"]


def test_two_gpus_for_one_task() -> None:
    assert paralab.get(devices.options(num_gpus=2).remote()) == "0,1"


def test_halves_share_one(tmp_path: Path) -> None:
    gate = Gate(tmp_path, 2)
    refs = [devices.options(num_gpus=0.5).remote(path) for path in gate.paths]
    gate.all_came()
    assert paralab.available_resources()["GPU"] == 1
    gate.open()
    first, second = paralab.get(refs)
    assert first == second
    assert first in ("0", "1")


def test_actors_hold_their_gpus() -> None:
    actors = [Holder.options(num_gpus=1).remote() for _ in range(2)]
    seen = paralab.get([actor.devices.remote() for actor in actors])
    assert sorted(seen) == ["0", "1"]
    assert paralab.get([actor.ids.remote() for actor in actors]) == [[one] for one in seen]
    assert "GPU" not in paralab.available_resources()
    waits = devices.options(num_gpus=1).remote()
    assert paralab.wait([waits], timeout=0.05) == ([], [waits])
    paralab.kill(actors[0])
    assert paralab.get(waits) == seen[0]


def test_a_worker_that_had_a_gpu_does_not_keep_it() -> None:
    for _ in range(5):
        paralab.get([devices.options(num_gpus=1).remote() for _ in range(2)])
        assert set(paralab.get([devices.remote() for _ in range(8)])) <= {None, ""}
        assert paralab.get(Holder.remote().devices.remote()) in (None, "")


def test_tenths_of_a_cpu(tmp_path: Path) -> None:
    gate = Gate(tmp_path, 10)
    refs = [devices.options(num_cpus=0.1).remote(path) for path in gate.paths]
    gate.all_came()
    assert paralab.available_resources()["CPU"] == 3
    gate.open()
    paralab.get(refs)


def test_the_finest_amount() -> None:
    eventually(lambda: paralab.available_resources()["CPU"] == 4)
    one = Holder.options(num_cpus=0.0001).remote()
    paralab.get(one.devices.remote())
    assert paralab.available_resources()["CPU"] == 3.9999


def test_custom_resources_limit_how_many_run() -> None:
    @paralab.remote(num_cpus=0, resources={"licence": 1})
    class Licensed:
        def look(self) -> float:
            return float(paralab.available_resources().get("licence", 0))

    held = [Licensed.remote() for _ in range(3)]
    paralab.get([one.look.remote() for one in held])  # until all three have their process
    assert paralab.get([one.look.remote() for one in held]) == [0, 0, 0]
    fourth = Licensed.remote()
    look = fourth.look.remote()
    assert paralab.wait([look], timeout=0.05) == ([], [look])
    paralab.kill(held.pop())
    assert paralab.get(look) == 0


def test_what_is_asked_in_one_go_is_given_in_one_go() -> None:
    @paralab.remote(num_cpus=1, num_gpus=1, resources={"tape": 0.5})
    def use() -> int:
        return 1

    assert sum(paralab.get([use.remote() for _ in range(20)])) == 20


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"num_cpus": 5}, "'CPU': 5.0"),
        ({"num_gpus": 3}, "'GPU': 3.0"),
        ({"resources": {"unicorn": 1}}, "'unicorn': 1.0"),
        ({"resources": {"tape": 0.6}}, "'tape': 0.6"),
    ],
)
def test_what_can_never_be_had_is_said_at_once(
    options: dict[str, Any], asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = devices.options(name="greedy", **options).remote()
    text = ""
    for _ in range(1_000):
        text += capsys.readouterr().err
        if "greedy asks for" in text:
            break
        current().info("workers")
    assert asked in text
    assert "can never give" in text
    assert paralab.wait([waits], timeout=0.05) == ([], [waits])
    assert paralab.get(devices.remote(), timeout=60) in (None, "")
    more = [devices.options(name="greedy", **options).remote() for _ in range(3)]
    paralab.wait(more, timeout=0.05)
    assert capsys.readouterr().err == "", "it is said once"


def test_an_actor_that_can_never_be_placed(capsys: pytest.CaptureFixture[str]) -> None:
    actor = Holder.options(num_gpus=8).remote()
    call = actor.devices.remote()
    eventually(lambda: "Holder asks for" in capsys.readouterr().err)
    assert paralab.wait([call], timeout=0.05) == ([], [call])
    paralab.kill(actor)
    with pytest.raises(paralab.exceptions.ActorDiedError):
        paralab.get(call)


def test_a_group_that_can_never_fit(capsys: pytest.CaptureFixture[str]) -> None:
    group = placement_group([{"CPU": 1}, {"CPU": 50}], strategy="STRICT_PACK")
    text = ""

    def is_said() -> bool:
        nonlocal text
        text += capsys.readouterr().err
        return "can never give" in text

    eventually(is_said)
    assert group.id.hex() in text
    assert "'CPU': 5" in text
    assert not group.wait(0.05)
    remove_placement_group(group)
    assert paralab.get(devices.remote(), timeout=60) in (None, "")


def test_nothing_is_lost_in_a_mixture() -> None:
    wrong: list[Any] = []

    def caller(number: int) -> None:
        try:
            for turn in range(10):
                kind = devices.options(num_cpus=[0.5, 1, 2][turn % 3], num_gpus=number % 2 / 2)
                paralab.get([kind.remote() for _ in range(5)], timeout=90)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=caller, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)


def test_what_has_no_gpu_keeps_the_variable_as_it_is() -> None:
    held = Holder.options(num_gpus=2).remote()
    assert paralab.get(held.devices.remote()) == "0,1"
    del held
    assert paralab.get(devices.options(num_gpus=1).remote()) is not None
    seen = paralab.get([devices.remote() for _ in range(4)])
    assert seen == [os.environ.get("CUDA_VISIBLE_DEVICES")] * 4


def test_the_devices_that_the_driver_was_given_keep_their_names() -> None:
    code = """
        import os
        os.environ["CUDA_VISIBLE_DEVICES"] = "5,7"
        import paralab
        paralab.init(num_cpus=1, num_gpus=2)

        @paralab.remote
        def f():
            return os.environ["CUDA_VISIBLE_DEVICES"], paralab.get_gpu_ids()

        print(paralab.get([f.options(num_gpus=2).remote(), f.remote()]))
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[('5,7', [5, 7]), ('5,7', [])]\n"


def test_what_was_asked_for_first_is_met_first() -> None:
    @paralab.remote(num_cpus=4)
    def begun() -> int:
        return time.monotonic_ns()

    amounts = [n / 10 for n in (7, 3, 9, 1, 5, 2, 8, 4, 6, 12, 11, 10)]
    refs = [begun.options(resources={"licence": amount}).remote() for amount in amounts]
    times = paralab.get(refs)
    assert times == sorted(times)
