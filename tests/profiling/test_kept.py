"""What a process keeps of profiles: handed over once, and told only while the node lacks it."""

from __future__ import annotations

import sys
import tempfile
import types
from collections.abc import Iterator
from typing import Any

import pytest

import paralab
from paralab.engine import current
from paralab.profiled import Request
from paralab_profiling import profile
from paralab_profiling.memory.between import Room
from paralab_profiling.profilers import Tree, Where, kept
from paralab_profiling.profilers.places import place_of
from paralab_profiling.profilers.result import Profile


class Node:
    """An engine whose node takes what it is handed."""

    address = b"\0" * 16

    def __init__(self) -> None:
        self.puts: list[tuple[str, bytes]] = []

    def key_values(self, act: str, space: bytes, key: bytes, value: Any) -> None:
        assert (act, space) == ("put", kept.SPACE)
        self.puts.append((key.decode().split("/")[0], value[0]))


class Measured:
    """A collector that counts how often it is asked."""

    is_settled = True

    def __init__(self) -> None:
        self.asked = 0

    def begin(self) -> Any:
        raise AssertionError("nothing is measured here")

    def profile(self) -> Profile:
        self.asked += 1
        return Profile("cprofile", "s", ())


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> kept.Store:
    """One of its own: what this process tells, and does at its end, stays as it is."""
    node = Node()
    monkeypatch.setattr(kept, "installed", lambda: node)
    monkeypatch.setattr(kept, "tells", {})
    monkeypatch.setattr(kept, "atexit", types.SimpleNamespace(register=lambda _call: None))
    made = kept.Store()
    made._adopt()
    return made


def one_more(store: kept.Store, name: str) -> Measured:
    of = store.of(Request("cprofile", name))
    found = of.collectors.setdefault("f", Measured())
    store.ended(of)
    assert isinstance(found, Measured)
    return found


def test_a_request_that_nothing_was_added_to_is_not_handed_over_again(store: kept.Store) -> None:
    node = store._engine
    for number in range(5):
        one_more(store, str(number))
        store.hand_over()
    assert [name for name, _ in node.puts] == ["0", "1", "2", "3", "4"]
    one_more(store, "2")
    store.hand_over()
    store.hand_over()
    assert [name for name, _ in node.puts[5:]] == ["2"]
    assert kept.unpacked(node.puts[5][1])[0] == 2


def test_only_what_the_node_lacks_is_told(store: kept.Store) -> None:
    for number in range(4):
        store.of(Request("cprofile", str(number)))
    asked = [one_more(store, str(number)) for number in range(4)]
    assert len(store.news(0)) == len(store.told()) == 4
    store.hand_over()
    assert store.news(0) == {}
    one_more(store, "3")
    assert [name.split("/")[0] for name in store.news(0)] == ["3"]
    assert len(store.told()) == 4, "the process itself has all"
    assert [each.asked for each in asked] == [1, 1, 1, 2], "packed once, as long as it is the same"
    store.missed(Request("cprofile", "1"), "busy")
    assert sorted(name.split("/")[0] for name in store.news(0)) == ["1", "3"]


