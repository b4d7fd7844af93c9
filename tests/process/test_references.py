"""An object lives exactly as long as somebody can reach it, whichever way a ref travels."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from process_helpers import LARGE, eventually, stored

import paralab


def large(mark: int = 1) -> bytes:
    """A value that goes to the store."""
    return bytes([mark]) * LARGE


@paralab.remote
def make(mark: int) -> bytes:
    return bytes([mark]) * LARGE


@paralab.remote
def first_byte(value: bytes) -> int:
    return value[0]


@paralab.remote
def first_of_nested(box: list[Any]) -> int:
    return int(paralab.get(box[0])[0])


@paralab.remote
def put_one(mark: int) -> list[Any]:
    return [paralab.put(bytes([mark]) * LARGE)]


@paralab.remote
def hand_back(box: list[Any]) -> list[Any]:
    return box


@paralab.remote
def pass_on(box: list[Any]) -> int:
    """A ref goes through this task to another one, and this one ends first."""
    return paralab.get(first_of_nested.remote(box))


@paralab.remote
class Keeper:
    """Holds refs in its state."""

    def __init__(self) -> None:
        self.box: Any = None

    def keep(self, box: list[Any]) -> None:
        self.box = box

    def look(self) -> int:
        return int(paralab.get(self.box[0])[0])

    def give(self) -> Any:
        return self.box

    def drop(self) -> None:
        self.box = None
        gc.collect()


@pytest.fixture(autouse=True)
def nothing_stays(session: Any) -> Any:
    eventually(lambda: stored() == 0)
    yield
    gc.collect()
    eventually(lambda: stored() == 0)


def test_a_put_object_goes_with_its_last_ref() -> None:
    ref = paralab.put(large())
    again = ref
    assert stored() == 1
    del ref
    assert paralab.get(again)[0] == 1
    del again
    eventually(lambda: stored() == 0)


def test_a_result_goes_with_its_last_ref() -> None:
    ref = make.remote(2)
    assert paralab.get(ref)[0] == 2
    assert stored() == 1
    del ref
    eventually(lambda: stored() == 0)


def test_a_result_that_nobody_waits_for_goes() -> None:
    make.remote(3)
    probe = first_byte.remote(make.remote(4))
    assert paralab.get(probe) == 4


def test_an_argument_lives_until_the_task_has_run() -> None:
    assert paralab.get(first_byte.remote(paralab.put(large(5)))) == 5


def test_a_large_argument_by_value_goes_after_the_task() -> None:
    assert paralab.get(first_byte.remote(large(6))) == 6


def test_a_nested_ref_lives_until_the_task_has_run() -> None:
    assert paralab.get(first_of_nested.remote([paralab.put(large(7))])) == 7


def test_a_nested_ref_goes_on_through_a_task() -> None:
    assert paralab.get(pass_on.remote([paralab.put(large(8))])) == 8


def test_a_ref_comes_back_in_a_result() -> None:
    box = paralab.get(hand_back.remote([paralab.put(large(9))]))
    gc.collect()
    assert paralab.get(box[0])[0] == 9
    assert stored() == 1


def test_a_ref_that_a_worker_owns_comes_in_a_result() -> None:
    outer = put_one.remote(10)
    box = paralab.get(outer)
    del outer
    gc.collect()
    assert paralab.get(box[0])[0] == 10
    assert stored() == 1
    del box
    eventually(lambda: stored() == 0)


def test_an_unopened_result_holds_the_refs_inside() -> None:
    outer = put_one.remote(11)
    paralab.wait([outer])
    eventually(lambda: stored() == 1)  # the worker tells the node and us, in no order
    box = paralab.get(outer)
    assert paralab.get(box[0])[0] == 11


def test_a_container_holds_its_refs() -> None:
    outer = paralab.put({"inner": [paralab.put(large(12))]})
    gc.collect()
    assert stored() == 1
    assert paralab.get(paralab.get(outer)["inner"][0])[0] == 12
    del outer
    eventually(lambda: stored() == 0)


def test_actor_state_holds_a_ref() -> None:
    keeper = Keeper.remote()
    paralab.get(keeper.keep.remote([paralab.put(large(13))]))
    gc.collect()
    assert stored() == 1
    assert paralab.get(keeper.look.remote()) == 13
    paralab.get(keeper.drop.remote())
    eventually(lambda: stored() == 0)


def test_the_end_of_an_actor_ends_what_it_held() -> None:
    keeper = Keeper.remote()
    paralab.get(keeper.keep.remote([paralab.put(large(14))]))
    paralab.kill(keeper)
    eventually(lambda: stored() == 0)


def test_a_ref_goes_from_one_actor_to_another() -> None:
    one, other = Keeper.remote(), Keeper.remote()
    paralab.get(one.keep.remote(paralab.get(put_one.remote(15))))
    paralab.get(other.keep.remote(one.give.remote()))
    paralab.get(one.drop.remote())
    assert paralab.get(other.look.remote()) == 15
    paralab.get(other.drop.remote())
    eventually(lambda: stored() == 0)


def test_a_closure_holds_its_refs() -> None:
    def capture(ref: Any) -> Any:
        return paralab.remote(lambda: int(paralab.get(ref)[0]))

    captured = capture(paralab.put(large(16)))
    assert paralab.get(captured.remote()) == 16
    gc.collect()
    assert stored() == 1
    assert paralab.get(captured.remote()) == 16
    del captured
    gc.collect()
    eventually(lambda: stored() == 0)


def test_a_ref_in_an_exception_travels() -> None:
    @paralab.remote
    def fails() -> None:
        raise KeyError("carried")

    with pytest.raises(KeyError):
        paralab.get(fails.remote())


def test_a_view_keeps_the_object() -> None:
    numpy = pytest.importorskip("numpy")
    ref = paralab.put(numpy.arange(LARGE))
    array = paralab.get(ref)
    piece = array[10:20][2:4]
    del ref, array
    gc.collect()
    assert stored() == 1
    assert piece.tolist() == [12, 13]
    del piece
    eventually(lambda: stored() == 0)


def test_an_actor_that_keeps_a_view_keeps_the_object() -> None:
    numpy = pytest.importorskip("numpy")

    @paralab.remote
    class Holder:
        def keep(self, array: Any) -> None:
            self.piece = array[100:110]

        def look(self) -> list[int]:
            return [int(x) for x in self.piece[:2]]

    holder = Holder.remote()
    paralab.get(holder.keep.remote(paralab.put(numpy.arange(LARGE))))
    paralab.get(holder.keep.remote(numpy.arange(LARGE) + 1))
    eventually(lambda: stored() == 1)
    assert paralab.get(holder.look.remote()) == [101, 102]
    paralab.kill(holder)


def test_the_death_of_an_owner_is_named() -> None:
    keeper = Keeper.remote()

    @paralab.remote
    class Owner:
        def make(self) -> list[Any]:
            return [paralab.put(b"x" * 300_000)]

    owner = Owner.remote()
    box = paralab.get(owner.make.remote())
    paralab.kill(owner)
    paralab.get(keeper.keep.remote(1))
    with pytest.raises(paralab.exceptions.OwnerDiedError):
        paralab.get(box[0])


def test_what_a_task_has_put_outlives_the_actors_that_come_after_it() -> None:
    """An actor ends with its process, so it must not get one that owns what others need."""
    (ref,) = paralab.get(put_one.remote(7))
    for _ in range(2):
        keeper = Keeper.remote()
        paralab.get(keeper.keep.remote(None))
        paralab.kill(keeper)
        with pytest.raises(paralab.exceptions.ActorDiedError):
            paralab.get(keeper.look.remote())
    assert paralab.get(ref)[0] == 7


def test_what_a_dead_owner_had_stored_goes_with_the_last_look() -> None:
    @paralab.remote
    class Owner:
        def make(self) -> list[Any]:
            return [paralab.put(memoryview(bytes(LARGE)))]

    owner = Owner.remote()
    box = paralab.get(owner.make.remote())
    view = paralab.get(box[0])
    paralab.kill(owner)
    assert stored() == 1, "somebody looks at it"
    assert len(view) == LARGE
    del box, view
    eventually(lambda: stored() == 0)
