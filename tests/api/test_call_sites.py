"""Where refs are made, on each engine."""

from __future__ import annotations

from typing import Any

import pytest

import paralab


@paralab.remote
def site_one() -> int:
    return 1


@pytest.mark.parametrize("is_on", [True, False])
def test_call_sites(how: dict[str, Any], is_on: bool) -> None:
    paralab.init(**how, _system_config={"record_ref_creation_sites": is_on})
    ref, task = paralab.put(1), site_one.remote()
    paralab.get(task)
    at = f"{__file__}:test_call_sites:{test_call_sites.__code__.co_firstlineno + 3}"
    assert ref.call_site().startswith(f"(put object) | {at}") is is_on
    assert task.call_site().startswith(f"(task call) | {at}") is is_on
    assert ref.call_site() != "" or not is_on
