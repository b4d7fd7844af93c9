"""What ``import ray`` finds in a process that was started by one that has the alias.

This folder's parent stands in such a process's PYTHONPATH, before any installed Ray, so nothing
runs and nothing is imported until the program says ``import ray``.  Then paralab takes this
module's place in ``sys.modules``.
"""

import sys
from pathlib import Path

try:
    import paralab.as_ray
except ModuleNotFoundError as _missing:  # it is not installed: the parent had found it elsewhere
    if _missing.name != "paralab":
        raise
    sys.path.append(str(Path(__file__).parents[3]))
    import paralab.as_ray

paralab.as_ray.install()
