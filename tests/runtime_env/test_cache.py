"""Built environments are kept while somebody asks for them or uses them."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from paralab.runtime_env.cache import KEEP_SECONDS, clean, hold, open_lock


def make(cache: Path, name: str, age: float) -> Path:
    """An environment for which somebody asked ``age`` seconds ago."""
    home = cache / name
    (home / "bin").mkdir(parents=True)
    lock = home.with_suffix(".lock")
    os.close(open_lock(lock))
    then = time.time() - age
    os.utime(lock, (then, then))
    return home


def test_what_nobody_asked_for_in_a_month_goes(tmp_path: Path) -> None:
    old, new = make(tmp_path, "old", KEEP_SECONDS + 60), make(tmp_path, "new", KEEP_SECONDS - 60)
    (tmp_path / "not ours").mkdir()
    assert clean(tmp_path) == ["old"]
    assert (old.exists(), new.exists()) == (False, True)
    assert clean(tmp_path) == []
    assert sorted(os.listdir(tmp_path)) == ["new", "new.lock", "not ours", "old.lock"]


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    home = make(tmp_path, "used", 2 * KEEP_SECONDS)
    lock = str(home.with_suffix(".lock"))
    first, second = hold(lock), hold(lock)
    assert clean(tmp_path) == []
    os.close(first)
    assert clean(tmp_path) == []
    os.close(second)
    assert clean(tmp_path) == ["used"]


def test_a_builder_at_work_is_left_alone(tmp_path: Path) -> None:
    home = make(tmp_path, "half", 2 * KEEP_SECONDS)
    builder = open_lock(home.with_suffix(".lock"))
    fcntl.flock(builder, fcntl.LOCK_EX)
    assert clean(tmp_path) == []
    os.close(hold(str(home.with_suffix(".lock"))))  # does not wait either
    os.close(builder)
    assert clean(tmp_path) == ["half"]


def test_a_link_out_of_the_cache_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    cache = tmp_path / "cache"
    home = make(cache, "old", 2 * KEEP_SECONDS)
    (home / "link").symlink_to(outside)
    assert clean(cache) == ["old"]
    assert (outside / "precious").exists()
