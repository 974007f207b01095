"""Which encoders a notebook can use, before anything runs."""

import nbformat
import pytest
import yaml
from PIL import Image

from lib.data.dataset import load_images
from lib.paths import ROOT
from lib.report.book import without
from lib.report.pages import status_page
from lib.run.errors import StudyError
from lib.run.images import KNOWN, counted
from lib.run.needs import MASKS, NEEDS, TOGETHER, needs_of, unfit, without_masks
from lib.run.profiles import resolve
from lib.run.runs import run_pages


def load_profile(name, assignments=(), only=None, root=None):
    """Notebook -> parameters."""
    pages, _ = resolve(name, list(assignments), only, root)
    return {page.notebook: page.parameters for page in pages}


def run_profile(profile, assignments=(), only=None, root=ROOT):
    """As the commands do; failures are errors."""
    runs = run_pages(resolve(profile, list(assignments), only, root)[0], root=root)
    assert not any(run.why for run in runs), runs
    return runs


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
        (
            "attention",
            dict(patch_size=4),
            dict(patch_size=4, architecture="swin_tiny_patch4_window7_224"),
        ),
        (
            "attention",
            dict(architecture="deit3_small_patch16_224.fb_in1k"),
            dict(patch_size=7, architecture="pvt_v2_b0"),
        ),
        (
            "attention",
            dict(architecture="hf-hub:timm/eva02_tiny_patch14_224.mim_in22k"),
            dict(architecture="hf-hub:timm/cait_xxs24_224.fb_dist_in1k"),
        ),
        (
            "attention",
            dict(architecture="hf-hub:somebody/my-vit"),
            dict(architecture="xcit_nano_12_p16_224"),
        ),
        ("decoder", dict(method="MAE", extras=["decoder"]), dict(method="MAE", extras=[])),
        (
            "weight",
            dict(command="make pretrain METHOD=hybrid WEIGHT=0.2"),
            dict(command="make pretrain METHOD=mae"),
        ),
        ("settings", dict(method="BYOL"), dict(method="DINO")),
        (
            "stages",
            dict(architecture="resnet18 with a small stem"),
            dict(architecture="resnetv2_50x1_bit.goog_in21k"),
        ),
        ("stages", dict(architecture="swinv2_tiny_window8_256"), dict(architecture="pvt_v2_b0")),
        (
            "stages",
            dict(architecture="vit_small_patch16_dinov3"),
            dict(architecture="efficientnet_b0"),
        ),
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
        needs_of(needing(root, "first", "atention"))


def test_a_page_that_compares_families_needs_both(root):
    path = needing(root, "first", "attention pair")
    change(root, "fashion/a", family="CL", patch_size=4)
    change(root, "fashion/b", family="MIM", patch_size=4)
    assert unfit(path, ["fashion/a", "fashion/b"], root) == {}
    parameters, left_out = resolve("fashion", ["encoders=fashion/a"], root=root)
    assert "first" not in parameters and left_out["first"].startswith(
        "it compares contrastive encoders with masked image models"
    )
    # the masked image model is there, but cannot be used
    change(root, "fashion/b", patch_size=None, architecture="resnet50")
    assert set(unfit(path, ["fashion/a", "fashion/b"], root)) == {"fashion/a", "fashion/b"}


def test_a_page_on_decoders_needs_both_methods(root):
    path = needing(root, "first", "decoder decoders")
    change(root, "fashion/a", method="SimMIM", extras=["decoder"])
    change(root, "fashion/b", method="MAE", extras=["decoder"])
    assert unfit(path, ["fashion/a", "fashion/b"], root) == {}
    change(root, "fashion/b", extras=[])  # an MAE without its decoder
    assert set(unfit(path, ["fashion/a", "fashion/b"], root).values()) == {TOGETHER["decoders"][2]}


