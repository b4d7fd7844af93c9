"""The command line: ``paralab start``, ``stop``, ``status``, ``memory``, ``microbenchmark``.

Each command imports what it needs when it runs, so that ``paralab --help`` stays quick.  Other
packages add theirs under the entry point ``paralab.commands``: its name is the command's, and what
it names is a click command, which is imported when it runs or says what it does.
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


class _Commands(click.Group):
    """The commands below, and those that other packages provide."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_others()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found is None and (other := _others().get(cmd_name)) is not None:
            try:
                found = other.load()
            except (ImportError, AttributeError) as error:
                raise click.ClickException(
                    f"'paralab {cmd_name}' comes with {other.value}, and that cannot be loaded: "
                    f"{error}"
                ) from error
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Only ours say what they do: the others would have to be imported.
        rows = [(name, each.get_short_help_str(60)) for name, each in self.commands.items()]
        rows += [(name, f"See 'paralab {name} --help'.") for name in _others()]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))


def _others() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {each.name: each for each in entry_points(group="paralab.commands")}


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
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


def _amounts(
    _context: click.Context, parameter: click.Parameter, text: str | None
) -> dict[str, float] | None:
    import json

    from paralab.options import check_resources

    if text is None:
        return None
    try:
        amounts = json.loads(text)
        check_resources(amounts, "--resources")
    except (ValueError, TypeError, AttributeError) as error:
        raise click.BadParameter(f"expected amounts such as '{{\"disk\": 2}}': {error}") from None
    return dict(amounts)


def _spill_folders(
    _context: click.Context, parameter: click.Parameter, folder: str | None
) -> tuple[str, ...]:
    from paralab.init_options import check_init_options

    try:
        return check_init_options({"object_spilling_directory": folder}).spill_folders
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _labels(
    _context: click.Context, parameter: click.Parameter, text: str | None
) -> dict[str, str] | None:
    from paralab.init_options import check_init_options

    if text is None:
        return None
    labels = dict(part.partition("=")[::2] for part in text.split(","))
    try:
        check_init_options({"labels": labels})
    except (ValueError, TypeError) as error:
        raise click.BadParameter(str(error)) from None
    return labels


@main.command()
@click.option("--head", is_flag=True, help="Start the first node, which is the only one so far.")
@click.option("--num-cpus", type=click.IntRange(0), help="CPUs for tasks; what there is.")
@click.option("--num-gpus", type=click.IntRange(0), help="GPUs for tasks; 0.")
@click.option("--resources", callback=_amounts, help="Further resources, as a JSON object.")
@click.option("--labels", callback=_labels, help="Labels of the node: 'zone=a,disk=ssd'.")
@click.option("--memory", type=click.IntRange(0), help="Bytes that tasks may ask for.")
@click.option("--object-store-memory", type=click.IntRange(1 << 20), help="Bytes of the store.")
@click.option(
    "--object-spilling-directory",
    "spill_folders",
    callback=_spill_folders,
    help="Where objects go that do not fit into the store; by default a temporary folder.",
)
@click.option("--block", is_flag=True, help="Return when the node ends; Ctrl-C ends it.")
def start(head: bool, block: bool, **amounts: Any) -> None:
    """Start a node that outlives its drivers, for notebooks and programs to share."""
    from paralab.process import session, session_folder

    if not head:
        raise click.UsageError("Nodes cannot join each other yet: give --head for the first.")
    for folder in session_folder.running(on_their_own=True):
        raise click.ClickException(
            f"A node runs already, at {session_folder.SCHEME}{folder}. 'paralab stop' ends it."
        )
    try:
        folder = session.start_node_alone(**amounts)
    except (RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"The node runs at {session_folder.SCHEME}{folder}")
    click.echo("Programs and notebooks on this machine join it by themselves: paralab.init()")
    click.echo("See what it does with 'paralab status'; end it with 'paralab stop'.")
    if block:
        from paralab.process.door import wait_for_end

        try:
            wait_for_end(folder)
        except KeyboardInterrupt:
            _stop(folder, 10.0)


