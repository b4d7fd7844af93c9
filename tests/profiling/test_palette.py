"""Hues: the same for a function everywhere, and two functions told apart for long."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from paralab_profiling.palette import COLOURS, Hue, Palette
from paralab_profiling.svg import Drawing


def test_a_function_keeps_its_hue() -> None:
    palette = Palette("clean")
    first = palette.hue("load")
    assert palette.hue("merge") != first
    assert palette.hue("load") == first
    assert palette.hue("clean") == Hue(COLOURS[0])


def test_fifteen_functions_look_different() -> None:
    palette = Palette()
    assert len({palette.hue(f"f{n}") for n in range(15)}) == 15
    assert palette.hue("f0").texture == ""


def test_textures_stand_in_the_drawing_once() -> None:
    drawing = Drawing()
    hue = Hue(COLOURS[1], "dots")
    fill = drawing.fill(hue)
    assert drawing.fill(hue) == fill
    assert drawing.fill(Hue(COLOURS[1])) == COLOURS[1]
    drawing.box(0, 0, 10, 10, fill, stroke="#000", is_dashed=True, tip="<b>", task='"><x')
    drawing.arrow(0, 0, 50, 10, between=("<", ">"))
    drawing.ring(5, 5, 4, task="p")
    drawing.cross(1, 1)
    svg = drawing.finish("title", "text")
    root = ET.fromstring(svg)
    assert fill.removeprefix("url(#").removesuffix(")") in svg.partition("</defs>")[0]
    marked = [each.get("data-task") for each in root.iter() if each.get("data-task")]
    assert marked == ['"><x', "p"]
