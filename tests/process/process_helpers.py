"""What the tests of the processes share."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paralab.engine import current

LARGE = 300_000
"""Bytes of a value that goes to the store."""


def eventually(check: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Asks until ``check()`` is true; each question is a round trip to the node."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not so after {seconds} s: {check}"
        current().info("workers")
    return found


def stored() -> int:
    """How many objects the store holds."""
    return int(current().info("store")["objects"])


def make_wheel(folder: Path, name: str, version: str, source: str) -> Path:
    """A wheel with a single module, as a builder would make it."""
    module = name.replace("-", "_")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(file, text)
    return path
