"""Who holds an object: chains of references, what the runtime adds to them, and the picture."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import paralab
from paralab_profiling import who_holds
from paralab_profiling.memory import chains
from paralab_profiling.memory.chain_drawing import draw_chains
from paralab_profiling.memory.chains import Chain, Step, chains_to, how, what

SIZE = 300_000


class Result:
    pass


class Cache:
    def __init__(self, entries: Any) -> None:
        self.entries = entries


class Slots:
    __slots__ = ("held",)


class Hostile:
    def __repr__(self) -> str:
        raise AssertionError("somebody asked me")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"somebody asked me for {name}")


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """A module of the program's, in which tests keep what is to be found."""
    made = ModuleType("program")
    sys.modules["program"] = made
    yield made
    del sys.modules["program"]
    made.__dict__.clear()
    gc.collect()


def texts(found: list[Chain], begin: str = "module program") -> list[str]:
    return [str(chain) for chain in found if chain.steps[0].what == begin]


def test_chain_to_what_a_global_holds(module: ModuleType) -> None:
    module.__dict__["cache"] = Cache({"last": [1, Result()]})
    found = texts(chains_to(module.cache.entries["last"][1]))
    way = "module program ──cache──▶ Cache ──.entries──▶ dict of 1 ──['last']──▶ list of 2 ──[1]──▶"
    assert found == [f"{way} Result"]


@pytest.mark.slow
def test_every_holder_has_its_chain(module: ModuleType) -> None:
    def fill(held: Result) -> None:
        slots = Slots()
        slots.held = held

        def captures() -> Result:
            return held

        module.__dict__.update(plain=held, slots=slots, captures=captures)

    fill(Result())
    found = texts(chains_to(module.plain))
    assert "module program ──plain──▶ Result" in found
    assert "module program ──slots──▶ Slots ──.held──▶ Result" in found
    assert any("──captured──▶ Result" in chain for chain in found)
    assert len(chains_to(module.plain, most=1)) == 1


def test_variable_of_a_running_function_is_a_holder() -> None:

    def function() -> list[Chain]:
        mine = [Result()]
        return chains_to(mine[0])

    found = texts(function(), "function() that runs")
    assert found == ["function() that runs ──mine──▶ list of 1 ──[0]──▶ Result"]


def test_nothing_of_the_search_itself_is_told(module: ModuleType) -> None:
    module.__dict__["only"] = Result()
    found = chains_to(module.only)
    assert [str(chain) for chain in found] == ["module program ──only──▶ Result"]


def test_objects_are_not_asked_for_anything(module: ModuleType) -> None:
    module.__dict__["hostile"] = {"key": Hostile()}
    (found,) = chains_to(module.hostile["key"])
    assert found.steps == (
        Step("module program", "hostile"), Step("dict of 1", "['key']"), Step("Hostile"),
    )  # fmt: skip


@pytest.mark.slow
def test_search_gives_up_when_it_has_looked_long(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Result()
    nested: Any = held
    for _ in range(10):
        nested = [nested]
    module.__dict__["nested"] = nested
    monkeypatch.setattr(chains, "DEEPEST", 3)
    del nested
    assert [chain.is_whole for chain in chains_to(held)][-1] is False


def test_how_a_holder_holds() -> None:
    held, other = Result(), Result()
    assert how([other, held], held) == "[1]"
    assert how({1: held}, held) == "[1]"
    assert how({held: 1}, held) == "as a key"
    assert how({("a",): held}, held) == "[tuple]"
    assert how([other], held) == ""
    assert how(Cache(held), held) == ".entries"
    assert what([held]) == "list of 1"
    assert what(Cache) == "class Cache"


def test_numbers_and_texts_are_refused() -> None:
    for shared in (1, 2.5, "text", None, True):
        with pytest.raises(TypeError, match="ask for the object that it is part of"):
            who_holds(shared)


@pytest.mark.slow
def test_ref_is_held_by_a_global_an_actor_and_out(
    session: Any, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:

    @paralab.remote
    class Keeper:
        def keep(self, refs: list[Any]) -> None:
            self.refs = refs

    ref = paralab.put(b"x" * SIZE)
    keeper = Keeper.remote()
    paralab.get(keeper.keep.remote([ref]), timeout=60)
    program: Any = sys.modules["__main__"]
    # As IPython has it: Out is a variable of the notebook, and _3 is another name for Out[3].
    monkeypatch.setattr(program, "Out", {3: ref}, raising=False)
    monkeypatch.setattr(program, "_3", ref, raising=False)
    module.__dict__["kept"] = [ref]
    found = who_holds(ref)
    told = [str(chain) for chain in found.chains]
    assert "module program ──kept──▶ list of 1 ──[0]──▶ ObjectRef" in told
    assert "module __main__ ──Out──▶ dict of 1 ──[3]──▶ ObjectRef" in told
    assert "module __main__ ──Out[3]──▶ ObjectRef" in told
    (elsewhere,) = (each for each in found.elsewhere if "Keeper" in each)
    assert "instance, in worker" in elsewhere
    assert found.name == "object of 300 kB"
    assert any(fact.startswith("owned by driver") for fact in found.facts)
    assert elsewhere in found.picture.svg.replace("&#x27;", "'")
    assert json.loads(json.dumps(found.to_dict()))["title"] == found.title


@pytest.mark.slow
def test_array_that_looks_at_the_store_is_told_by_its_name(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    numpy = pytest.importorskip("numpy")
    ref = paralab.put(numpy.zeros(SIZE))
    program: Any = sys.modules["__main__"]
    monkeypatch.setattr(program, "view", paralab.get(ref), raising=False)
    assert "variable view, here" in who_holds(ref).elsewhere


def test_picture_has_each_line_and_stays_text() -> None:
    hostile = "<script>alert(1)</script>\x1b[2J"
    many = tuple(
        Chain((Step(f"module {hostile}", f"x{n}"), *[Step("list of 1", "[0]")] * 9, Step(hostile)))
        for n in range(30)
    )
    drawn = draw_chains(many, [hostile], hostile, f"{hostile} is held", "note", "stamp")
    assert "+ 17 more" in drawn.svg
    assert "… 6 more" in drawn.svg
    for text in (drawn.svg, drawn.to_html()):
        assert "<script>alert" not in text
        assert "\x1b" not in text
    assert "\x1b" not in drawn.text
    assert len(drawn.rows) == 31
    assert len(drawn.to_html()) < 300_000
    empty = draw_chains([], [], "Result", "Nothing that can be seen holds Result", "note")
    assert "Nothing" in empty.svg
