"""Pages on a folder of colour images: what needs object masks is left out, visibly, and the rest
stands."""

import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from lib.encoders.card import CHECKPOINTS
from lib.report.book import build
from lib.run.layout import ROOT, executed_notebook
from lib.run.profiles import resolve
from lib.run.runs import run_pages


def run_profile(profile, assignments=(), only=None, root=ROOT):
    """As the commands do; failures are errors."""
    runs = run_pages(resolve(profile, list(assignments), only, root)[0], root=root)
    assert not any(run.why for run in runs), runs
    return runs


RESULTS = "test-other-images"
SMALL = (
    "images=4 probe_train=12 probe_test=8 neighbours=3 labels=6,12 least_steps=2 epochs=1".split()
)
PAGES = ["data_and_encoders", "downstream", "fourier"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three pages with two encoders of this study, told to resize images to 28 px, on 24 images in
    a folder."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(24):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    names = {"moco-v3-s": "test-cl", "simmim-s": "test-mim"}
    (CHECKPOINTS / "custom").mkdir(exist_ok=True)
    for source, name in names.items():
        facts = yaml.safe_load((CHECKPOINTS / "fashion" / f"{source}.yaml").read_text()) | {
            "input_size": 28
        }
        (CHECKPOINTS / "custom" / f"{name}.yaml").write_text(yaml.safe_dump(facts))
        shutil.copyfile(
            CHECKPOINTS / "fashion" / f"{source}.safetensors",
            CHECKPOINTS / "custom" / f"{name}.safetensors",
        )
    given = [
        f"dataset={folder}",
        f"encoders={' '.join(f'custom/{name}' for name in names.values())}",
        f"profile={RESULTS}",
    ]
    try:
        yield {
            name: run_profile("imagefolder", [*given, *(g for g in SMALL if takes(name, g))], name)[
                0
            ]
            for name in PAGES
        }
    finally:
        for name in names.values():
            for suffix in (".yaml", ".safetensors"):
                (CHECKPOINTS / "custom" / name).with_suffix(suffix).unlink()
        for part in ("build/notebooks", "build/book", "data/results"):
            shutil.rmtree(ROOT / part / RESULTS, ignore_errors=True)


def takes(notebook, assignment):
    """Whether a notebook declares the parameter."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4).cells
    return any(
        f"\n{assignment.partition('=')[0]}:" in cell.source
        for cell in cells
        if "parameters" in cell.metadata.get("tags", [])
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands_without_masks_and_says_what_it_left_out(runs, name):
    executed = nbformat.read(executed_notebook(RESULTS, name), 4)
    left_out = [
        cell
        for cell in executed.cells
        if cell.source.startswith("*Left out: this needs object masks, which `pictures")
    ]
    assert left_out and runs[name].tables
    assert all(cell.cell_type == "markdown" for cell in left_out)


def test_claims_that_need_masks_are_not_judged(runs):
    (path,) = (path for path in runs["downstream"].tables if path.name == "downstream.verdicts.csv")
    assert set(pd.read_csv(path)["claim"]) == {"B1-linear-probe", "B1-fine-tuning"}


def test_the_book_of_these_pages_is_sound(runs):
    pages = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    page = build(RESULTS, PAGES, left_out={name: "not run here" for name in pages - set(PAGES)})
    assert page.is_file() and "not run here" in (page.parent / "status.html").read_text(
        encoding="utf-8"
    )
