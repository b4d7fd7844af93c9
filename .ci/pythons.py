"""Prints ``3.12=/path/to/python`` for each supported Python on this machine but the running one.

Looked for on PATH and among pyenv's versions; counted is only what runs and can make a venv.
"""

import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13")
CHECK = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"


def works(python: str, version: str) -> bool:
    """Whether ``python`` is a Python ``version`` that can make virtual environments."""
    # pyenv puts commands on PATH that only say that they are not switched on.
    done = subprocess.run([python, "-c", CHECK], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


for version in SUPPORTED:
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        continue
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), reverse=True)
    for python in [shutil.which(f"python{version}"), *map(str, pyenv)]:
        if python and works(python, version):
            print(f"{version}={python}")
            break
