"""What an actor may still do when it ends: ``__ray_shutdown__``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def tidy(rt: Any) -> Any:
    """An actor that writes down its end, and what of it is over by then."""

    @rt.remote(num_cpus=0)
    class Tidy:
        def __init__(self, path: str) -> None:
            self.path = path
            self.calls = 0

        def call(self) -> int:
            self.calls += 1
            return self.calls

        def leave(self) -> None:
            rt.actor.exit_actor()

        def system_exit(self, code: int) -> None:
            sys.exit(code)

        def __ray_shutdown__(self) -> None:
            with open(self.path, "a") as file:
                file.write(f"after {self.calls} calls;")

    return Tidy


@pytest.fixture(scope="module")
def coroutines(rt: Any) -> Any:
    @rt.remote(num_cpus=0)
    class Coroutines:
        def __init__(self, path: str) -> None:
            self.path = path
            self.calls = 0

        async def call(self) -> int:
            self.calls += 1
            return self.calls

        async def leave(self) -> None:
            rt.actor.exit_actor()

        def __ray_shutdown__(self) -> None:
            with open(self.path, "a") as file:
                file.write(f"after {self.calls} calls;")

    return Coroutines


def end(rt: Any, actor: Any, way: str) -> None:
    """Ends an actor by its own doing; the last handle's end is its caller's business."""
    if way == "__ray_terminate__":
        actor.__ray_terminate__.remote()
    elif way == "exit_actor":
        actor.leave.remote()
    elif way.startswith("sys.exit"):
        actor.system_exit.remote(int(way[-2]))


def call_until_it_is_dead(rt: Any, actor: Any) -> None:
    while True:  # a call may be ahead of the kill
        rt.get(actor.call.remote(), timeout=60)


def read(rt: Any, path: Path) -> str:
    wait = _helpers(rt).wait_for_condition
    wait(lambda: path.exists() and path.read_text().endswith(";"), timeout=60)
    return path.read_text()


def _helpers(rt: Any) -> Any:
    import importlib

    return importlib.import_module(f"{rt.library.__name__}._common.test_utils")


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", ["last handle", "__ray_terminate__", "exit_actor", "sys.exit(0)", "sys.exit(1)"]
)
def test_an_actor_that_ends_in_order_cleans_up(
    rt: Any, tidy: Any, tmp_path: Path, way: str
) -> None:
    path = tmp_path / "end"
    actor = tidy.remote(str(path))
    results = [actor.call.remote() for _ in range(3)]
    end(rt, actor, way)
    del actor
    assert read(rt, path) == "after 3 calls;"
    assert rt.get(results, timeout=60) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["last handle", "__ray_terminate__", "exit_actor"])
@pytest.mark.parametrize("kind", ["async", "threads"])
def test_so_do_actors_that_do_several_things_at_once(
    rt: Any, tidy: Any, coroutines: Any, tmp_path: Path, kind: str, way: str
) -> None:
    path = tmp_path / "end"
    cls = coroutines if kind == "async" else tidy.options(max_concurrency=2)
    actor = cls.remote(str(path))
    assert rt.get(actor.call.remote(), timeout=60) == 1
    end(rt, actor, way)
    del actor
    assert read(rt, path) == "after 1 calls;"


def test_a_killed_actor_does_not(rt: Any, tidy: Any, tmp_path: Path) -> None:
    killed, ended = tmp_path / "killed", tmp_path / "ended"
    actors = [tidy.remote(str(path)) for path in (killed, ended)]
    rt.get([actor.call.remote() for actor in actors], timeout=60)
    rt.kill(actors[0])
    with pytest.raises(rt.exceptions.RayActorError):
        call_until_it_is_dead(rt, actors[0])
    actors.clear()
    assert read(rt, ended) == "after 1 calls;"
    assert not killed.exists()


def test_an_error_in_it_changes_nothing(rt: Any) -> None:
    @rt.remote(num_cpus=0)
    class Careless:
        def __ray_shutdown__(self) -> None:
            raise ValueError("not this time")

    actor = Careless.remote()
    assert rt.get(actor.__ray_ready__.remote(), timeout=60)
    ended = actor.__ray_terminate__.remote()
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(ended, timeout=60)
    with pytest.raises(rt.exceptions.ActorDiedError):
        rt.get(actor.__ray_ready__.remote(), timeout=60)
