"""``paralab profile``: from a shell, what a running session does now.

The command joins the session as a driver of its own, looks, and leaves; the session goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

import paralab
from paralab.process import session_folder
from paralab_profiling.attaching.attach import attach
from paralab_profiling.attaching.outside import look
from paralab_profiling.attaching.targets import AttachError, NotHereError
from paralab_profiling.profilers import words
from paralab_profiling.profilers.result import Profile

ENDINGS = (".json", ".json.gz", ".html", ".svg", ".collapsed")
"""Of files that a profile can be written to; ``.speedscope.json`` is one of the first."""


def _output(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuses a file that could not be written before anything is measured."""
    if path is None:
        return None
    if not path.name.endswith(ENDINGS):
        raise click.BadParameter(
            f"{path.name}: expected a name that ends with .speedscope.json, {', '.join(ENDINGS)}."
        )
    if not path.parent.is_dir():
        raise click.BadParameter(f"There is no folder {path.parent}.")
    return path


@click.command()
@click.argument("target", required=False, metavar="[PID|ACTOR|driver]")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 3_600, min_open=True),
    default=5.0,
    show_default=True,
    help="How long; Ctrl-C ends it earlier and shows what was seen.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_output,
    help="A file: .speedscope.json, .html, .svg, .collapsed, or .json, which Profile.load reads.",
)
@click.option(
    "--method",
    type=click.Choice(["sampler", "py-spy"]),
    default="sampler",
    help="py-spy looks from outside, also at a process that hangs.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.001, 1),
    default=0.01,
    show_default=True,
    help="Seconds from look to look.",
)
@click.option("--namespace", help="Of the actor; by default any.")
@click.option("--address", help="Of the node; by default those that run.")
def profile(
    target: str | None,
    seconds: float,
    output: Path | None,
    method: str,
    interval: float,
    namespace: str | None,
    address: str | None,
) -> None:
    """Show what a worker, an actor or the driver does now; without a target, all workers.

    Nothing has to be prepared or restarted.  TARGET is a pid, an actor's name or id, or "driver".
    """
    meant = int(target) if target is not None and target.isdecimal() else target
    try:
        found = _looked(meant, seconds, method, interval, namespace, address)
    except (AttachError, ConnectionError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if output is not None:
        try:
            found.save(output)
        except OSError as error:
            raise click.ClickException(f"{output} could not be written: {error}") from None
    for line in (words.title(found), words.note(found)):
        click.echo(click.wrap_text(line))
    click.echo("")
    click.echo(words.tree(found))
    if output is not None:
        click.echo(f"\nWritten to {output}")


def _looked(
    target: int | str | None,
    seconds: float,
    method: str,
    interval: float,
    namespace: str | None,
    address: str | None,
) -> Profile:
    """The profile, from the first session that knows the target.

    Raises:
        AttachError: none does, or it cannot be looked at.
        ConnectionError: no session runs.
    """
    unknown: NotHereError | None = None
    for each in [address] if address is not None else _addresses():
        try:
            paralab.init(
                address=each, namespace=namespace, log_to_driver=False, configure_logging=False
            )
        except ConnectionError:
            if address is not None:
                raise
            continue  # it has ended this moment
        try:
            return attach(target, seconds, method=method, interval=interval, namespace=namespace)
        except NotHereError as error:
            unknown = unknown or error
        finally:
            paralab.shutdown()
    if method == "py-spy" and isinstance(target, int):
        return look(target, seconds, interval, namespace)
    if unknown is not None:
        raise unknown
    raise ConnectionError(
        "No session of paralab runs on this machine, so there is nothing to look at. Any process "
        "of yours can be looked at by its pid with --method py-spy."
    )


def _addresses() -> Iterator[str]:
    alone, every = (session_folder.running(on_their_own=each) for each in (True, False))
    for folder in dict.fromkeys([*alone, *every]):
        yield f"{session_folder.SCHEME}{folder}"
