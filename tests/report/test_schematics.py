"""Schematics are sound SVG, say in words what they show, and keep their words inside."""

from xml.etree import ElementTree

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from lib.report.schematics import SCHEMATICS, WIDTH, schematic_svg, show_schematic

SVG = "{http://www.w3.org/2000/svg}"
WIDE_FONT = FontProperties(family="DejaVu Sans")  # as wide as any that a page uses


def parsed(name):
    return ElementTree.fromstring(
        schematic_svg(name).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    )


@pytest.mark.parametrize("name", SCHEMATICS)
def test_is_xml_with_a_name_for_screen_readers(name):
    root = parsed(name)
    assert root.get("role") == "img"
    assert len(root.get("aria-label")) > 40


@pytest.mark.parametrize("name", SCHEMATICS)
def test_words_stay_inside_the_view_box(name):
    height = SCHEMATICS[name].height
    for element in parsed(name).iter(f"{SVG}text"):
        box = TextPath((0, 0), element.text, size=13, prop=WIDE_FONT).get_extents()
        before = {"start": 0, "middle": 0.5, "end": 1}[element.get("text-anchor")]
        left = float(element.get("x")) - before * box.width
        assert -2 <= left and left + box.width <= WIDTH + 2, element.text
        assert 12 <= float(element.get("y")) <= height, element.text


def test_identifiers_of_a_page_differ():
    ids = [
        element.get("id")
        for name in SCHEMATICS
        for element in parsed(name).iter()
        if element.get("id")
    ]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", SCHEMATICS)
def test_colours_come_from_the_page_alone(name):
    """Light and dark are told by the style sheet, so no drawing names a colour."""
    svg = schematic_svg(name)
    assert "rgb" not in svg and 'fill="#' not in svg and 'stroke="#' not in svg


def test_several_stand_side_by_side():
    assert show_schematic("SSLA", "hybrid").data.count("<svg id=") == 2


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="name is one of .*'SSLA'"):
        schematic_svg("nothing")
