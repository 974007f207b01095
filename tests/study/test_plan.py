import pytest
import yaml

import lib.study.needs
import lib.study.plan
from lib.encoders.card import CHECKPOINTS, read_card
from lib.study.__main__ import main
from lib.study.errors import StudyError
from lib.study.execute import run_profile
from lib.study.layout import ROOT
from lib.study.plan import plan, seconds_per_image
from lib.study.profiles import resolve


@pytest.fixture(autouse=True)
def speed(monkeypatch):
    """A hundredth of a second an image, whatever the encoder."""
    monkeypatch.setattr(lib.study.plan, "seconds_per_image", lambda card, side: 0.01)


def test_a_plan_says_what_would_run_and_runs_nothing(root, executions):
    before = plan("fashion", root=root)
    assert "first: would run, 0 s at least, for one pass over 8 images (fashion/a)" in before and "first_second: would run" in before
    assert before.endswith("2 of the notebooks have only a lower bound")
    assert executions == []
    run_profile("fashion", only="first", root=root)
    after = plan("fashion", root=root)
    assert "first: unchanged, nothing to run (fashion/a)" in after and "1 of the notebooks have only a lower bound" in after
    (root / "lib" / "tools" / "base.py").write_text("two = 3\n")
    assert " s as last time (fashion/a)" in plan("fashion", root=root)


def test_other_encoders_are_planned_where_they_would_run(root, executions):
    text = plan("fashion", ["encoders=fashion/b"], root)
    assert "results in data/results/custom" in text and "first: would run, 0 s at least, for one pass over 8 images (fashion/b)" in text and executions == []


def test_the_command_prints_it(monkeypatch, capsys):
    monkeypatch.setattr(lib.study.plan, "plan", lambda profile, assignments: f"{profile} {assignments}")
    assert main(["book", "--dry", "--encoders", "a b"]) == 0
    assert capsys.readouterr().out == "fashion ['encoders=a b']\n"


def test_a_page_never_run_takes_what_it_took_in_the_default_profile_times_its_images(root, executions, monkeypatch):
    run_profile("fashion", only="first", root=root)
    monkeypatch.setattr(lib.study.plan, "read_record", lambda results, name, _: dict(seconds=50.0, parameters={"images": 8, "encoders": ["fashion/a"]}) if (results, name) == ("fashion", "first") else None)
    text = plan("fashion", ["images=32", "encoders=fashion/a fashion/b"], root)
    assert "first: would run, 400 s at least, by its time in the profile fashion, part of which may have been kept results (fashion/a, fashion/b)" in text


def test_the_seconds_of_a_pass_are_measured():
    card = read_card(CHECKPOINTS / "fashion" / "simmim-s.yaml")
    assert 0 < seconds_per_image(card, 28, repeats=1) < 10


WANTED = dict(url="https://example.org/a/weights-00000000.pth", method="MAE", family="MIM", architecture="vit_tiny_patch16_224", options={"HEADS": 3})


def fetching(root, **wanted):
    content = {"shared": {"encoders": ["custom/new", "fashion/a"]}, "notebooks": {"first": {}}, "fetch": {"custom/new": WANTED | wanted}}
    (root / "notebooks" / "profiles" / "fashion.yaml").write_text(yaml.safe_dump(content))


def test_files_to_fetch_are_told_and_everything_else_is_checked_without_them(root, executions):
    fetching(root)
    steps = "custom/new: fetch https://example.org/a/weights-00000000.pth, then make adopt SOURCE=/path/to/weights-00000000.pth NAME=new METHOD='MAE' FAMILY=MIM HEADS=3"
    assert f"to fetch, {steps}" in plan("fashion", root=root)
    with pytest.raises(StudyError) as refused:
        run_profile("fashion", root=root)
    assert steps in str(refused.value) and "With DRY=1" in str(refused.value) and executions == []
    tools_of_a = yaml.safe_load((root / "data" / "checkpoints" / "fashion" / "a.yaml").read_text())
    for name in ("custom/new.yaml", "custom/new.safetensors"):
        path = root / "data" / "checkpoints" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(tools_of_a))
    assert "to fetch" not in plan("fashion", root=root)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"adress": "x"}, "`fetch` of custom/new takes url, method,"),
        ({"family": "contrastive"}, "a family of CL, MIM, other"),
        ({"architecture": "vit_tiny_patch17"}, "an architecture of timm"),
    ],
)
def test_a_profile_that_says_nonsense_about_a_file_is_refused(root, wanted, expected):
    fetching(root, **wanted)
    with pytest.raises(StudyError, match=expected):
        plan("fashion", root=root)


@pytest.mark.parametrize("profile", ["cifar10", "imagefolder", "imagenet-vitb"])
def test_the_profiles_of_the_study_can_be_planned(profile, monkeypatch):
    """Checked against the notebooks as they are, without images, files or network."""
    monkeypatch.setattr(lib.study.needs, "MOST_PATCHES", 99)  # encoders of this study stand in where the user gives some
    parameters, left_out = resolve(profile, ["encoders=fashion/moco-v3-s"] if profile == "imagefolder" else [], planning=True)
    assert "self_attention" in parameters and set(left_out) >= {"where_they_look", "shape_or_texture"}
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(parameters) | set(left_out) == notebooks
    not_listed = {"cifar10": {"decoder"}, "imagenet-vitb": {"decoder", "hybrid", "model_size", "seeds"}}.get(profile, set())
    assert {name for name, why in left_out.items() if "does not list it" in why} == not_listed