@main.command()
@click.option("--force", is_flag=True, help="Kill a node that does not end in time.")
@click.option("--grace-period", type=click.FloatRange(0), default=10.0, show_default=True)
def stop(force: bool, grace_period: float) -> None:
    """End the nodes that "paralab start" has started, with all that runs on them."""
    from paralab.process import session_folder

    folders = session_folder.running(on_their_own=True)
    ended = sum(_stop(folder, grace_period, force) for folder in folders)
    if ended < len(folders):
        raise click.ClickException("A node did not end in time; 'paralab stop --force' kills it.")
    click.echo(f"Stopped {ended} node{'s' * (ended != 1)}." if ended else "No node is running.")


def _stop(folder: str, seconds: float, force: bool = False) -> bool:
    from paralab.process.door import end_node_at

    return end_node_at(folder, seconds, force)


@main.command()
@click.option("--address", help="Of the node; by default the one that runs.")
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def status(address: str | None, as_json: bool) -> None:
    """Show a node's resources, what waits for them, and who uses it."""
    import json

    from paralab.process.door import ask
    from paralab.process.session import find_node
    from paralab.process.session_folder import SCHEME
    from paralab.shown_text import shown_name

    try:
        folder = find_node(address or "auto")
        assert folder is not None
        facts = ask(folder, "status")
    except ConnectionError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"Node {facts['node_id'][:12]}, process {facts['pid']}, at {SCHEME}{folder}")
    plural = "" if facts["workers"] == 1 else "s"
    drivers = "drivers:" if facts["jobs"] else "no driver"
    click.echo(f"{facts['workers']} worker{plural}; {drivers}")
    for job in facts["jobs"]:
        space = shown_name(job["namespace"])
        click.echo(f"  job {job['job_id']}: process {job['pid']}, namespace {space}")
    click.echo("Resources in use:")
    for name, total in sorted(facts["total"].items()):
        used = total - facts["available"].get(name, 0.0)
        shown = shown_name(name)
        click.echo(f"  {_amount(name, used)} of {_amount(name, total)} {shown}")
    store = facts["store"]
    click.echo(
        f"Object store: {store['objects']:,} objects, {store['used'] >> 20:,} of "
        f"{store['capacity'] >> 20:,} MiB in use; {store['spilled_objects']:,} of them, "
        f"{store['spilled_bytes'] >> 20:,} MiB, lie in files."
    )
    click.echo("Waiting:" if facts["waiting"] else "Nothing waits.")
    for waiting in facts["waiting"]:
        what = shown_name(waiting["name"])
        click.echo(f"  {waiting['count']} × {what}: {waiting['resources']}")


@main.command()
@click.option("--address", help="Of the node; by default the one that runs.")
@click.option(
    "--group-by",
    type=click.Choice(["NODE_ADDRESS", "STACK_TRACE"], case_sensitive=False),
    default="NODE_ADDRESS",
    help="STACK_TRACE: by where objects were made.",
)
@click.option(
    "--sort-by",
    type=click.Choice(["PID", "OBJECT_SIZE", "REFERENCE_TYPE"], case_sensitive=False),
    default="OBJECT_SIZE",
    help="What rises from row to row.",
)
@click.option(
    "--units",
    type=click.Choice(["B", "KB", "MB", "GB"], case_sensitive=False),
    default="B",
    help="Of sizes.",
)
@click.option("--no-format", is_flag=True, help="No columns, however wide the terminal is.")
@click.option("--stats-only", is_flag=True, help="Nothing but the object store's figures.")
@click.option("--num-entries", "--n", type=click.IntRange(0), help="Rows of each group; all.")
def memory(address: str | None, no_format: bool, **how: Any) -> None:
    """Show every live ref: owner, size, who holds it, and where it was made."""
    import paralab
    from paralab.memory_summary import memory_summary

    try:
        paralab.init(address=address or "auto", log_to_driver=False, configure_logging=False)
    except (ConnectionError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    try:
        click.echo(memory_summary(line_wrap=not no_format, **how))
    finally:
        paralab.shutdown()


def _amount(name: str, amount: float) -> str:
    if name in ("memory", "object_store_memory"):
        return f"{amount / (1 << 30):.2f} GiB"
    return f"{amount:g}"


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
@click.option("--no-peers", is_flag=True, help="Leave out loky, joblib, Ray and Dask.")
def microbenchmark(
    json_file: Any, rows: str | None, runs: int | None, quick: bool, full: bool, no_peers: bool
) -> None:
    """Measure tasks, actors and objects next to the bare socket and other runtimes.

    Needs an idle machine and about five minutes, ten where Ray and Dask are installed.
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
