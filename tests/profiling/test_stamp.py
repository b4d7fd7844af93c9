"""What results are stamped with, from the standard library and from watermark."""

from __future__ import annotations

import importlib
import json
import platform
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import paralab
from paralab.limits import cpu_count, memory_limit
from paralab_profiling import Stamp, stamp
from paralab_profiling.svg import escape

module = importlib.import_module("paralab_profiling.stamps")


def test_facts_are_those_of_this_machine() -> None:
    found = stamp()
    assert found.python.endswith(platform.python_version())
    assert (found.cores, found.memory) == (cpu_count(), memory_limit())
    assert found.packages["paralab"] == module._version("paralab") != ""
    assert platform.python_version() in str(found)
    assert f"{found.cores} core" in str(found)


def test_packages_are_those_that_the_program_has_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    used = ModuleType("used_package.part")
    package = ModuleType("used_package")
    package.__dict__["__version__"] = "3.4"
    monkeypatch.setitem(sys.modules, "used_package", package)
    program = SimpleNamespace(used=used, json=json, other=3, run=paralab.init)
    monkeypatch.setitem(sys.modules, "__main__", program)
    module._version.cache_clear()
    assert dict(stamp().packages) == {"paralab": module._version("paralab"), "used_package": "3.4"}
    assert list(stamp(["pytest"]).packages) == ["paralab", "pytest", "used_package"]


def test_stamp_says_the_same_with_and_without_watermark(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("watermark")
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.delitem(sys.modules, "IPython")
    module._facts.cache_clear()
    plain = stamp()
    importlib.import_module("IPython")
    module._facts.cache_clear()
    marked = stamp()
    module._facts.cache_clear()
    assert (plain.source, marked.source) == ("the standard library", "watermark")
    assert plain == replace(marked, packages=plain.packages)


def test_broken_watermark_takes_nothing_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ModuleType("watermark")

    def watermark(**_options: Any) -> str:
        return "Something: else"

    broken.__dict__["watermark"] = watermark
    broken.__spec__ = SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "watermark", broken)
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    module._facts.cache_clear()
    try:
        assert stamp().source == "the standard library"
    finally:
        module._facts.cache_clear()


def test_saved_stamp_is_the_same_and_what_is_none_is_refused() -> None:
    found = stamp()
    assert Stamp.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    many: dict[str, Any] = {**found.to_dict(), "cores": "many"}
    wrongs: list[Any] = [None, [], {}, "x", many, {"python": 3}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="no stamp"):
            Stamp.from_dict(wrong)


def test_differences_are_told_by_name() -> None:
    found = replace(stamp(), packages={"numpy": "1"}, cores=2)
    other = replace(found, packages={"numpy": "2", "pandas": "1"}, cores=4)
    assert found.differences(found) == []
    assert found.differences(other) == [
        "cores: 2 here, 4 there",
        "numpy: 1 here, 2 there",
        "pandas: not used here, 1 there",
    ]


def test_hostile_versions_stay_text() -> None:
    hostile = replace(stamp(), packages={"<script>": "\x1b[31m\n<b>"})
    assert "\x1b" not in str(hostile)
    assert "\n" not in str(hostile)
    assert "<" not in escape(str(hostile))
