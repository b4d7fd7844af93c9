"""Variables of an environment: what they are, and whether a worker may get them after its fork.

A forked worker has everything imported, in milliseconds; a fresh interpreter takes some tenths of a
second.  A variable may come after the fork if nothing has read it before it: not the interpreter,
the loader, the C library or NumPy, which the zygote has loaded.  Libraries of the user are imported
later, by a task, and find it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

INSTALLED = ("pip", "uv")
"""Fields that need an interpreter with packages of its own."""
_READ_EARLY = re.compile(
    # the interpreter and paralab
    r"PYTHON|PARALAB_|RAY_|COVERAGE_|TMPDIR$|TEMP$|TMP$|TZ$|LANG|LC_|LOCPATH$|"
    # the loader and the allocators
    r"LD_|GLIBC_|MALLOC_|MIMALLOC_|TCMALLOC_|GCONV_|[A-Z]*SAN_OPTIONS$|"
    # NumPy and what it computes with
    r"NPY_|NUMPY_|OMP_|GOMP_|KMP_|OPENBLAS_|GOTO_|MKL_|BLIS_|ATLAS_|VECLIB_|NUMEXPR_"
)


def come_after_the_fork(environment: Mapping[str, Any]) -> bool:
    """Whether a worker of this environment may be forked."""
    if any(environment.get(field) for field in INSTALLED):
        return False
    return not any(map(_READ_EARLY.match, environment.get("env_vars", {})))


def expanded(variables: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """The variables; ``${NAME}`` in one stands for what NAME is in ``known``."""
    return {
        name: re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], ""), value)
        for name, value in variables.items()
    }


def set_here(environment: Mapping[str, Any]) -> None:
    """Gives a worker that was forked the variables of its environment."""
    if come_after_the_fork(environment):
        os.environ.update(expanded(environment.get("env_vars", {}), os.environ))
