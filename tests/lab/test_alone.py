"""Each student's notebook, unanswered, from top to bottom in an empty environment that its first cell
fills; and the sentences of the lab that state a number or a direction, against what it computed."""

import json
import re
import subprocess
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from packaging.requirements import Requirement

from lib.lab.source import MODULES, edition_of, first_cell, read_module, tags
from lib.paths import ROOT

LEFT_OUT = "tqdm"
# module -> words of its source -> an expression in the notebook's own names that must hold
HOLDS = {
    "attention": {
        "attention of 64 test images": "len(lab.images) == 64",
        "7 × 7 patches of 4 pixels": "lab.grid == (7, 7) and lab.patch_size == 4",
        "so there are 49 patch tokens, and one more": "raw['masked'].shape[-1] == 50 and prefix == 1",
        "the images have 28 × 28 pixels": "lab.images.shape[2:] == (28, 28)",
        "eight numbers, one a block": "len(sketch) == 8 == len(raw['masked'])",
        "In the random network they nearly do": (
            "(raw['random weights'][..., 1:, 0].std(-1) / raw['random weights'][..., 1:, 0].mean(-1)).max()"
            " < 0.1"
        ),
        "Here that weight is small": "max(g.max() for g in given.values()) < 0.03",
        "Each map has its own scale, from its smallest to its largest entry": (
            "all(a.images[0].get_clim() == (a.images[0].get_array().min(), a.images[0].get_array().max())"
            " for a in drawn.axes)"
        ),
        "In the random network all entries are nearly 1/49": (
            "(49 * attention['random weights'] - 1).abs().mean() < 0.05"
        ),
        "It looks far, but not farthest": (
            "at_end['masked'] < at_end['contrastive'] < at_end['random weights']"
        ),
        "the network that learned nothing is above it": (
            "at_end['random weights'] > at_end['contrastive']"
        ),
        "Its late blocks look nearest of all": (
            "(by_block['masked'][4:] < by_block['contrastive'][4:]).all()"
            " and (by_block['masked'][4:] < by_block['random weights'][4:]).all()"
        ),
        "The random network, which captures nothing, has a larger one": (
            "(by_block['random weights'] > by_block['contrastive']).all()"
        ),
        "It looks nearer than an untrained network, but farther than the masked image model": (
            "at_end['masked'] < at_end['contrastive'] < at_end['random weights']"
        ),
        "uniform attention is the line above its curve": "(by_block['contrastive'] < null[1]).all()",
        "The random network has mutual information 0": "nmi['random weights'].max() < 0.005",
        "But that map is uniform": (
            "(entropy(attention['random weights'].mean(-2)) / np.log(49)).min() > 0.99"
        ),
        "The bands are narrow": (
            "((bands['contrastive'][:, 2] - bands['contrastive'][:, 1]) / bands['contrastive'][:, 0]).max()"
            " < 0.05"
        ),
        "a horizontal line for uniform attention near the curve of random weights": (
            "abs(by_block['random weights'] / null[1] - 1).max() < 0.02"
        ),
    },
    "representation": {
        "have seen 600 garments": "len(lab.train.labels) + len(lab.test.labels) == 600",
        "400 of the images train": "len(lab.train.labels) == 400",
        "the other 200 test it": "len(lab.test.labels) == 200",
        "right once in ten times": "classes == 10",
        "after each of its eight blocks": "len(train['contrastive']) == 8 == len(sketch)",
        "Far more often than guessing, far less often than on a trained encoder": (
            "all(0.25 < r < m - 0.15 and r < c - 0.15 for r, m, c in"
            " zip(linear['random weights'], linear['masked'], linear['contrastive']))"
        ),
        "The masked image model is better in a middle block than in its last one": (
            "max(linear['masked'][3:7]) > linear['masked'][7]"
            " and max(neighbours['masked'][3:7]) > neighbours['masked'][7]"
        ),
        "so its last block is among its best": (
            "linear['contrastive'][7] >= max(linear['contrastive']) - 0.02"
        ),
        "Test features standardised by themselves (the accuracy hardly changes": (
            "abs(by_itself('contrastive', 7) - linear['contrastive'][7]) < 0.03"
        ),
        "from the middle to the end the contrastive curve falls": (
            "highest['contrastive'][7] < highest['contrastive'][3] - 0.3"
        ),
        "lose high frequencies between the middle and the last block": (
            "highest['contrastive'][7] - highest['contrastive'][3]"
            " < highest['masked'][7] - highest['masked'][3] - 0.3"
        ),
        "The level may well be higher than that of the masked image model at every depth": (
            "all(c > m for c, m in zip(highest['contrastive'], highest['masked']))"
        ),
        "It is bad anyway": "right['random weights'][-1] < min(right['masked'][-1], right['contrastive'][-1])",
        "Linear accuracy in block 6": "block == 5",
        "The untrained network has a shape share near one half": "abs(of_untrained[0] - 0.5) < of_untrained[1]",
        "the same length, 96,000 images": (
            "{read_card(CHECKPOINTS / f'{n}.yaml').images_seen for n in list_cards('fashion')"
            " if '-s-96k' in n} == {96000}"
        ),
        "each took minutes to train": (
            "all(read_card(CHECKPOINTS / f'{n}.yaml').seconds < 3600 for n in list_cards('fashion')"
            " if '-s-96k' in n)"
        ),
        "An untrained network does much better than that, and so do raw pixels": (
            "min(linear['random weights']) > 0.25 and of_pixels() > 0.25"
        ),
    },
    "attribution": {
        "Twelve test images": "len(x0) == 12",
        "It is as high as a trained one's, or nearly": (
            "invariances['random weights'] > min(invariances.values()) - 0.05"
            " and invariances['random weights'] > 0.85"
        ),
        "Nearly the same direction for every image": "alike('random weights') > 0.85",
        "The score falls hardly farther in 20 steps than in 5": "falls[20] < 1.2 * falls[5]",
        "many pixels overshoot and come back": "turns(20) > 0.2",
        'text: "It grows."': "gaps[3] > gaps[2] > gaps[0]",
        "20 steps are not yet near it": "gaps[3] > gaps[0]",
        "About as much with the brightness": (
            "agreements['brightness'] > agreements['masked'] - 0.05"
            " and agreements['brightness'] > 0.5"
        ),
        "correlations near 0, as with a random map": "abs(agreements['random map']) < 0.05",
        "All SSLA maps are 0 on the black background": (
            "all((m[x0 == 0] == 0).all() for m in maps.values())"
        ),
        "making a black pixel brighter changes the representation": "(slope(x0, of_views)[x0 == 0] != 0).float().mean() > 0.9",
        "keeps more of the representation than protecting random ones, on these six images": (
            "areas['SSLA'][0] > 2 * areas['SSLA'][1] and len(clean) == 6"
        ),
        "four curves": "len(curves) == 4",
        "Computed, it is a rounding error instead of 0": (
            "slope(clean, score).abs().max() < 1e-4 * slope(start, score).abs().mean()"
        ),
        "after five steps the score is about as low": "abs(fall(clean) / fall(start) - 1) < 0.2",
    },
}
# what the expressions need besides the notebook's own names
NAMES = {
    "attention": """
by_block = {n: d.mean((1, 2)) for n, d in distance.items()}
at_end = {n: d[-1] for n, d in by_block.items()}
drawn = picture_rows({"": list(attention["random weights"][0, 0, 0, :3].reshape(3, 7, 7))})
""",
    "representation": """
from lib.encoders.card import CHECKPOINTS, read_card

def accuracy(x, asked):
    weights, bias = linear_probe(x, lab.train.labels, classes, 100.0)
    return ((asked @ weights + bias).argmax(1) == lab.test.labels).float().mean()

def by_itself(name, b):
    z = pool(test[name][b], prefix, "patch_mean")
    return accuracy(features(name, b)[0], (z - z.mean(0)) / z.std(0))

def of_pixels():
    return accuracy(*standardise(lab.train.images.flatten(1), lab.images.flatten(1)))

found, either = decisions("random weights")
of_untrained = found, 1.96 * (0.25 / (either * 100)) ** 0.5
""",
    "attribution": """
from lib.attribution.ssla import walk

invariances = {n: invariance_score(f_(x0), target_of(f_, x0)).mean() for n, f_ in encoders.items()}
agreements = {n: rank_correlation(maps["contrastive"] + noise, o + noise.flip(0)).mean() for n, o in controls.items()}
areas = {}
for n in ("SSLA", "brightness"):
    a = area_between(rates, curves[n], curves["random map"])
    areas[n] = a.mean(), a.std() / len(a) ** 0.5
target = target_of(encoders["contrastive"], x0)
scores = {t: library_ssla(encoders["contrastive"], x0, target, steps=t).scores for t in (5, 20)}
falls = {t: (s[:, 0] - s[:, -1]).mean() for t, s in scores.items()}

def alike(name):
    z = torch.nn.functional.normalize(encoders[name](x0), dim=1)
    return (z @ z.T)[~torch.eye(len(z), dtype=bool)].mean()

def turns(steps):  # share of moving pixels that turn back from one step to the next
    path = [x.clone() for x, _, _ in walk(encoders["contrastive"], x0, target, steps)]
    moves = torch.stack(path).diff(dim=0).sign()
    return (moves[1:] * moves[:-1] < 0)[:, x0 > 0].float().mean()

def slope(x, score):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(score(x).sum(), x)[0]

def of_views(x):
    return invariance_score(encoders["contrastive"](x), target)

def fall(begin):  # with all pixels exposed
    everywhere = torch.ones_like(clean, dtype=bool)
    return 1 - score(attack(score, clean, everywhere, begin, 5, epsilon / 3, epsilon)).mean()
""",
}


