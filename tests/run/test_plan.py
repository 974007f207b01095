import json

import pytest
import yaml

import lib.run.needs
import lib.run.plan
from lib.__main__ import main
from lib.paths import ROOT
from lib.run.errors import StudyError
from lib.run.fingerprint import digest
from lib.run.plan import plan
from lib.run.profiles import resolve
from lib.run.runs import run_pages


def run_profile(profile, assignments=(), only=None, root=ROOT):
    """As the commands do; failures are errors."""
    runs = run_pages(resolve(profile, list(assignments), only, root)[0], root=root)
    assert not any(run.why for run in runs), runs
    return runs


def test_a_plan_says_what_would_run_and_runs_nothing(root, executions):
    before = plan("fashion", root=root)
    assert "first: would run, how long is not known (fashion/a)" in before
    assert before.endswith("about 0 s on this machine and 2 pages of which it is not known")
    assert executions == []
    run_profile("fashion", only="first", root=root)
    after = plan("fashion", root=root)
    assert "first: unchanged, nothing to run (fashion/a)" in after
    assert after.endswith("and 1 pages of which it is not known")


def test_seconds_are_told_only_where_the_same_would_be_computed_again(root, executions, tools):
    run_profile("fashion", only="first", root=root)
    record = root / "data" / "results" / "fashion" / "first.json"
    facts = json.loads(record.read_text()) | {"seconds": 50.0}
    facts.pop("checksum")
    record.write_text(json.dumps(facts | {"checksum": digest(facts)}))
    (root / "data" / "results" / "fashion" / "first.csv").unlink()
    assert "first: would run, about 50 s, as last time (fashion/a)" in plan("fashion", root=root)
    assert "first: would run, how long is not known" in plan("fashion", ["images=9"], root)
    (root / "lib" / "tools" / "base.py").write_text("two = 3\n")
    assert "first: would run, how long is not known (fashion/a)" in plan("fashion", root=root)


def test_other_encoders_are_planned_where_they_would_run(root, executions):
    text = plan("fashion", ["encoders=fashion/b"], root)
    assert (
        "results in data/results/custom" in text
        and "first: would run, how long is not known (fashion/b)" in text
        and executions == []
    )


def test_the_command_prints_it(monkeypatch, capsys):
    monkeypatch.setattr(
        lib.run.plan, "plan", lambda profile, assignments: f"{profile} {assignments}"
    )
    assert main(["book", "--dry", "--encoders", "a b"]) == 0
    assert capsys.readouterr().out == "fashion ['encoders=a b']\n"


WANTED = dict(
    url="https://example.org/a/weights-00000000.pth",
    method="MAE",
    family="MIM",
    architecture="vit_tiny_patch16_224",
    options={"HEADS": 3},
)


def fetching(root, **wanted):
    content = {
        "shared": {"encoders": ["custom/new", "fashion/a"]},
        "notebooks": {"first": {}},
        "fetch": {"custom/new": WANTED | wanted},
    }
    (root / "notebooks" / "profiles" / "fashion.yaml").write_text(yaml.safe_dump(content))


def test_files_to_fetch_are_told_and_everything_else_is_checked_without_them(root, executions):
    fetching(root)
    steps = (
        "custom/new: fetch https://example.org/a/weights-00000000.pth, then make adopt"
        " SOURCE=/path/to/weights-00000000.pth NAME=new METHOD='MAE' FAMILY=MIM HEADS=3"
    )
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
    # encoders of this study stand in where the user gives some
    monkeypatch.setattr(lib.run.needs, "MOST_PATCHES", 99)
    pages, left_out = resolve(
        profile, ["encoders=fashion/moco-v3-s"] if profile == "imagefolder" else [], planning=True
    )
    assert "self_attention" in {page.notebook for page in pages} and set(left_out) >= {
        "where_they_look",
        "shape_or_texture",
    }
    book = {page.notebook for page in pages} | set(left_out)
    assert book == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
