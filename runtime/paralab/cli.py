"""The command line: ``paralab --version``, ``paralab microbenchmark``.

Each command imports what it needs when it runs, so that ``paralab --help`` stays quick.
"""

from __future__ import annotations

from typing import Any

import click


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("paralab")
    except metadata.PackageNotFoundError:
        return "unknown (not installed, run from its source)"


def _print_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"paralab {_version()}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Tasks, actors and objects on several processes, in pure Python."""


@main.command()
@click.option(
    "--json",
    "json_file",
    type=click.File("w", lazy=True),
    help="Write the report here; - is stdout.",
)
@click.option("--rows", help="Only these rows, comma-separated.")
@click.option("--runs", type=click.IntRange(1), help="Runs; 5, or 1 with --quick.")
@click.option("--quick", is_flag=True, help="Tiny sizes: does everything run?")
@click.option("--full", is_flag=True, help="Long rows too: 1,000 actors alive at once.")
@click.option("--no-peers", is_flag=True, help="Leave out loky, Ray and Dask.")
def microbenchmark(
    json_file: Any, rows: str | None, runs: int | None, quick: bool, full: bool, no_peers: bool
) -> None:
    """Measure tasks, actors and objects next to the bare socket and other runtimes.

    Needs an idle machine and about three minutes, eight where Ray and Dask are installed.
    """
    import json

    from rich.console import Console

    from paralab.benchmark.rows import find_rows
    from paralab.benchmark.run import Settings, run
    from paralab.benchmark.table import print_report

    try:
        chosen = find_rows(rows, full=full)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--rows") from None
    settings = Settings(chosen, runs or (1 if quick else 5), quick, not no_peers)
    progress = Console(stderr=True)
    with progress.status("starting") as status:
        report = run(settings, status.update)
    if json_file is None or json_file.name != "-":
        print_report(report, Console())
    if json_file is not None:
        json_file.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
