"""The report as text: one block per row, one line per side, the subject first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from paralab.benchmark.rows import BARE, SIDES, SUBJECT

_BUSY = 0.3
"""Load average above which figures are not to be trusted on two cores."""


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; ``–`` for None."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def verdict(met: bool | None) -> Text:
    """``pass``, ``short`` or ``not measured``."""
    if met is None:
        return Text("not measured", style="yellow")
    return Text("pass", style="green") if met else Text("short", style="bold red")


def header(report: Mapping[str, Any]) -> str:
    """Machine, Python, load and versions, and what to mind when reading the figures."""
    machine, settings = report["machine"], report["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = " ".join(str(value) for value in machine["load"])
    lines = [
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['memory_gb']} GB",
        f"{machine['system']}, {machine['python']}, load before {load}",
        f"versions: {versions}",
        f"runs: {settings['runs']}, sides in turn; median, spread from lowest to highest",
    ]
    if machine["load"][0] > _BUSY:
        lines.append(f"The machine was busy (load {machine['load'][0]}): trust ratios only.")
    if settings["quick"]:
        lines.append("Quick sizes: this shows that the rows run, the figures mean nothing.")
    return "\n".join(lines)


def _side_cells(name: str, side: Mapping[str, Any], unit: str) -> list[Text | str]:
    title = SIDES[name].title
    if side["median"] is None:
        return [f"  {title}", Text(str(side["error"] or "not measured"), style="yellow")]
    per_second = "" if unit.startswith("/") else " "
    spread = f"{number(side['low'])} – {number(side['high'])}"
    if side["error"]:
        failed = side["runs"].count(None)
        spread += f" ({failed} failed)"
    return [
        Text(f"  {title}", style="bold" if name == SUBJECT else ""),
        f"{number(side['median'])}{per_second}{unit}",
        spread,
        "" if name == BARE or side["of_bare"] is None else f"{side['of_bare']:.2f}",
        "" if name == BARE or side["cpu_us_added"] is None else f"{side['cpu_us_added']:+.1f}",
    ]


def _blocks(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Titles and errors may be longer than a cell, so they stand between tables."""
    for row in report["rows"]:
        title = Text(row["title"], style="bold")
        if row["pinned"]:
            title.append("  (driver and worker each on a core of its own)", style="dim")
        yield title
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column(width=22)
        for width, justify in ((14, "right"), (21, "right"), (8, "right"), (11, "right")):
            table.add_column(width=width, justify=justify)  # type: ignore[arg-type]
        errors: list[Text] = []
        for name, side in row["sides"].items():
            cells = _side_cells(name, side, row["unit"])
            if side["median"] is None:
                errors.append(Text.assemble(cells[0], ": ", cells[1]))
            else:
                table.add_row(*cells)
        if table.row_count:
            yield table
        yield from errors
        for goal in row["goals"]:
            line = Text(f"  goal {goal['text']}: ")
            if goal["value"] is not None:
                line.append(f"{number(goal['value'])} ")
            yield line.append_text(verdict(goal["met"]))
        yield Text()


def render(report: Mapping[str, Any]) -> RenderableType:
    """The whole report."""
    columns = f"{'':22} {'median':>14} {'spread':>21} {'× bare':>8} {'CPU µs more':>11}"
    goals = report["goals"]
    parts: list[RenderableType] = [Text(header(report)), Text(), Text(columns, style="dim")]
    parts.extend(_blocks(report))
    if report["left_behind"]:
        left = ", ".join(f"{SIDES[s].title}: {n}" for s, n in report["left_behind"].items())
        parts.append(Text(f"processes left behind, killed: {left}", style="yellow"))
    parts.append(
        Text(
            f"goals: {goals['met']} met, {goals['short']} short, "
            f"{goals['not_measured']} not measured"
        )
    )
    return Group(*parts)


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Prints the report to ``console``."""
    console.print(render(report), soft_wrap=False)
