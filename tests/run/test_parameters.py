"""What is refused before anything is executed."""

import pytest

from lib.run.errors import StudyError
from lib.run.layout import find_notebook
from lib.run.parameters import Declared, check_parameters, declared_parameters, parse_assignments


def refusal(root, given, name="first") -> str:
    """Message of the refusal, one paragraph without a path of this machine."""
    with pytest.raises(StudyError) as caught:
        check_parameters(find_notebook(name, root), given, root)
    message = str(caught.value)
    assert "\n" not in message and str(root) not in message
    return message


def test_declared_types_come_from_annotation_or_default(root, tools):
    source = (
        'a = "x"\nb: float = 1\nc = [1, 2]\nd: list = [\n    0.5,\n    1,\n]\ne: list[str] = []\nf'
        " = True\ng: int = -3  # note"
    )
    declared = declared_parameters(tools["write_notebook"](root, "typed", source))
    assert {name: parameter.kind for name, parameter in declared.items()} == dict(
        a="str", b="float", c="list[int]", d="list[float]", e="list[str]", f="bool", g="int"
    )
    assert declared["b"] == Declared("float", 1.0) and declared["g"].default == -3


def test_given_values_are_merged_with_defaults_and_an_int_is_a_fine_float(root):
    values = check_parameters(
        find_notebook("first", root), {"scale": 2, "encoders": ["fashion/b"]}, root
    )
    assert values == dict(
        profile="fashion", encoders=["fashion/b"], images=4, scale=2.0, quick=False
    )
    assert type(values["scale"]) is float


def test_unknown_parameter_is_refused_with_a_suggestion(root):
    message = refusal(root, {"image": 3})
    assert (
        "unknown parameter 'image'" in message
        and "did you mean 'images'" in message
        and "profile, encoders, images, scale, quick" in message
    )


@pytest.mark.parametrize(
    "given",
    [
        {"images": "4"},
        {"images": True},
        {"images": 4.0},
        {"quick": 1},
        {"encoders": "fashion/a"},
        {"encoders": [1]},
        {"profile": None},
    ],
)
def test_wrong_type_is_refused(root, given):
    (name, value), *_ = given.items()
    message = refusal(root, given)
    assert f"parameter {name!r}" in message and repr(value) in message and "is of type" in message


def test_missing_encoder_is_refused_with_a_suggestion(root, tools):
    message = refusal(root, {"encoders": ["fashion/a", "fasion/b"]})
    assert (
        "unknown encoder 'fasion/b'; did you mean 'fashion/b'? Known: fashion/a, fashion/b."
        in message
    )
    tools["write_notebook"](root, "single", 'encoder: str = "fashion/c"')
    assert "unknown encoder 'fashion/c'" in refusal(root, {}, "single")


def test_encoder_with_a_broken_card_or_without_weights_is_refused(root):
    folder = root / "data" / "checkpoints" / "fashion"
    (folder / "b.safetensors").unlink()
    (folder / "a.yaml").write_text("method: x\n")
    assert "no weights" in refusal(root, {"encoders": ["fashion/b"]})
    assert "the card of encoder 'fashion/a' cannot be used" in refusal(root, {})


@pytest.mark.parametrize(
    "line",
    [
        "half = images // 2",
        "import os",
        "images += 1",
        "a, b = 1, 2",
        "a = b = 1",
        'name = f"{images}"',
        "print(1)",
        "x: int",
        "if True:\n    y = 1",
    ],
)
def test_anything_but_literal_assignments_is_refused_in_the_parameters_cell(root, tools, line):
    tools["write_notebook"](root, "derived", f"images = 4\n{line}")
    message = refusal(root, {}, "derived")
    assert "may only assign literals" in message and "line 2" in message and "next cell" in message


@pytest.mark.parametrize(
    "line",
    [
        "a = None",
        "a = {}",
        "a = [1, 'x']",
        "a: int = 'x'",
        "a: complex = 1",
        "a = [[1]]",
        "a: list = 3",
    ],
)
def test_other_types_are_refused(root, tools, line):
    tools["write_notebook"](root, "typed", line)
    assert "is not" not in refusal(root, {}, "typed") and "list[float]" in refusal(
        root, {}, "typed"
    )


def test_a_notebook_has_exactly_one_parameters_cell(root, tools):
    tools["write_notebook"](root, "none", None, "x = 1")
    assert "has 0 code cells with the tag `parameters`" in refusal(root, {}, "none")
    tools["write_notebook"](root, "magic", "%matplotlib inline")
    assert "not Python" in refusal(root, {}, "magic")
    (root / "notebooks" / "broken.ipynb").write_text("{")
    assert "cannot be read as a notebook" in refusal(root, {}, "broken")


def test_assignments_are_read_by_declared_type(root):
    declared = declared_parameters(find_notebook("first", root))
    given = ["images=64", "encoders=a b,c", "scale=1e-3", "quick=True", "profile=x=y"]
    assert parse_assignments(given, declared) == dict(
        images=64, encoders=["a", "b", "c"], scale=0.001, quick=True, profile="x=y"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("images=6.5", "type int, got '6.5'"),
        ("quick=1", "true or false"),
        ("images", "name=value"),
        ("=3", "name=value"),
        ("imags=3", "did you mean 'images'"),
    ],
)
def test_bad_assignments_are_refused(root, given, expected):
    with pytest.raises(StudyError, match=expected):
        parse_assignments([given], declared_parameters(find_notebook("first", root)))
    with pytest.raises(StudyError, match="second time"):
        parse_assignments(
            ["images=1", "images=2"], declared_parameters(find_notebook("first", root))
        )