def asked_for(requirements: Path) -> set[str]:
    """Distributions that pip would install for a file of requirements, by what these here ask for."""
    lines = [line.partition("#")[0].strip() for line in requirements.read_text().splitlines()]
    left, seen, found = [Requirement(line) for line in lines if line], set(), set()
    while left:
        wanted = left.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        try:
            needs = map(Requirement, distribution(wanted.name).requires or [])
        except PackageNotFoundError:
            continue  # of another platform, or never imported here
        found.add(wanted.name)
        extras = {"", *wanted.extras}
        left += [
            n for n in needs if not n.marker or any(n.marker.evaluate({"extra": e}) for e in extras)
        ]
    return found


def wheel_of(name: str, folder: Path) -> None:
    """Pack a distribution that is installed here, of Python files alone, for pip to find in a folder."""
    found = distribution(name)
    with ZipFile(folder / f"{name}-{found.version}-py3-none-any.whl", "w") as wheel:
        for file in found.files:
            if file.parts[0] != ".." and "__pycache__" not in file.parts:
                wheel.write(file.locate(), file)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A new environment that holds what requirements.txt asks for and nothing else, linked rather than
    downloaded, but for one package, which is left to the first cell."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True, symlinks=True)
    wheel_of(LEFT_OUT, folder)
    python = folder / "bin" / "python"
    command = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    for name in asked_for(ROOT / "notebooks" / "lab" / "requirements.txt") - {LEFT_OUT}:
        files = distribution(name).files or []
        for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(distribution(name).locate_file(top))
    kernel = folder / "share" / "jupyter" / "kernels" / "empty"
    kernel.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "empty", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    return folder


