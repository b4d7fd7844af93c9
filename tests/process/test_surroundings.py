"""Workers stand where the driver stands: import path and folder, also when these change."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import paralab


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with a module of its own; path and folder of this process are put back."""
    path, folder = list(sys.path), os.getcwd()
    (tmp_path / f"module_of_{tmp_path.name}.py").write_text("VALUE = 3\n")
    yield tmp_path
    sys.path[:] = path
    os.chdir(folder)


@paralab.remote
def look(function: Callable[[], Any]) -> Any:
    return function()


@paralab.remote
def value(name: str) -> Any:
    import importlib

    return importlib.import_module(name).VALUE


@paralab.remote
class Where:
    def folder(self) -> str:
        return os.getcwd()


def test_what_was_appended_after_init_is_found_by_a_new_function(session: Any, place: Path) -> None:
    name = f"module_of_{place.name}"
    assert paralab.get(look.remote(lambda: 1)) == 1
    sys.path.append(str(place))
    assert paralab.get(value.remote(name)) == 3


def test_what_was_appended_is_found_by_an_old_function_with_a_new_lease(
    session: Any, place: Path
) -> None:
    name = f"module_of_{place.name}"
    with pytest.raises(ModuleNotFoundError):
        paralab.get(value.remote(name))
    sys.path.append(str(place))
    paralab.available_resources()  # leases without work go back
    assert paralab.get(value.remote(name)) == 3


def test_the_folder_follows_chdir_but_not_under_an_actor(session: Any, place: Path) -> None:
    before = os.getcwd()
    actor = Where.remote()
    assert paralab.get(actor.folder.remote()) == before
    os.chdir(place)
    assert paralab.get(look.options(name="new").remote(os.getcwd)) == str(place)
    assert paralab.get(actor.folder.remote()) == before
    later = Where.remote()
    assert paralab.get(later.folder.remote()) == str(place)


def test_a_running_task_is_not_moved(session: Any, place: Path) -> None:
    os.mkfifo(place / "go")

    def twice() -> tuple[str, str]:
        first = os.getcwd()
        (place / "go").read_text()
        return first, os.getcwd()

    before = os.getcwd()
    ref = paralab.remote(twice).remote()
    with open(place / "go", "w"):  # the task runs
        os.chdir(place)
        assert paralab.get(look.options(num_cpus=0).remote(os.getcwd)) == str(place)
    assert paralab.get(ref) == (before, before)
