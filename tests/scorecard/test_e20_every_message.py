"""E20: each message lost, doubled, late, or cut off with its connection: the same end state."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any

import pytest

import paralab
import scorecard_wire as wire
from paralab.cluster_utils import Cluster
from paralab.engine import current
from paralab.faults.connection import FaultyConnection, mark
from paralab.faults.rules import message_kinds
from paralab.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ACTIONS = ("lose", "double", "delay", "cut")
FEW = {
    "lose": ("RESULT", "ACTOR_AT"),
    "double": ("CALL", "RELEASE"),
    "delay": ("SEAL", "ITEMS"),
    "cut": ("KEEP_ACTOR", "LEASED"),
}
"""What runs by default; the rest takes minutes."""
PART_OF = {name: part for part in wire.PARTS for name in part.messages.split()}
IN_A_CLUSTER = ("RESOURCES", "OBJECT_LOST")


def test_every_message_is_sent_by_some_part() -> None:
    lacking = message_kinds().keys() - PART_OF.keys() - {*IN_A_CLUSTER}
    assert not lacking, f"scorecard_wire.py has no part that sends {', '.join(sorted(lacking))}"


def rule(action: str, name: str) -> str:
    # The first WELCOME is the driver's, who does not know yet where it could come back.
    return f"{action} {name}{' to=worker' if name == 'WELCOME' else ''}"


class Seen:
    """Whether the rule has acted: its mark goes with the folder of the session."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.here = False

        def suffer(connection: Any, frame: Any, fault: Any) -> None:
            self.here = self.here or fault is not None
            original(connection, frame, fault)

        original = FaultyConnection._suffer
        monkeypatch.setattr(FaultyConnection, "_suffer", suffer)

    def __call__(self) -> bool:
        if not self.here and paralab.is_initialized():
            folder = current().welcome["info"]["session_dir"]
            self.here = os.path.exists(os.path.join(folder, mark(0)))
        return self.here


def run(action: str, name: str, folder: Path, acted: Seen) -> None:
    """One session with one fault."""
    part = PART_OF[name]
    folder.mkdir()
    acted.here = False
    config = {"faults": rule(action, name), **dict(part.settings)}
    paralab.init(num_cpus=2, object_store_memory=part.room, _system_config=config)
    try:
        found = part.run(folder, acted)
        assert found == part.expected, f"{found}, not {part.expected}"
        wire.at_rest()
        acted()
    finally:
        paralab.shutdown()
    assert acted(), f"{name} was never sent"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("action", ACTIONS)
def test_each_message(
    action: str,
    scorecard: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shutdown_after: None,
) -> None:
    names = sorted(PART_OF) if scorecard.full else FEW[action]
    acted = Seen(monkeypatch)
    failed = {}
    for name in names:
        try:
            run(action, name, tmp_path / name, acted)
        except Exception:
            failed[name] = traceback.format_exc()
    what = {"lose": "lost", "double": "doubled", "delay": "late", "cut": "cut off"}[action]
    scorecard.figure(
        "E20",
        f"each message {what}: same end state",
        f"{len(names) - len(failed)} of {len(names)}",
        peer="Ray tests its RPCs so",
        short=f"{what}: the same end for {{}}",
    )
    assert not failed, "\n".join(f"{action} {name}:\n{how}" for name, how in failed.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_A_CLUSTER)
@pytest.mark.parametrize("action", ACTIONS)
def test_nodes_come_and_go(
    action: str, name: str, monkeypatch: pytest.MonkeyPatch, shutdown_after: None
) -> None:
    monkeypatch.setenv("PARALAB_FAULTS", rule(action, name))
    acted = Seen(monkeypatch)
    cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 1})
    try:
        added = cluster.add_node(num_cpus=2)
        assert paralab.get(wire.add.options(num_cpus=2).remote(1, 2)) == 3
        there = NodeAffinitySchedulingStrategy(added.node_id, soft=True)
        ref = wire.large.options(scheduling_strategy=there).remote("a")
        paralab.wait([ref])
        cluster.remove_node(added)
        assert paralab.get(ref) == b"a" * wire.LARGE, "it is made again"
        del ref
        wire.at_rest()
        assert acted(), f"{name} was never sent"
    finally:
        paralab.shutdown()
        cluster.shutdown()
