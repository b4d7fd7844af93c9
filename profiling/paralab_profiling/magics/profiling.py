"""``%%profile``: a cell, and what its tasks did inside, by the profiler that is named.

The cell runs as it would without the magic, and its value stays its value.  What ran of it is shown
even if the cell fails.
"""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from paralab_profiling.magics import arguments, cells
from paralab_profiling.magics.measuring import start_if_needed
from paralab_profiling.profilers.tools import TOOLS

_DRIVER = 'measure the cell\'s own code in the notebook too, as "this process"'


@magics_class
class ProfilingMagics(Magics):
    """``%%profile``."""

    @no_var_expand
    @magic_arguments()
    @argument("tool", nargs="?", default="pyinstrument", help=", ".join(TOOLS))
    @argument("--driver", action="store_true", help=_DRIVER)
    @argument("--interval", type=float, metavar="SECONDS", help="pyinstrument: between samples")
    @argument("--clock", metavar="NAME", help="cprofile: wall, or cpu for the time of computing")
    @argument("-o", dest="output", type=arguments.name, metavar="NAME",
              help="bind the profile, which has .own(name), .save(path) and more")  # fmt: skip
    @cell_magic
    def profile(self, line: str, cell: str) -> Any:
        """What the tasks of a cell did inside: ``%%profile cprofile`` above its code.

        Tasks that these submit are profiled too.  ``%%profile;`` does not show the profile.
        """
        __tracebackhide__ = True
        from paralab_profiling import profile

        options = arguments.parse(self.profile, line)
        given = {"interval": options.interval, "clock": options.clock}
        settings = {name: value for name, value in given.items() if value is not None}
        block = profile(options.tool, driver=options.driver, **settings)
        parsed = cells.parse(self.shell, f"%%profile {line}", cell)
        start_if_needed()
        is_shown = not line.rstrip().endswith(";")
        try:
            with block:
                value = cells.run_here(self.shell, parsed)
        except Exception:
            if is_shown and block.result.tasks:
                display(block.result)
            raise
        if options.output:
            self.shell.user_ns[options.output] = block
        if is_shown:
            display(block.result)
        return value
