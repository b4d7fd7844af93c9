"""What ``COMPATIBILITY.md`` is held against is what Ray has."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import pytest

from ray_surface import MODULES, surface


@pytest.mark.skipif(os.environ.get("PARALAB_CONFORMANCE") != "ray", reason="looks at Ray itself")
def test_the_stored_surface_is_rays() -> None:
    stored = json.loads((Path(__file__).parent / "ray_surface.json").read_text())
    assert importlib.import_module("ray").__version__ == stored["release"]
    found = surface(MODULES)
    for module, names in stored["modules"].items():
        for name, description in names.items():
            # What needs a further package is there or not, as the environment has it.
            if not description["kind"].endswith("Error"):
                assert found[module][name] == description, f"{module}.{name}"
        assert set(names) == set(found[module]), module
