"""``python -m paralab_profiling.live``: what live views cost, measured in a kernel of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from importlib import import_module

from paralab_profiling.live.cost import NO_OPS, PAIRS, TASKS, check
from paralab_profiling.live.view import KINDS


def main(arguments: Iterable[str] | None = None) -> None:
    """Measures in a kernel of its own and prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m paralab_profiling.live",
        description="Measures what live views cost the work that they show.",
    )
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"runs of each ({PAIRS})")
    parser.add_argument("--no-ops", type=int, default=NO_OPS, help=f"no-ops a run ({NO_OPS:,})")
    parser.add_argument("--tasks", type=int, default=TASKS, help=f"1 ms tasks a run ({TASKS:,})")
    parser.add_argument("--kind", choices=KINDS, action="append", help="of view; by default all")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    values = (tuple(chosen.kind or KINDS), chosen.pairs, chosen.no_ops, chosen.tasks)
    try:
        check(*values)
    except ValueError as error:
        parser.error(str(error))
    cell = (
        "import paralab\n"
        "from paralab_profiling.live.cost import live_cost\n"
        "paralab.init(num_cpus=2)\n"
        "try:\n"
        f"    print(live_cost{values!r})\n"
        "finally:\n"
        "    paralab.shutdown()\n"
    )
    nbclient, nbformat = import_module("nbclient"), import_module("nbformat")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    try:
        nbclient.NotebookClient(book, timeout=None, kernel_name="python3").execute()
    except nbclient.exceptions.CellExecutionError as error:
        sys.exit(f"{error.ename}: {error.evalue}")
    outputs = book.cells[0].outputs
    printed = [each.text for each in outputs if each.get("name") == "stdout"]
    sys.stdout.write("".join(printed))


if __name__ == "__main__":
    main()
