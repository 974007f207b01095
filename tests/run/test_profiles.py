"""Profiles: shared and own parameters, overrides, and what is refused."""

import pytest

from lib.run.errors import StudyError
from lib.run.profiles import resolve, results_profile


def load_profile(name, assignments=(), only=None, root=None):
    """Notebook -> parameters."""
    pages, _ = resolve(name, list(assignments), only, root)
    return {page.notebook: page.parameters for page in pages}


def refusal(root, content: str | None = None, assignments=(), name="fashion", only=None) -> str:
    """Message of the refusal of a profile with that content."""
    if content is not None:
        (root / "notebooks" / "profiles" / f"{name}.yaml").write_text(content)
    with pytest.raises(StudyError) as caught:
        load_profile(name, list(assignments), only, root)
    assert "\n" not in str(caught.value) and str(root) not in str(caught.value)
    return str(caught.value)


def test_shared_parameters_reach_the_notebooks_that_declare_them(root):
    loaded = load_profile("fashion", root=root)
    assert list(loaded) == ["first", "first_second"]
    assert loaded["first"] == dict(
        profile="fashion", encoders=["fashion/a"], images=8, scale=1.5, quick=False
    )
    assert loaded["first_second"] == dict(profile="fashion", images=4)


def test_assignments_replace_values_and_send_results_elsewhere(root):
    loaded = load_profile("fashion", ["images=64", "quick=true"], root=root)
    assert [values["images"] for values in loaded.values()] == [64, 64]
    assert [values["profile"] for values in loaded.values()] == ["custom", "custom"]
    assert loaded["first"]["quick"] is True
    assert (
        load_profile("fashion", ["images=1", "profile=mine"], "first", root)["first"]["profile"]
        == "mine"
    )
    assert results_profile("fashion", [], root) == "fashion"


def test_an_assigned_encoder_stands_in_for_one_that_is_missing(root):
    (root / "data" / "checkpoints" / "fashion" / "a.yaml").unlink()
    assert "unknown encoder 'fashion/a'" in refusal(root)
    assert load_profile("fashion", ["encoders=fashion/b"], root=root)["first"]["encoders"] == [
        "fashion/b"
    ]


@pytest.mark.parametrize("folder", ["fashion", "../fashion", ""])
def test_assignments_never_write_to_a_profile(root, folder):
    assert "cannot take the results" in refusal(root, assignments=[f"profile={folder}", "images=1"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("shared: [", "is not YAML"),
        ("", "empty or not a mapping"),
        ("- a", "empty or not a mapping"),
        ("notebook: {first: {}}", "did you mean 'notebooks'"),
        ("notebooks: {first: 3}", "`notebooks` maps notebook names"),
        ("notebooks: {frist: {}}", "did you mean 'first'"),
        ("notebooks: {first: {image: 3}}", "did you mean 'images'"),
        ("notebooks: {first: {images: '3'}}", "is of type int, got '3'"),
        ("shared: {sede: 1}\nnotebooks: {first: {}}", "unknown shared parameter 'sede'"),
        ("shared: {profile: other}\nnotebooks: {first: {}}", "`profile` must be 'fashion'"),
    ],
)
def test_bad_profiles_are_refused(root, content, expected):
    assert expected in refusal(root, content)


def test_unknown_names_are_refused_with_a_suggestion(root):
    assert "unknown profile 'fashon'; did you mean 'fashion'?" in refusal(root, name="fashon")
    assert "did you mean 'first'" in refusal(root, only="fisrt")
    assert "did you mean 'images'" in refusal(root, assignments=["image=3"])
    assert "`profile` must be" in refusal(root, "notebooks: {first: {}}", name="custom")
