"""What the page of a live view makes of a frame, without a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from typing import Any

import pytest

NODE = shutil.which("node")
BEGIN = """
const frame = JSON.parse(require("fs").readFileSync(0, "utf8"));
const known = whole();
known.take(frame);
"""


def page_says(frame: dict[str, Any], code: str) -> Any:
    """What ``code`` returns: JavaScript that sees what is ``known`` after one ``frame``."""
    if NODE is None:
        pytest.skip("no node: what the page makes of frames is not looked at")
    folder = files("paralab_profiling.live")
    names = ("marks.js", "telling.js", "graph.js", "live.js")
    parts = [folder.joinpath(name).read_text("utf-8") for name in names]
    script = "\n".join(parts).replace("export default", "const own =")
    run = f"{script}{BEGIN}console.log(JSON.stringify((() => {{{code}}})()));"
    done = subprocess.run(
        [NODE, "-e", run], input=json.dumps(frame), capture_output=True, text=True, timeout=120,
        check=True,
    )  # fmt: skip
    return json.loads(done.stdout)