def test_another_session_is_told_nothing_of_this_one(
    store: kept.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_more(store, "")  # the option profile= of tasks has no request of its own
    monkeypatch.setattr(kept, "installed", lambda: None)
    assert len(store.told()) == 1, "between two sessions nothing is lost"
    other = Node()
    monkeypatch.setattr(kept, "installed", lambda: other)
    assert store.news(0) == store.told() == {}
    one_more(store, "")
    store.hand_over()
    assert [kept.unpacked(value)[0] for _, value in other.puts] == [1]


def test_a_process_that_ends_tells_nothing_twice(
    store: kept.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked after it has put its engine away, and before it has gone."""
    one_more(store, "1")
    store.hand_over()
    one_more(store, "2")
    monkeypatch.setattr(kept, "installed", lambda: None)
    assert [name.split("/")[::2] for name in store.news(0)] == [["2", Node.address.hex()]]
    store.hand_over()
    assert [name for name, _ in store._engine.puts] == ["1", "2"]


def test_a_new_request_has_the_one_before_it_handed_over(store: kept.Store) -> None:
    store._handed = float("inf")  # so nothing is due
    one_more(store, "0")
    store.hand_over_if_due()
    assert store._engine.puts == []
    one_more(store, "1")
    assert [name for name, _ in store._engine.puts] == ["0"]
    assert [name.split("/")[0] for name in store.news(0)] == ["1"]


def test_what_could_not_be_handed_over_is_told(store: kept.Store) -> None:
    def gone(*_args: Any) -> None:
        raise OSError("the node is gone")

    one_more(store, "0")
    store._engine.key_values = gone
    store.hand_over()
    assert len(store.news(0)) == 1


def test_what_may_tell_more_is_asked_again_until_it_has_told_all(store: kept.Store) -> None:
    found = one_more(store, "0")
    found.is_settled = False
    store.hand_over()
    assert len(store.news(0)) == 1
    found.is_settled = True
    assert len(store.news(0)) == 1, "this time it is all, and the node has less"
    one_more(store, "1")
    store.hand_over()
    assert store.news(0) == {}
    asked = found.asked
    store.news(0)
    assert found.asked == asked


def test_a_watch_is_settled_once_it_has_looked_after_the_last_call() -> None:
    watch = Room(dict).watch()
    assert watch.is_settled
    for _ in range(2):
        watch.enter()
        watch.leave()
        assert not watch.is_settled
    watch.close()
    assert watch.is_settled


@pytest.fixture
def session() -> Iterator[None]:
    paralab.init(num_cpus=2)
    yield
    paralab.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("session")
def test_a_block_is_not_told_of_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    @paralab.remote
    def work(x: int) -> int:
        return x + 1

    engine: Any = current()
    told: list[set[str]] = []
    ask = engine.survey

    def survey(*args: Any) -> Any:
        found = ask(*args)
        told.extend({key.split("/")[0] for key in answer or {}} for answer in found.answers())
        return found

    monkeypatch.setattr(engine, "survey", survey)
    for _ in range(6):
        with profile(tool="cprofile") as p:
            paralab.get([work.remote(each) for each in range(6)], timeout=60)
        assert p.calls("work") == 6
        assert sum(p.tasks.values()) == 6
    # A process tells of the last block that it had calls of, if the node does not have that yet.
    assert told
    assert max(map(len, told)) <= 1


def test_a_cell_gets_its_number_where_its_kernel_is(monkeypatch: pytest.MonkeyPatch) -> None:
    known, other = (f"{tempfile.gettempdir()}/ipykernel_12/{name}.py" for name in (345, 678))
    assert place_of(known) == ("ipykernel_12/345.py", "yours"), "a worker keeps what tells it"
    tree = Tree()
    tree.add([Where("f", place_of(known)[0], 7, "task")], 1.0, 1)
    tree.add([Where("g", place_of(other)[0], 2, "task")], 1.0, 1)
    rows = [["token", 1, 0, [[place_of(known)[0], 7, "yours", 100, 1, 0, 0]]]]
    data = kept.packed(Profile("t", "s", tree.frames(), extra={"growth": rows}), 1)
    _, found = kept.unpacked(data)
    assert [root.file for root in found.roots] == ["a cell", "a cell"], "no kernel here"

    class Compile:
        def format_code_name(self, name: str) -> tuple[str, str] | None:
            return ("Cell", "In[5]") if name == known else None

    shell = types.SimpleNamespace(compile=Compile())
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    _, found = kept.unpacked(data)
    assert {root.name: root.file for root in found.roots} == {"f": "In[5]", "g": "a cell"}
    assert found.extra["growth"][0][3][0][0] == "In[5]"
