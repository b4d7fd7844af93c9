"""Environments for tasks and actors: variables, files, modules and packages that workers have.

::

    paralab.init(runtime_env={"working_dir": ".", "pip": ["requests"]})
    f.options(runtime_env={"env_vars": {"MODE": "test"}}).remote()

What a task or actor asks for is laid over what its parent has, the driver's ``init`` at the top:
``env_vars`` are merged, every other field is replaced.  Workers are kept apart by environment,
so a task never runs in another's.

    fields.py    what each field may be                     at once, where you wrote it
    packages.py  copies of folders, by their content        at the first .remote()
    on_client.py which environment a task wants             likewise; the node is told its name
    on_node.py   starting builders, and workers of each     when a request names it
    build.py     packages, in an interpreter of their own   in a process beside the node, once
    cache.py     where those are kept, and until when       likewise
    variables.py which of them may come after the fork      when a worker is started, and there
    surroundings.py  what a worker takes over               before its first task
    here.py      the same for this process                  in local_mode
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paralab.runtime_env.runtime_env import RuntimeEnv, RuntimeEnvConfig

__all__ = ["RuntimeEnv", "RuntimeEnvConfig"]


def __getattr__(name: str) -> Any:
    # Loaded when it is used: every worker needs this package, and few need these.
    if name in __all__:
        from paralab.runtime_env import runtime_env

        return getattr(runtime_env, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
