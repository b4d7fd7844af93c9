"""``runtime/COMPATIBILITY.md`` is true: held against the code, and against what Ray has.

What Ray has stands in ``conformance/ray_surface.json``, made by ``ray_surface.py`` where Ray is
installed; ``tests/conformance`` checks there that it still holds.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from enum import EnumMeta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from paralab.absent import ABSENT
from ray_surface import describe

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "runtime" / "COMPATIBILITY.md"
SURFACE = json.loads((ROOT / "tests" / "conformance" / "ray_surface.json").read_text())["modules"]
HERE = ("same", "different", "own")
STATES = (*HERE, "not yet", "not there")
MADE_BY_THE_LIBRARY = {
    "ActorClass", "ActorHandle", "ActorMethod", "RemoteFunction", "RuntimeContext",
    "ObjectRefGenerator", "DynamicObjectRefGenerator", "PlacementGroup",
}  # fmt: skip
"""Nobody calls these constructors, so their parameters are each library's own."""


class Row(NamedTuple):
    """What the page says of one name."""

    module: str
    name: str
    state: str
    note: str


def rows() -> list[Row]:
    found = []
    module = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        heading = re.fullmatch(r"## `(ray[\w.]*)`", line)
        if line.startswith("## "):
            module = heading[1] if heading else ""
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if module and len(cells) == 3 and cells[0].startswith("`"):
            found += [Row(module, name, *cells[1:]) for name in re.findall(r"`(\w+)`", cells[0])]
    return found


ROWS = rows()
BY_NAME = {(row.module, row.name): row for row in ROWS}


def ours(row: Row) -> Any:
    """The object in paralab that a row is about; raises if there is none."""
    return getattr(importlib.import_module("paralab" + row.module[len("ray") :]), row.name)


def parameters(text: str) -> list[inspect.Parameter]:
    names: dict[str, Any] = {}
    exec(f"def f{text}: pass", names)
    return list(inspect.signature(names["f"]).parameters.values())


def accepts(mine: str, theirs: str) -> str:
    """Why a call that Ray takes might not be taken; empty if all are."""
    if "?" in (mine, theirs):
        return ""
    own, want = parameters(mine), parameters(theirs)
    for mine_, their in zip(own, want, strict=False):
        same_default = their.default in (their.empty, ...) or mine_.default == their.default
        same_name = mine_.name == their.name or mine_.kind in (
            mine_.VAR_KEYWORD,
            mine_.VAR_POSITIONAL,
        )
        if not same_name or mine_.kind != their.kind or not same_default:
            return f"{mine_} where Ray has {their}"
    if len(own) < len(want):
        return f"no {want[len(own)].name}"
    further = [p for p in own[len(want) :] if p.default is p.empty and p.kind != p.VAR_KEYWORD]
    return f"{further[0].name} has no default" if further else ""


def differences(mine: dict[str, Any], theirs: dict[str, Any], name: str) -> dict[str, str]:
    """What of one name is not as in Ray: the name itself or its members, each with the reason."""
    found = {}
    if mine["kind"] != theirs["kind"] and theirs["kind"] in ("class", "function", "value"):
        found[name] = f"a {mine['kind']} where Ray has a {theirs['kind']}"
    elif "parameters" in theirs and name not in MADE_BY_THE_LIBRARY:
        found[name] = accepts(mine["parameters"], theirs["parameters"])
    for member, want in theirs.get("members", {}).items():
        have = mine.get("members", {}).get(member)
        if have is None:
            found[member] = "missing"
        elif want.startswith("(") and have.startswith("("):
            found[member] = accepts(have, want)
    return {what: why for what, why in found.items() if why}


def test_every_row_has_a_known_state_and_a_reason() -> None:
    assert len(ROWS) > 200
    for row in ROWS:
        assert row.state in STATES, row
        assert row.note or row.state in ("same", "not yet"), row
    assert len(BY_NAME) == len(ROWS), "a name has two rows"


@pytest.mark.parametrize("module", SURFACE)
def test_every_name_of_ray_has_a_row(module: str) -> None:
    missing = [name for name in SURFACE[module] if (module, name) not in BY_NAME]
    assert not missing, f"{PAGE.name} says nothing of {module}: {missing}"


@pytest.mark.parametrize("module", dict.fromkeys(row.module for row in ROWS))
def test_what_is_said_to_be_there_is_there(module: str) -> None:
    for row in ROWS:
        if row.module != module:
            continue
        if row.state in HERE:
            ours(row)
        elif row.state == "not there":
            with pytest.raises((AttributeError, ImportError, NotImplementedError)):
                ours(row)


@pytest.mark.parametrize("module", dict.fromkeys(row.module for row in ROWS))
def test_every_public_name_has_a_row(module: str) -> None:
    try:
        mine = importlib.import_module("paralab" + module[len("ray") :])
    except ImportError:
        assert not [row for row in ROWS if row.module == module and row.state in HERE]
        return
    public = getattr(mine, "__all__", ())
    extra = [n for n in public if not n.startswith("_") and (module, n) not in BY_NAME]
    assert not extra, f"{PAGE.name} says nothing of {module}: {extra}"


@pytest.mark.parametrize("module", SURFACE)
def test_what_is_said_to_be_the_same_takes_the_same(module: str) -> None:
    wrong = []
    for name, theirs in SURFACE[module].items():
        row = BY_NAME[module, name]
        if row.state not in HERE:
            continue
        mine = ours(row)
        for what, why in differences(describe(mine), theirs, name).items():
            if what == name and isinstance(mine, EnumMeta):
                continue  # how an enum is called is Python's own, and differs by its version
            if row.state == "same" or (what != name and f"`{what}`" not in row.note):
                wrong.append(f"{module}.{name}: {what}: {why}")
    assert not wrong, "\n".join(wrong)


def test_modules_that_are_not_there_are_listed() -> None:
    listed = set(
        re.findall(r"^\| `ray\.([\w.]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert listed == set(ABSENT)
