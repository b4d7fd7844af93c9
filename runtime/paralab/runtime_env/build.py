"""Builds an interpreter with packages of its own: what the node's builder process runs.

    <cache>/<hash>.lock     held by the builder and by what it runs; the kernel frees it (cache.py)
    <cache>/<hash>/         a virtual environment that sees the packages of the one it is based on
    <cache>/<hash>/ready    written last: without it, what is there is half done, and goes

The hash is over what was asked for and the interpreter it is for, so sessions of one user share
what has been built, and one that differs in anything is another.  Killed at any point, nothing is
left that a later session would take for whole.  The description comes by standard input, the
answer goes by standard output, both JSON: ``{"python", "env_vars", "lock"}`` or ``{"error"}``.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paralab import platform
from paralab.runtime_env.cache import cache_folder, clean, open_lock

LINES = 40
"""Last lines of an installer that failed."""
_MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "UV_SYSTEM_PYTHON")
"""Variables that would send packages elsewhere."""


class BuildError(Exception):
    """An environment cannot be built; the text is for the user."""


def main() -> None:
    """Builds what is described at standard input."""
    signal.signal(signal.SIGTERM, _end_group)
    platform.die_with_parent(os.getppid(), signal.SIGTERM)
    description = json.load(sys.stdin)
    answer_to = os.dup(1)
    os.dup2(2, 1)  # nothing but the answer goes there
    seconds = description.get("config", {}).get("setup_timeout_seconds", 600)
    signal.signal(signal.SIGALRM, _time_is_up)
    signal.setitimer(signal.ITIMER_REAL, max(0, seconds))
    try:
        answer = build(description)
    except TimeoutError:
        answer = {"error": f"It took longer than setup_timeout_seconds={seconds}."}
    except BuildError as error:
        answer = {"error": str(error)}
    except BaseException:
        answer = {"error": f"Building it failed.\n{traceback.format_exc()}"}
    with open(answer_to, "w", encoding="utf-8") as out:
        json.dump(answer, out)


def _end_group(_signal: int, _frame: Any) -> None:
    os.killpg(0, signal.SIGKILL)


def _time_is_up(_signal: int, _frame: Any) -> None:
    raise TimeoutError


def build(description: dict[str, Any]) -> dict[str, Any]:
    """Builds an environment, or finds it built; returns its interpreter and variables.

    Raises:
        BuildError: it cannot be built.
    """
    tool = "uv" if description.get("uv") else "pip"
    wanted = description[tool]
    try:
        cache = cache_folder()
    except PermissionError as error:
        raise BuildError(str(error)) from None
    home = cache / _name(tool, wanted)
    lock = open_lock(home.with_suffix(".lock"))
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        os.utime(lock)
        is_built = (home / "ready").exists()
        if not is_built:
            fcntl.flock(lock, fcntl.LOCK_EX)  # others may wait for it too, and be first
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            try:
                _make(home)
                scratch = home / "tmp"  # so that a killed installer leaves nothing elsewhere
                scratch.mkdir()
                variables = {**_variables(home), **description.get("env_vars", {})}
                install = _install_uv if tool == "uv" else _install_pip
                install(home, wanted, {**variables, "TMPDIR": str(scratch)}, lock)
                shutil.rmtree(scratch)
                (home / "ready").touch()
            except BaseException:
                shutil.rmtree(home, ignore_errors=True)
                raise
    finally:
        os.close(lock)
    if not is_built:
        clean(cache)
    python = str(home / "bin" / "python")
    return {"python": python, "env_vars": _variables(home), "lock": str(home) + ".lock"}


def _variables(home: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(home / "bin"), os.environ.get("PATH", "")]))
    return {"VIRTUAL_ENV": str(home), "PATH": path}


def _base_packages() -> list[str]:
    names = ("site-packages", "dist-packages")
    return [path for path in sys.path if os.path.basename(path) in names]


def _name(tool: str, wanted: dict[str, Any]) -> str:
    files = []
    for line in wanted["packages"]:
        # A wheel or folder that is built anew under the same name is another package.
        path = line.partition("@ file://")[2] or line
        if os.path.exists(path):
            found = os.stat(path)
            files.append((os.path.abspath(path), found.st_mtime_ns, found.st_size))
    asked = [tool, wanted, files, sys.version, sys.prefix, _base_packages()]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def _make(home: Path) -> None:
    """An interpreter whose packages are its own first, then those of this one."""
    venv.EnvBuilder(symlinks=True).create(home)
    packages = next((home / "lib").glob("python*/site-packages"))
    lines = [f"import site; site.addsitedir({path!r})\n" for path in _base_packages()]
    # Read last, in the order of names.
    (packages / "zzz_paralab_base.pth").write_text("".join(lines))


def _install_pip(home: Path, wanted: dict[str, Any], variables: dict[str, str], lock: int) -> None:
    pip = _pip(home, variables, lock)
    quiet = ["--disable-pip-version-check", "--no-input"]
    if "pip_version" in wanted:
        version = f"pip{wanted['pip_version']}"
        _run([*pip, "install", *quiet, version], f"Installing {version}", variables, lock)
    file = _requirements(home, wanted)
    command = [*pip, "install", *quiet, "-r", file, *wanted.get("pip_install_options", [])]
    _run(command, _what("pip", wanted), variables, lock)
    if wanted["pip_check"]:
        _run([*pip, "check", *quiet], "pip check", variables, lock)


def _pip(home: Path, variables: dict[str, str], lock: int) -> list[str]:
    python = str(home / "bin" / "python")
    if importlib.util.find_spec("pip") is None:
        _run([python, "-m", "ensurepip"], "Installing pip itself", variables, lock)
    return [python, "-m", "pip"]


def _install_uv(home: Path, wanted: dict[str, Any], variables: dict[str, str], lock: int) -> None:
    if "uv_version" in wanted:
        version = f"uv{wanted['uv_version']}"
        pip = _pip(home, variables, lock)
        _run([*pip, "install", version], f"Installing {version}", variables, lock)
        uv = [str(home / "bin" / "python"), "-m", "uv"]
    elif found := shutil.which("uv"):
        uv = [found]
    elif importlib.util.find_spec("uv") is not None:
        uv = [sys.executable, "-m", "uv"]
    else:
        raise BuildError(
            "uv is not installed: install it (pip install uv), or use runtime_env['pip'], which "
            "takes the same list."
        )
    into = ["--python", str(home / "bin" / "python")]
    options = wanted.get("uv_pip_install_options", [])
    command = [*uv, "pip", "install", *into, "-r", _requirements(home, wanted), *options]
    _run(command, _what("uv", wanted), variables, lock)
    if wanted["uv_check"]:
        _run([*uv, "pip", "check", *into], "uv pip check", variables, lock)


def _what(tool: str, wanted: dict[str, Any]) -> str:
    return f"Installing {', '.join(wanted['packages'])} by {tool}"


def _requirements(home: Path, wanted: dict[str, Any]) -> str:
    file = home / "requirements.txt"
    file.write_text("".join(f"{line}\n" for line in wanted["packages"]), encoding="utf-8")
    return str(file)


def _run(command: Sequence[str], what: str, variables: dict[str, str], lock: int) -> None:
    """Runs a command to its end, which ends with this process.

    Raises:
        BuildError: it failed; its last lines are in the text.
    """
    builder = os.getpid()
    environment = {name: v for name, v in os.environ.items() if name not in _MISLEADING}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment, **variables},
        pass_fds=[lock],
        preexec_fn=lambda: platform.die_with_parent(builder, signal.SIGKILL),  # noqa: PLW1509
    ) as running:
        try:
            output, _nothing = running.communicate()
        except BaseException:
            running.kill()
            raise
    if running.returncode:
        lines = output.decode("utf-8", "backslashreplace").splitlines()[-LINES:]
        said = "\n".join(lines)
        raise BuildError(f"{what} failed with code {running.returncode}. It said:\n{said}")
