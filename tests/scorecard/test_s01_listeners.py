"""S1: everything that listens while a session runs: Unix sockets in folders of our own, no port."""

from __future__ import annotations

import os
from typing import Any

import pytest
from intruders import lone_node, named_sockets, ours_and_below

import paralab


@pytest.mark.slow
def test_nothing_listens_but_the_doors(shutdown_after: None, scorecard: Any) -> None:
    context = paralab.init(num_cpus=2)

    @paralab.remote
    class Actor:
        async def call(self) -> int:
            return os.getpid()

    @paralab.remote
    def items() -> Any:
        yield from range(3)

    actor = Actor.options(max_concurrency=4).remote()
    assert len({*paralab.get([actor.call.remote() for _ in range(8)])}) == 1
    assert [paralab.get(ref) for ref in items.remote()] == [0, 1, 2]
    paralab.get(paralab.put(bytes(1 << 20)))
    env = {"env_vars": {"X": "1"}}  # a worker that is a fresh interpreter
    paralab.get(paralab.remote(lambda: os.getpid()).options(runtime_env=env).remote())
    with lone_node() as folder:
        network, paths = named_sockets(ours_and_below())
    assert network == []
    doors = {f"{where}/socket" for where in (context.address_info["session_dir"], folder)}
    assert set(paths) <= doors, "long paths are shortened in the table of the kernel"
    assert len(paths) == len(doors)
    scorecard.figure(
        "S1", "addresses of the network on which a session listens", 0, short="{} on the network"
    )
    scorecard.figure(
        "S1",
        "Unix sockets with a name, for each node",
        len(paths) / len(doors),
        short="Unix sockets with a name: {} a node",
    )
