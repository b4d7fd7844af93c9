"""JupyterLab in a chromium without a screen, for tests.

Without a chromium, playwright or JupyterLab the tests are left out, and one line says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
NEEDED = ("playwright", "jupyterlab", "anywidget", "ipywidgets", "ipykernel")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
TOKEN = "a-test-of-paralab"
START_SECONDS = 120.0
STARTS = 3
WAIT_MS = 90_000
"""For what has to come from a kernel on a busy machine."""


def why_not() -> str:
    """Why there are no browser tests here; "" if there are."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if CHROMIUM is None:
        missing.append("chromium")
    return f"browser tests are left out: no {', '.join(missing)}" if missing else ""


@contextmanager
def browser() -> Iterator[Any]:
    """A chromium."""
    from playwright.sync_api import sync_playwright

    switches = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=switches)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """A JupyterLab whose files are in ``folder``; gives its address."""
    settings = folder / "home/.jupyter/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    # It would ask whether it may, and its question lies over the notebook.
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--port=0", "--ip=127.0.0.1", "--LabApp.expose_app_in_browser=True"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    paths = [str(ROOT / "runtime"), str(ROOT / "profiling")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "HOME": str(folder / "home"),
        "JUPYTER_RUNTIME_DIR": str(folder / "home" / "running"),
    }
    with (folder / "lab.log").open("wb") as log:
        for _ in range(STARTS):
            server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
            try:
                info = folder / "home" / "running" / f"jpserver-{server.pid}.json"
                address = _await(info, server)
                if address:
                    yield address
                    return
            finally:
                server.terminate()
                try:
                    server.wait(20)
                except subprocess.TimeoutExpired:
                    # Seen: its event loop has ended, and worker threads of AnyIO wait on for ever.
                    server.kill()
                    server.wait()
    raise AssertionError(f"JupyterLab did not start:\n{(folder / 'lab.log').read_text()[-2_000:]}")


def _await(info: Path, server: subprocess.Popen[bytes]) -> str:
    """The server's address when it answers; "" if it has ended or takes too long.

    It says in its file which free port it found.  Between finding and taking it another process
    may have taken it; then the server ends, and is to be started again.
    """
    for _ in range(int(START_SECONDS / 0.2)):
        try:
            address = f"http://127.0.0.1:{json.loads(info.read_text())['port']}"
            with urllib.request.urlopen(f"{address}/api?token={TOKEN}"):
                return address
        except (FileNotFoundError, json.JSONDecodeError, urllib.error.URLError, ConnectionError):
            try:
                server.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
            break
    return ""


def notebook(path: Path, *cells: str) -> None:
    """Writes a notebook."""
    code: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": [code | {"id": f"cell{at}", "source": cell} for at, cell in enumerate(cells)],
    }
    path.write_text(json.dumps(book))


def opened(browser: Any, address: str, name: str) -> Any:
    """A page on which the notebook of that name is open, and its kernel is ready."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(WAIT_MS)
    # A workspace of its own: no tab of another test comes back when it is loaded again.
    workspace = name.partition(".")[0]
    page.goto(f"{address}/lab/workspaces/{workspace}/tree/{name}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-NotebookPanel-notebook .jp-Cell")
    page.wait_for_function(
        "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status"
        " === 'idle'"
    )
    return page


def run_cell(page: Any, number: int) -> None:
    """Runs the cell of that number; does not wait for it."""
    page.evaluate("at => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = at }",
                  number)  # fmt: skip
    command(page, "notebook:run-cell")


def command(page: Any, name: str, **more: Any) -> None:
    """Has JupyterLab carry out a command; does not wait for what it starts."""
    page.evaluate("([name, more]) => void window.jupyterapp.commands.execute(name, more)",
                  [name, more])  # fmt: skip
