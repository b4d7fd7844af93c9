"""Settings by ``_system_config`` and by the environment."""

from __future__ import annotations

from typing import Any

import pytest

from paralab import library_name
from paralab.system_config import SETTINGS, settings


def test_defaults() -> None:
    assert settings() == {name: setting.default for name, setting in SETTINGS.items()}
    assert settings()["memory_usage_threshold"] == 0.95
    assert settings()["memory_monitor_refresh_ms"] == 250


def test_who_counts_before_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_task_oom_retries", "5")
    assert settings()["task_oom_retries"] == -1
    monkeypatch.setattr(library_name._Name, "is_ray", True)
    assert settings()["task_oom_retries"] == 5
    monkeypatch.setenv("PARALAB_TASK_OOM_RETRIES", "4")
    assert settings()["task_oom_retries"] == 4
    assert settings({"task_oom_retries": 3, "gcs_anything": 7})["task_oom_retries"] == 3


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("memory_usage_threshold", 1.5, ValueError),
        ("memory_usage_threshold", "much", ValueError),
        ("memory_limit_bytes", None, TypeError),
        ("memory_limit_bytes", 1.5, TypeError),
        ("memory_monitor_refresh_ms", True, TypeError),
        ("record_ref_creation_sites", 1, TypeError),
    ],
)
def test_wrong_values(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{name}.* is {value!r}; expected "):
        settings({name: value})


def test_wrong_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARALAB_MEMORY_USAGE_THRESHOLD", "95 %")
    with pytest.raises(ValueError, match="PARALAB_MEMORY_USAGE_THRESHOLD is '95 %'; expected"):
        settings()
    monkeypatch.delenv("PARALAB_MEMORY_USAGE_THRESHOLD")
    for text, value in (("1", True), ("off", False), ("TRUE", True)):
        monkeypatch.setenv("PARALAB_RECORD_REF_CREATION_SITES", text)
        assert settings()["record_ref_creation_sites"] is value
    with pytest.raises(TypeError, match="expected a dict"):
        settings("{}")  # type: ignore[arg-type]
