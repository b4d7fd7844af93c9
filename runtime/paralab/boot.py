"""Commands that run a fresh interpreter with this very paralab, whatever else is installed.

``-P`` keeps the current folder out of the import path: a user's ``copy.py`` would break the start.
"""

from __future__ import annotations

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder that paralab lies in."""
# The driver's own paralab, even if another one is installed; in front of nothing else.
_FIND = (
    "import sys, importlib.util, importlib.machinery; "
    "sys.path.append(sys.argv[1]); "
    "spec = importlib.machinery.PathFinder.find_spec('paralab', sys.path[-1:]); "
    "sys.modules['paralab'] = package = importlib.util.module_from_spec(spec); "
    "spec.loader.exec_module(package); "
)
_RUN_WORKER = (
    "import os, socket; from paralab.process.worker import main; "
    "os._exit(main(socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3])))"
)


def python_command(code: str, *arguments: int, python: str = "") -> list[str]:
    """The command that runs ``code``, whose arguments begin at ``sys.argv[2]``."""
    return [python or sys.executable, "-P", "-c", _FIND + code, ROOT, *map(str, arguments)]


def with_paralab(variables: dict[str, str]) -> dict[str, str]:
    """Variables with which Python processes that a worker starts can import paralab too.

    Where it is installed they can anyway, and a folder of packages must not stand in front.
    """
    if os.path.basename(ROOT) not in ("site-packages", "dist-packages"):
        parts = variables.get("PYTHONPATH", "").split(os.pathsep)
        if ROOT not in parts:
            variables["PYTHONPATH"] = os.pathsep.join([*filter(None, parts), ROOT])
    return variables


def start_worker(python: str, variables: dict[str, str], sock: int, out: int, err: int) -> int:
    """Starts a worker as a fresh interpreter and returns its pid, for which the node waits.

    Args:
        python: the interpreter; "" is the one that runs here.
        variables: added to those of this process.
        sock, out, err: what the zygote is sent for a worker that it forks, see there.
    """
    process = subprocess.Popen(
        python_command(_RUN_WORKER, sock, os.getpid(), python=python),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        pass_fds=[sock],
        env=with_paralab({**os.environ, **variables}),
    )
    process.returncode = 0
    return process.pid