def test_encoders_for_a_whole_profile_go_where_they_fit(root, executions):
    needing(root, "first", "attention")
    change(root, "fashion/a", patch_size=None, architecture="resnet50")
    pages, left_out = resolve("fashion", ["encoders=fashion/a fashion/b"], root=root)
    of_first = next(page for page in pages if page.notebook == "first")
    assert of_first.parameters["encoders"] == ["fashion/b"] and not left_out
    pages, left_out = resolve("fashion", ["encoders=fashion/a"], root=root)
    assert [page.notebook for page in pages] == ["first_second"]
    assert "fashion/a is x, resnet50" in left_out["first"]
    ran = run_profile("fashion", ["encoders=fashion/a"], root=root)
    assert [run.notebook.stem for run in ran] == executions == ["first_second"]


def test_one_notebook_refuses_what_does_not_fit(root, executions):
    needing(root, "first", "attention")
    change(root, "fashion/a", patch_size=None, architecture="resnet50")
    with pytest.raises(
        StudyError,
        match=(
            "notebook first cannot use every encoder: it needs Vision Transformers.*fashion/a is x,"
            " resnet50"
        ),
    ):
        resolve("fashion", ["encoders=fashion/a"], "first", root)
    assert executions == []


def test_pages_that_are_left_out_leave_the_contents_and_are_named_on_the_status_page():
    toc = {
        "root": "index",
        "parts": [
            {"caption": "c", "chapters": [{"file": "a"}, {"file": "b"}]},
            {"caption": "d", "chapters": [{"file": "c"}]},
        ],
    }
    assert without(toc, {"a", "c"}) == {
        "root": "index",
        "parts": [{"caption": "c", "chapters": [{"file": "b"}]}],
    }
    assert "- **a**: it needs patches." in status_page([], {"a": "it needs patches"})


def test_the_notebooks_of_the_study_ask_for_what_there_is():
    found = {path.stem: needs_of(path) for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert (
        set().union(*found.values()) == {*NEEDS, *TOGETHER, MASKS}
        and found["self_attention"] == ["attention"]
        and found["ssla"] == []
    )
    assert found["shape_or_texture"] == ["attention", "masks"]


@pytest.fixture
def folder(tmp_path):
    """Eight images of 8 px in two classes."""
    for number in range(8):
        path = tmp_path / "pictures" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (30 * number, 0, 0)).save(path)
    return tmp_path / "pictures"


def asking_for_data(tools, root, *code):
    return tools["write_notebook"](
        root,
        "first",
        'profile: str = "fashion"\nencoders: list = ["fashion/a"]\ndataset: str ='
        ' "fashion"\nimages: int = 4',
        *code,
    )


def test_a_page_that_needs_masks_is_left_out_where_there_are_none(root, tools, executions, folder):
    change(root, "fashion/a", input_size=28)
    asking_for_data(tools, root)
    needing(root, "first", "masks")
    pages, left_out = resolve("fashion", [f"dataset={folder}", "images=3"], root=root)
    assert [page.notebook for page in pages] == ["first_second"] and left_out[
        "first"
    ] == f"it needs object masks, which {folder} does not have"
    with pytest.raises(
        StudyError, match="notebook first cannot use these images: it needs object masks"
    ):
        resolve("fashion", [f"dataset={folder}", "images=3"], "first", root)
    assert (
        resolve("fashion", ["dataset=cifar10"], root=root)[1]["first"]
        == "it needs object masks, which cifar10 does not have"
    )
    assert not resolve("fashion", [], root=root)[1]


def test_a_cell_that_needs_masks_becomes_a_line_where_there_are_none(root, tools, folder):
    path = asking_for_data(tools, root, "tagged = 1", "after = 2")
    notebook = nbformat.read(path, 4)
    notebook.cells[-2].metadata["tags"] = ["needs-masks"]
    kept, dropped = (
        without_masks(nbformat.from_dict(notebook), dataset) for dataset in ("fashion", str(folder))
    )
    dropped_again = without_masks(nbformat.read(path, 4), str(folder))
    # nothing is tagged in the file
    assert [cell.cell_type for cell in dropped_again.cells] == ["markdown", "code", "code", "code"]
    assert kept.cells[-1].source == dropped.cells[-1].source == "after = 2"
    assert (
        dropped.cells[-2].cell_type == "markdown"
        and "needs object masks, which `pictures` does not have" in dropped.cells[-2].source
    )
    assert len(kept.cells) == len(dropped.cells)


