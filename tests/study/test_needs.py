"""Which encoders a notebook can use, before anything runs."""

import nbformat
import pytest
import yaml

from lib.study.book import without
from lib.study.errors import StudyError
from lib.study.execute import run_profile
from lib.study.layout import ROOT
from lib.study.needs import NEEDS, need_of, unfit
from lib.study.pages import status_page
from lib.study.profiles import load_profile, resolve


def change(root, name, **facts):
    path = root / "data" / "checkpoints" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | facts))


def needing(root, name, need):
    path = root / "notebooks" / f"{name}.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.metadata["study"] = {"needs": need}
    nbformat.write(notebook, path)
    return path


@pytest.mark.parametrize(
    ("need", "good", "bad"),
    [
        ("attention", dict(patch_size=4), dict(patch_size=None, architecture="resnet50")),
        ("attention", dict(patch_size=4), dict(patch_size=4, architecture="swin_tiny_patch4_window7_224")),
        ("decoder", dict(method="MAE", extras=["decoder"]), dict(method="MAE", extras=[])),
        ("weight", dict(command="make pretrain METHOD=hybrid WEIGHT=0.2"), dict(command="make pretrain METHOD=mae")),
        ("settings", dict(method="BYOL"), dict(method="DINO")),
    ],
)
def test_a_need_is_read_off_the_card(root, need, good, bad):
    path = needing(root, "first", need)
    change(root, "fashion/a", **good)
    change(root, "fashion/b", **bad)
    (reason,) = unfit(path, ["fashion/a", "fashion/b"], root).values()
    assert reason.startswith("it needs ") and "fashion/b is " in reason


def test_any_encoder_will_do_where_nothing_is_needed(root):
    assert unfit(root / "notebooks" / "first.ipynb", ["fashion/nobody"], root) == {}
    with pytest.raises(StudyError, match="unknown need 'atention'.*did you mean 'attention'"):
        need_of(needing(root, "first", "atention"))


def test_encoders_for_a_whole_profile_go_where_they_fit(root, executions):
    needing(root, "first", "attention")
    change(root, "fashion/a", patch_size=None, architecture="resnet50")
    parameters, left_out = resolve("fashion", ["encoders=fashion/a fashion/b"], root=root)
    assert parameters["first"]["encoders"] == ["fashion/b"] and not left_out
    parameters, left_out = resolve("fashion", ["encoders=fashion/a"], root=root)
    assert list(parameters) == ["first_second"] and "fashion/a is x, resnet50" in left_out["first"]
    assert [run.name for run in run_profile("fashion", ["encoders=fashion/a"], root=root)] == executions == ["first_second"]


@pytest.mark.parametrize(("assignments", "only"), [([], None), (["encoders=fashion/a"], "first")])
def test_one_notebook_or_the_profile_itself_refuses_what_does_not_fit(root, executions, assignments, only):
    needing(root, "first", "attention")
    change(root, "fashion/a", patch_size=None, architecture="resnet50")
    with pytest.raises(StudyError, match="notebook first cannot use every encoder: it needs Vision Transformers.*fashion/a is x, resnet50"):
        load_profile("fashion", assignments, only, root)
    assert executions == []


def test_pages_that_are_left_out_leave_the_contents_and_are_named_on_the_status_page():
    toc = {"root": "index", "parts": [{"caption": "c", "chapters": [{"file": "a"}, {"file": "b"}]}, {"caption": "d", "chapters": [{"file": "c"}]}]}
    assert without(toc, {"a", "c"}) == {"root": "index", "parts": [{"caption": "c", "chapters": [{"file": "b"}]}]}
    assert "- **a**: it needs patches." in status_page([], {"a": "it needs patches"})


def test_the_notebooks_of_the_study_ask_for_what_there_is():
    found = {path.stem: need_of(path) for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(found.values()) == {*NEEDS, None} and found["self_attention"] == "attention" and found["ssla"] is None
