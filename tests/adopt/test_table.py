"""The chapter's table of layouts is that of the code; its table of errors knows what can be met."""

import re
from pathlib import Path

import pytest
from chapter import explained, fragments

from lib.adopt.layouts import LAYOUTS
from lib.adopt.table import CHAPTER, END, START, layout_table, with_table

LIB = Path(__file__).parents[2] / "lib"


def test_the_chapter_holds_the_table_as_it_is():
    """``python -m lib.adopt.table`` writes it."""
    assert with_table(CHAPTER.read_text()) == CHAPTER.read_text()
    assert layout_table().count("\n") == len(LAYOUTS) + 2
    assert with_table(f"a\n{START}old\n{END}b\n") == f"a\n{START}{layout_table()}{END}b\n"


def messages():
    """What the code of adoption and of folders raises: the literal parts of each message."""
    for path in [*LIB.glob("adopt/*.py"), LIB / "data/folder.py", LIB / "data/read_image.py"]:
        for raised in re.findall(
            r"raise (?:ValueError|FileNotFoundError|TooBig)\((.*?)\n?\)(?= from|\n)",
            path.read_text(),
            re.S,
        ):
            text = "".join(re.findall(r'f?"((?:[^"\\]|\\.)*)"', raised))
            yield path.name, re.sub(r"\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", "…", text)


# of programmers, of CIFAR-10, and those whose words are filled in: test_refused.py meets these
OTHERS = (
    "no test …",
    "split is one of",
    "expected the complete, unchanged CIFAR",
    "… holds …: …",
    "… does not tell …;",
    "… is …: remove it",
    "expected … to hold …",
)
MESSAGES = [m for m in messages() if len(m[1]) > 3 and not m[1].startswith(OTHERS)]


@pytest.mark.parametrize(("file", "message"), MESSAGES)
def test_each_message_is_explained(file, message):
    assert explained(message), f"{file}: {message}"


def test_pieces_of_a_row_are_in_order():
    assert ["the file holds several encoders"] in list(fragments())
    assert explained("custom/mine exists; choose another") and not explained("exists custom/")