def test_images_that_are_cut_into_too_many_patches_are_refused(root, tools, folder):
    path = asking_for_data(tools, root)
    (reason,) = unfit(path, ["fashion/a"], root, str(folder)).values()
    assert (
        reason
        == "fashion/a would cut images of 224 px into 56 × 56 patches; its card names no input_size"
        " to resize them to"
    )
    change(root, "fashion/a", input_size=28)
    assert unfit(path, ["fashion/a"], root, str(folder)) == {}


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        (
            ["dataset="],
            "no images were given: name a folder with one subfolder of images per class",
        ),
        (
            ["dataset=cifar"],
            (
                "data set 'cifar' is neither fashion nor cifar10 nor imagenette nor a folder that can be used:"
                " expected a folder of images at cifar"
            ),
        ),
        (
            ["dataset={}", "images=5"],
            (
                "notebook first asks for images=5, but .*pictures has 4 test images: give images=4"
                " or fewer"
            ),
        ),
    ],
)
def test_images_that_cannot_be_used_are_refused_before_anything_runs(
    root, tools, executions, folder, assignments, expected
):
    change(root, "fashion/a", input_size=28)
    asking_for_data(tools, root)
    with pytest.raises(StudyError, match=expected):
        run_profile("fashion", [text.format(folder) for text in assignments], root=root)
    assert executions == []


@pytest.mark.parametrize(
    ("dataset", "given", "expected"),
    [
        ("folder", "classes=0,1 per_class=1 sets=2", None),  # four test images, two of each class
        (
            "folder",
            "classes=0,1 per_class=3 sets=1",
            (
                "asks for per_class × sets = 3 × 1 images of each of its classes, but .*pictures"
                " has 2 test images of class 0"
            ),
        ),
        (
            "folder",
            "classes=1,2 per_class=1 sets=1",
            r"asks for classes=\[1, 2\], but the classes of .*pictures are numbered from 0 to 1",
        ),
        ("fashion", "classes=0,9 per_class=10 sets=100", None),
        (
            "fashion",
            "classes=0,9 per_class=10 sets=101",
            "but fashion has 1000 test images of class 0",
        ),
        (
            "cifar10",
            "classes=0,10 per_class=1 sets=1",
            "the classes of cifar10 are numbered from 0 to 9",
        ),
        ("fashion", "classes=-1 per_class=1 sets=1", "takes classes of at least 0, got -1"),
    ],
)
def test_classes_with_too_few_images_are_refused_before_anything_runs(
    root, tools, executions, folder, dataset, given, expected
):
    parameters = (
        'profile: str = "fashion"\ndataset: str = "fashion"\nclasses: list = [0]\nper_class: int ='
        " 1\nsets: int = 1"
    )
    tools["write_notebook"](root, "first_second", parameters)
    run = lambda: run_profile(
        "fashion",
        [f"dataset={folder if dataset == 'folder' else dataset}", *given.split()],
        "first_second",
        root,
    )  # noqa: E731
    if expected is None:
        run()
        assert executions == ["first_second"]
        return
    with pytest.raises(StudyError, match=f"^notebook first_second .*{expected}"):
        run()
    assert executions == []


def test_the_known_counts_are_those_of_the_garments():
    train, test = (load_images("fashion", split).labels for split in ("train", "test"))
    assert (len(train), test.bincount().tolist()) == KNOWN["fashion"]


def test_photographs_of_a_folder_are_counted_there(tmp_path):
    for split, n in (("train", 5), ("val", 3)):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(n):
                (tmp_path / split / name / f"{i}.png").write_text(f"{split} {name} {i}")
    assert counted(f"imagenette:{tmp_path}") == counted(str(tmp_path)) == (10, [3, 3])
    assert sum(KNOWN["imagenette"][1]) == 3925  # as its page says