@pytest.fixture(scope="module", params=MODULES)
def ran(request, empty, tmp_path_factory):
    """A student's notebook as it was run in an empty folder, and the sentences that do not hold."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    notebook = edition_of(read_module(name), "student", 1, ROOT.as_uri())
    judge = ";".join(f"holds[{words!r}] = bool({test})" for words, test in HOLDS[name].items())
    asked = f"{NAMES[name]}\nholds = {{}}\n{judge}\nprint([w for w, h in holds.items() if not h])"
    notebook.cells.append(new_code_cell(asked))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(empty / "share" / "jupyter"))
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(empty))
        patch.delenv("PYTHONPATH", raising=False)
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=600, kernel_name="empty", resources=resources).execute()
    return folder, notebook


def said(cell):
    return "".join(o.text for o in cell.outputs if o.get("name") == "stdout")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone, so nothing to clone")
def test_runs_from_top_to_bottom_in_an_empty_environment(ran, empty):
    folder, notebook = ran
    (installed,) = empty.glob(f"lib/*/site-packages/{LEFT_OUT}")
    assert not installed.is_symlink()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    checks = [said(cell) for cell in code if "check" in tags(cell)]
    assert all("is not filled in yet" in text for text in checks)
    assert len(checks) == sum("exercise" in tags(cell) for cell in notebook.cells)
    assert [path.name for path in folder.iterdir()] == ["study"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone, so nothing to clone")
def test_sentences_hold(ran):
    _, notebook = ran
    assert said(notebook.cells[-1]).strip() == "[]", "these sentences do not hold"


@pytest.mark.parametrize("name", MODULES)
def test_sentences_are_in_the_text(name):
    source = "\n".join(cell.source for cell in read_module(name).cells)
    text = source + json.dumps([c.metadata for c in read_module(name).cells], ensure_ascii=False)
    for words in HOLDS[name]:
        assert words in text, words


def test_the_first_cell_looks_for_all_that_is_asked_for():
    needed = re.findall(r'"(\w+)"', first_cell("").partition("NEEDED")[2].partition("]")[0])
    lines = (ROOT / "notebooks" / "lab" / "requirements.txt").read_text().splitlines()
    asked = {re.split(r"[>=]", line)[0] for line in lines if line and not line.startswith("#")}
    other = {"scikit-learn": "sklearn", "pyyaml": "yaml"}
    # the kernel that runs the cell is there
    assert set(needed) == {other.get(name, name) for name in asked} - {"ipykernel"}


def test_time_checks_of_the_lecturer_are_right():
    for name, words, minutes in (
        ("attention", "about half of the hour is over here", 30),
        ("attribution", "forty minutes are over after the next section", 40),
    ):
        spent = []
        for cell in read_module(name).cells:
            if "section" in tags(cell):
                spent.append(cell.metadata["lab"]["minutes"])
            if words in cell.source:
                break
        else:
            raise AssertionError(words)
        if "after the next section" in words:
            cells = read_module(name).cells
            sections = [c.metadata["lab"]["minutes"] for c in cells if "section" in tags(c)]
            spent = sections[: len(spent) + 1]
        assert abs(sum(spent) - minutes) <= 3
