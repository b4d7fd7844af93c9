"""binder/ is complete, as far as that can be seen without the service.

repo2docker looks in binder/ alone once there is such a folder, and takes the first of its build
packs that finds its file: a Dockerfile or an environment.yml would win over requirements.txt.
Source: its documentation, "Configuration Files".
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
BINDER = ROOT / "binder"
WORKSPACE = BINDER / "tour.jupyterlab-workspace"


def run(command: list[str], folder: Path, **variables: str) -> str:
    """What a command prints that a build or a start runs in the repository's folder."""
    environment = os.environ | {"HOME": str(folder)} | variables
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_other_file_wins() -> None:
    assert sorted(path.name for path in BINDER.iterdir()) == [
        "postBuild", "requirements.txt", "runtime.txt", "start", WORKSPACE.name,
    ]  # fmt: skip
    assert not (ROOT / ".binder").exists(), "with both folders repo2docker refuses to build"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_repo2docker_takes_these_files(tmp_path: Path) -> None:
    """Where it is installed: the steps of the image that it would build, without building it."""
    pytest.importorskip("repo2docker")
    for name in ("binder", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    version = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    assert f"python={version}" in done.stderr, "the conda environment that it would make"
    steps = [line for line in done.stdout.splitlines() if "src/ " in line or "binder/" in line]
    wanted = (
        "COPY .* src/ ",  # all of it first, for what is installed is the repository itself
        "RUN .*pip install .*-r .?binder/requirements.txt",
        r"RUN \./binder/postBuild",
        "ENV R2D_ENTRYPOINT=.*/binder/start",
    )
    places = [[at for at, line in enumerate(steps) if re.match(each, line)] for each in wanted]
    assert all(len(found) == 1 for found in places), done.stdout
    assert places == sorted(places)


def test_the_python_is_one_that_is_supported() -> None:
    name, _, version = (BINDER / "runtime.txt").read_text().strip().partition("-")
    assert name == "python"
    assert f'"Programming Language :: Python :: {version}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_can_be_run(name: str) -> None:
    script = BINDER / name
    assert script.read_text().startswith("#!/bin/bash\n")
    assert os.access(script, os.X_OK)


@pytest.mark.timeout(300)
def test_start_runs_what_it_is_given(tmp_path: Path) -> None:
    code = "import os; print(os.environ['OPENBLAS_NUM_THREADS'], os.getpid() == os.getsid(0))"
    out = run(["setsid", "--wait", str(BINDER / "start"), sys.executable, "-c", code], tmp_path)
    assert out == "1 True\n", "the script has become the command: signals reach it"


def cells_docked() -> list[tuple[str, int]]:
    """The notebook and the number of each cell whose output the workspace shows."""
    data = json.loads(WORKSPACE.read_text())["data"]
    return [
        (each["data"]["path"], each["data"]["index"])
        for name, each in data.items()
        if name.startswith("cloned-outputs:")
    ]


def test_the_workspace_shows_pictures() -> None:
    docked = cells_docked()
    assert len(docked) == 2
    for path, number in docked:
        cell = json.loads((ROOT / path).read_text())["cells"][number]
        assert any("text/html" in output.get("data", {}) for output in cell["outputs"])


def named_widgets(area: dict[str, Any]) -> list[str]:
    found: list[str] = list(area.get("widgets", ()))
    for child in area.get("children", ()):
        found += named_widgets(child)
    return found


def test_the_workspace_has_all_that_it_places() -> None:
    data = json.loads(WORKSPACE.read_text())["data"]
    placed = named_widgets(data["layout-restorer:data"]["main"]["dock"])
    assert set(placed) == {name for name in data if name.startswith(("notebook:", "cloned-"))}
    assert data["layout-restorer:data"]["main"]["current"] in placed


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_post_build_in_a_scratch_folder(tmp_path: Path) -> None:
    pytest.importorskip("jupyterlab")
    run([str(BINDER / "postBuild")], tmp_path)
    (saved,) = (tmp_path / ".jupyter" / "lab" / "workspaces").iterdir()
    assert json.loads(saved.read_text())["metadata"]["id"] == "tour"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_package_is_found(tmp_path: Path) -> None:
    """By itself, at a release that its Python can have; whether they agree `make lab` shows."""
    assert (BINDER / "requirements.txt").read_text() == "-e .[lab]\n"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["lab"]]
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed"]
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*pip, "--quiet", "--only-binary=:all:", "--report", str(report), *wanted],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(json.loads(report.read_text())["install"]) == len(wanted)
