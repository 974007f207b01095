"""Shared by all tests: tiny Vision Transformers, images, attention, a tiny study in a folder;
hypothesis without deadlines, since the cores may be busy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import papermill
import pytest
import timm
import torch
from distributed import Client, LocalCluster
from hypothesis import settings
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import lib.run.runs
from lib import paths
from lib.data.images import Images
from lib.encoders.architecture import vit_arguments
from lib.encoders.card import Card, file_sha256, write_card
from lib.encoders.encoder import Encoder

settings.register_profile("study", deadline=None, derandomize=True, database=None, max_examples=25)
settings.load_profile("study")

TINY = vit_arguments() | {"embed_dim": 24, "depth": 2}


@pytest.fixture
def make_vit():
    """Factory of tiny timm ViTs; ``shaken`` moves every parameter off its initial value, so that no
    0, 1 or flat map hides a mistake."""

    def make(seed: int = 0, shaken: bool = True, **arguments):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            vit = timm.create_model("vit_tiny_patch16_224", **(TINY | arguments))
            if shaken:
                for parameter in vit.parameters():
                    parameter.data.add_(0.3 * torch.randn_like(parameter))
        return vit

    return make


@pytest.fixture
def encoder(make_vit):
    """A tiny encoder of 28 × 28 grey images: grid 7 × 7, 2 blocks, 3 heads, width 24."""
    return Encoder(make_vit(), [0.3], [0.35], "class_token", name="tiny", family="CL")


@pytest.fixture
def images():
    """Five grey images in [0, 1]."""
    return torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def batch(images):
    """The five images as training data with masks."""
    return Images(images, torch.tensor([0, 1, 2, 0, 1]), images > 0.4, ("a", "b", "c"))


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty folder in the place of ``data/results``."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.delenv(paths.TABLES, raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def make_attention():
    """Factory of random row-stochastic attention ``(batch, heads, tokens, tokens)``; higher
    ``sharpness`` is nearer to one key a query."""

    def make(
        tokens: int,
        batch: int = 2,
        heads: int = 3,
        seed: int = 0,
        sharpness: float = 2.0,
        dtype: torch.dtype = torch.float64,
    ):
        logits = torch.randn(
            batch,
            heads,
            tokens,
            tokens,
            generator=torch.Generator().manual_seed(seed),
            dtype=torch.float64,
        )
        return logits.mul(sharpness).softmax(-1).to(dtype)

    return make


@pytest.fixture(scope="session")
def official_attention():
    """The attention on which the official notebook's formulas were run: class token dropped, grid 7
    × 7."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        attention = torch.randn(2, 3, 50, 50).mul(2).softmax(-1)
    patches = attention[:, :, 1:, 1:]
    return patches / patches.sum(-1, keepdim=True)


PARAMETERS = (
    'profile: str = "fashion"\nencoders: list = ["fashion/a"]\nimages: int = 4  # how many\nscale:'
    " float = 1.5\nquick: bool = False"
)
BODY = """
import os
from pathlib import Path
from lib.tools.double import double
table = f"images,scale,quick,encoders\\n{double(images)},{scale},{quick},{' '.join(encoders)}\\n"
(Path(os.environ["STUDY_TABLES"]) / "first.csv").write_text(table)
"""
TOC = """
format: jb-book
root: index
parts:
  - caption: All
    chapters:
"""


def write_contents(root: Path, *pages: str) -> None:
    """The book's table of contents."""
    path = root / "book" / "_toc.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TOC + "".join(f"      - file: {page}\n" for page in pages))


def write_notebook(root: Path, name: str, parameters: str | None, *code: str) -> Path:
    """A notebook with a title, a parameters cell (unless None) and further code cells."""
    cells = [new_markdown_cell(f"# {name}")]
    if parameters is not None:
        cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    notebook = new_notebook(cells=cells + [new_code_cell(source) for source in code])
    path = root / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def write_encoder(root: Path, name: str, content: bytes = b"weights") -> None:
    """A card and a file of weights."""
    weights = root / "data" / "checkpoints" / f"{name}.safetensors"
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(content)
    facts = dict.fromkeys(
        ("method", "architecture", "command", "commit", "data", "licence", "source"), "x"
    ) | dict(family="CL", pooling="patch_mean")
    numbers = dict(patch_size=4, prefix_tokens=1, images_seen=1, seconds=1, seed=0)
    write_card(
        Card(**facts, **numbers, arguments={}, mean=[0.5], std=[0.5], sha256=file_sha256(weights)),
        weights.with_suffix(".yaml"),
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The tiny study; ``first`` imports ``lib.tools.double``, which imports ``lib.tools.base``;
    nothing imports ``lib.other``."""
    files = {
        "lib/__init__.py": "",
        "lib/other.py": "",
        "lib/tools/__init__.py": "",
        "lib/tools/base.py": "two = 2\n",
        "lib/tools/double.py": "from .base import two\n\n\ndef double(x):\n    return two * x\n",
        "data/fashion-mnist/SHA256SUMS": "0 x\n",
        "requirements.lock": "numpy==1\n",
        "notebooks/profiles/fashion.yaml": (
            "shared: {profile: fashion, encoders: [fashion/a]}\nnotebooks:\n  first: {images: 8}\n "
            " first_second: {}\n"
        ),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    write_contents(tmp_path, "first", "first_second")
    write_encoder(tmp_path, "fashion/a")
    write_encoder(tmp_path, "fashion/b")
    write_notebook(tmp_path, "first", PARAMETERS, BODY)
    write_notebook(
        tmp_path, "first_second", 'profile: str = "fashion"\nimages: int = 4', "print(images)"
    )
    return tmp_path


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the notebooks executed, in order, by a stand-in for papermill without a kernel: it
    writes one table of the parameters."""
    names = []

    def execute_notebook(
        source: Path, target: Path, parameters: dict, cwd: Path, **_: object
    ) -> None:
        names.append(Path(source).stem)
        table = Path(os.environ["STUDY_TABLES"]) / f"{Path(source).stem}.csv"
        table.write_text(f"{parameters}\n")
        nbformat.write(nbformat.read(source, as_version=4), target)

    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    monkeypatch.setattr(lib.run.runs, "local", in_this_process)
    return names


@contextmanager
def in_this_process(workers: int) -> Iterator[Client]:
    """A cluster without processes, in which a stand-in is still one."""
    options = dict(processes=False, dashboard_address=":0", memory_limit=0)
    with LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster:
        with Client(cluster) as client:
            yield client


@pytest.fixture
def tools() -> dict:
    """The helpers that write notebooks and encoders."""
    return dict(
        write_notebook=write_notebook, write_encoder=write_encoder, write_contents=write_contents
    )
