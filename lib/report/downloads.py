"""Copies of executed notebooks for readers: a first cell that fetches the study, nothing of this
machine, links to the numbers behind figures."""

import ast
import io
import re
from pathlib import Path

import nbformat
import pandas as pd
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

SETUP = """\
# Outside the study's repository (a downloaded notebook, Colab, Binder): fetch it, install what it
# needs, work in it.
try:
    import lib.report
except ModuleNotFoundError:
    import os
    import subprocess
    import sys
    from pathlib import Path

    repository, home = os.environ.get("STUDY_REPOSITORY", "{url}"), Path("ssl-study").resolve()
    if not repository:
        raise RuntimeError("set STUDY_REPOSITORY to the address, or path, of a clone")
    if not home.exists():
        subprocess.run(["git", "clone", "--quiet", "--depth=1", repository, home], check=True)
    packages = ["install", "--quiet", "-r", home / "requirements.lock"]
    subprocess.run([sys.executable, "-m", "pip", *packages], check=True)
    os.chdir(home)
    sys.path.insert(0, str(home))
"""


def setup_cell(url: str) -> NotebookNode:
    """The first cell of a downloaded notebook, invisible on its page.

    Args:
        url: of the repository; empty where it is not known, and the cell then asks for
            ``STUDY_REPOSITORY``.
    """
    return new_code_cell(
        SETUP.replace("{url}", url), id="setup", metadata={"tags": ["remove-cell"]}
    )


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def tables_behind(notebook: NotebookNode) -> dict[str, str]:
    """Which table each figure draws: cell id -> name of the table.

    A figure draws a table if its call takes a variable that :func:`write_table` has written, or one
    made from such a variable.
    """
    written: dict[str, str] = {}
    found = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("write_table"):
                table, _, name = node.args
                if isinstance(table, ast.Name) and isinstance(name, ast.Constant):
                    written[table.id] = name.value
        for node in ast.parse(cell.source).body:
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                used = [written[name] for name in sorted(_names(node.value)) if name in written]
                if used and node.targets[0].id not in written:
                    written[node.targets[0].id] = used[0]
        if "figure" in cell.metadata.get("mystnb", {}):
            last = ast.parse(cell.source).body[-1]
            calls = [node for node in ast.walk(last) if isinstance(node, ast.Call)]
            used = [
                written[name]
                for name in sorted(set().union(*map(_names, calls)))
                if name in written
            ]
            if used:
                found[cell.id] = used[0]
    return found


def _fold(cell: NotebookNode) -> None:
    """Code is shown when asked for; parameters stand in the table at the foot of the page."""
    tags = set(cell.metadata.get("tags", []))
    if tags & {"parameters", "injected-parameters"}:
        cell.metadata["tags"] = sorted(tags - {"hide-input"} | {"remove-cell"})
    elif not tags & {"remove-input", "remove-cell"}:
        cell.metadata["tags"] = sorted(tags | {"hide-input"})


def for_readers(executed: NotebookNode, url: str) -> NotebookNode:
    """An executed notebook as the book shows it and readers download it.

    Progress bars and other text on stderr, papermill's notes (which hold paths) and times are left
    out, the setup cell comes first, and the caption of a figure leads to its table. Code is folded.

    Args:
        executed: as papermill left it; not changed.
        url: of the repository, or empty.
    """
    notebook = nbformat.from_dict(executed)
    notebook.metadata.pop("papermill", None)
    behind = tables_behind(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            _fold(cell)
            cell.outputs = [
                out
                for out in cell.outputs
                if not (out.output_type == "stream" and out.name == "stderr")
            ]
        if cell.id in behind:
            figure = cell.metadata["mystnb"]["figure"]
            figure["caption"] += f" {{download}}`CSV <generated/{behind[cell.id]}.csv>`"
    notebook.cells.insert(0, setup_cell(url))
    return notebook


def links_out(name: str, url: str, branch: str = "main") -> str:
    """Where to run, read and correct a page, as Markdown: Colab, Binder, the notebook's source,
    issues; empty where the address is not known.

    Colab and Binder open the branch ``notebooks``, where the workflow that publishes the book puts
    readers' copies.

    Args:
        name: of the notebook.
        url: of the repository, such as ``https://github.com/OWNER/NAME``.
        branch: of the sources.
    """
    match = re.fullmatch(r"https://github\.com/([^/]+/[^/]+?)(?:\.git)?/?", url)
    if not match:
        return f"[Source]({url})" if url else ""
    place = match[1]
    links = {
        "Open in Colab": (
            f"https://colab.research.google.com/github/{place}/blob/notebooks/{name}.ipynb"
        ),
        "Open in Binder": f"https://mybinder.org/v2/gh/{place}/notebooks?labpath={name}.ipynb",
        "Source": f"https://github.com/{place}/blob/{branch}/notebooks/{name}.ipynb",
        "Ask or correct": f"https://github.com/{place}/issues/new?title={name}",
    }
    return " · ".join(f"[{words}]({address})" for words, address in links.items())


def latex(csv: str) -> str:
    """A table as LaTeX (package booktabs), from the text of its CSV file.

    >>> print(latex("encoder,value\\nmoco-v3_s,0.51234\\n"))
    \\begin{tabular}{lr}
    \\toprule
    encoder & value \\\\
    \\midrule
    moco-v3\\_s & 0.512 \\\\
    \\bottomrule
    \\end{tabular}
    <BLANKLINE>
    """
    table = pd.read_csv(io.StringIO(csv), dtype={"depth": object, "head": object})
    return table.to_latex(index=False, escape=True, na_rep="", float_format="%.3g")


def citation(cff: Path, url: str) -> str:
    """How to cite the study: ``CITATION.cff`` as BibTeX, in Markdown.

    Args:
        cff: the file.
        url: of the repository, or empty.
    """
    facts = yaml.safe_load(cff.read_text(encoding="utf-8"))
    people = (a.get("name") or f"{a['family-names']}, {a['given-names']}" for a in facts["authors"])
    authors = " and ".join(f"{{{person}}}" for person in people)
    entries = {
        "title": facts["title"],
        "author": authors,
        "year": str(facts["date-released"])[:4],
        "version": facts["version"],
    }
    if url:
        entries["url"] = url
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in entries.items())
    return f"```bibtex\n@software{{ssl_study,\n{lines}\n}}\n```\n"
