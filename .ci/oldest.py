"""Prints pip constraints that hold each dependency at its lower bound in pyproject.toml.

What only runs the tests (pytest and so on) is left free; what paralab itself meets is not.
"""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
numpy = [line for line in extras["test-fast"] if line.startswith("numpy")]
wanted = project["dependencies"] + numpy + extras["test-magics"]
for line in wanted:
    name, bound = re.fullmatch(r"([\w.-]+)>=([\w.]+)", line).groups()
    print(f"{name}=={bound}")
