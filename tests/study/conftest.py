"""A tiny study in a temporary folder: a small library, notebooks, encoders, a profile."""

from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lib.encoders.card import Card, file_sha256, write_card

PARAMETERS = 'profile: str = "fashion"\nencoders: list = ["fashion/a"]\nimages: int = 4  # how many\nscale: float = 1.5\nquick: bool = False'
BODY = """
from pathlib import Path
from lib.tools.double import double
folder = Path("data/results") / profile
folder.mkdir(parents=True, exist_ok=True)
(folder / "first.csv").write_text(f"images,scale,quick,encoders\\n{double(images)},{scale},{quick},{' '.join(encoders)}\\n")
"""


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
    facts = dict.fromkeys(("method", "architecture", "command", "commit", "data", "licence", "source"), "x") | dict(family="CL", pooling="patch_mean")
    numbers = dict(patch_size=4, prefix_tokens=1, images_seen=1, seconds=1, seed=0)
    write_card(Card(**facts, **numbers, arguments={}, mean=[0.5], std=[0.5], sha256=file_sha256(weights)), weights.with_suffix(".yaml"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The tiny study; ``first`` imports ``lib.tools.double``, which imports ``lib.tools.base``; nothing imports ``lib.other``."""
    files = {
        "lib/__init__.py": "",
        "lib/other.py": "",
        "lib/tools/__init__.py": "",
        "lib/tools/base.py": "two = 2\n",
        "lib/tools/double.py": "from .base import two\n\n\ndef double(x):\n    return two * x\n",
        "data/fashion-mnist/SHA256SUMS": "0 x\n",
        "requirements.lock": "numpy==1\n",
        "notebooks/profiles/fashion.yaml": "shared: {profile: fashion, encoders: [fashion/a]}\nnotebooks:\n  first: {images: 8}\n  first_second: {}\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    write_encoder(tmp_path, "fashion/a")
    write_encoder(tmp_path, "fashion/b")
    write_notebook(tmp_path, "first", PARAMETERS, BODY)
    write_notebook(tmp_path, "first_second", 'profile: str = "fashion"\nimages: int = 4', "print(images)")
    return tmp_path


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the notebooks executed, in order, by a stand-in for papermill without a kernel: it writes one table of the parameters."""
    names = []

    def execute_notebook(source: Path, target: Path, parameters: dict, cwd: Path, **_: object) -> None:
        names.append(Path(source).stem)
        table = cwd / "data" / "results" / parameters["profile"] / f"{Path(source).stem}.csv"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(f"{parameters}\n")
        nbformat.write(nbformat.read(source, as_version=4), target)

    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    return names


@pytest.fixture
def tools() -> dict:
    """The helpers that write notebooks and encoders."""
    return dict(write_notebook=write_notebook, write_encoder=write_encoder)
