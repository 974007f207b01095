"""Assemble executed notebooks and prose into one folder, build the HTML book strictly, and check it."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell

from lib.study.claims import load_claims
from lib.study.errors import StudyError
from lib.study.layout import ROOT, executed_notebook
from lib.study.pages import foot, status_page, summary, verdicts_page
from lib.study.provenance import read_record
from lib.study.verdicts import read_claims


def write_if_changed(path: Path, text: str) -> None:
    """Leave an equal file alone, so that Sphinx does not read it again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def contents(toc: Path) -> list[str]:
    """Names of the pages of a table of contents, the root first."""

    def files(node: object) -> list[str]:
        if isinstance(node, dict):
            return [name for key, value in node.items() for name in ([value] if key in ("root", "file") else files(value))]
        return [name for item in node for name in files(item)] if isinstance(node, list) else []

    return files(yaml.safe_load(toc.read_text(encoding="utf-8")))


def without(toc: dict | list, names: set[str]) -> dict | list:
    """A table of contents without these files, and without parts that are then empty."""
    if isinstance(toc, dict):
        return {key: without(value, names) if isinstance(value, dict | list) else value for key, value in toc.items()}
    kept = [without(node, names) if isinstance(node, dict | list) else node for node in toc if not (isinstance(node, dict) and node.get("file") in names)]
    return [node for node in kept if not (isinstance(node, dict) and node.get("chapters") == [])]


def with_foot(notebook: Path, record: dict) -> str:
    """An executed notebook with its provenance as a last cell."""
    executed = nbformat.read(notebook, as_version=4)
    executed.cells.append(new_markdown_cell(foot(record), id="provenance"))
    return nbformat.writes(executed)


def assemble(profile: str, notebooks: list[str], root: Path = ROOT, left_out: dict[str, str] | None = None) -> Path:
    """Write the sources of the book: prose, executed notebooks with their provenance, pages made from results.

    Args:
        profile: whose results.
        notebooks: that were executed, in order; each must be in the table of contents.
        root: of the repository.
        left_out: notebooks of the contents that no given encoder fits -> why.

    Returns:
        folder of the sources, ``build/book/PROFILE/source``.

    Raises:
        StudyError: the table of contents and the pages do not match.
    """
    source, results = root / "build" / "book" / profile / "source", root / "data" / "results" / profile
    prose = [path for path in (root / "book").rglob("*") if path.is_file()]
    wanted = {source / path.relative_to(root / "book") for path in prose}
    for path in prose:
        target = source / path.relative_to(root / "book")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != path.read_bytes():
            shutil.copyfile(path, target)
    rules = load_claims(root / "book" / "claims.yaml")
    claims, records = read_claims(results, notebooks, rules), [read_record(profile, name, root) for name in notebooks]
    found = summary(claims, seeds="seeds" in notebooks)
    texts = {"generated/summary.md": found, "what_holds.md": verdicts_page(claims, rules), "status.md": status_page(records, left_out)}
    if left_out:
        toc = yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))
        texts["_toc.yml"] = yaml.safe_dump(without(toc, set(left_out)), sort_keys=False)
    for name, record in zip(notebooks, records, strict=True):
        texts[f"{name}.ipynb"] = with_foot(executed_notebook(profile, name, root), record)
        texts |= {f"generated/{Path(p).name}": (root / p).read_text(encoding="utf-8") for p in record["outputs"] if p.endswith(".csv")}
    for name, text in texts.items():
        write_if_changed(source / name, text)
    wanted |= {source / name for name in texts}
    for path in source.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
    listed = contents(source / "_toc.yml")
    missing = [name for name in listed if not any((source / f"{name}{suffix}").is_file() for suffix in (".md", ".ipynb"))]
    unlisted = [name for name in notebooks if name not in listed]
    if missing or unlisted:
        raise StudyError(f"book/_toc.yml and the pages do not match: no page for {missing or 'none'}, not in the contents: {unlisted or 'none'}.")
    return source


def dead_links(html: Path, soup: BeautifulSoup) -> list[str]:
    """Links of a page's text to a place in the book, ``page.html#name``, that is not there."""
    links = {tag["href"] for tag in soup.select('.bd-article a[href*=".html#"]') if "://" not in tag["href"]}
    targets = {link: link.partition("#") for link in sorted(links)}
    texts = {page: (html / page).read_text(encoding="utf-8") if (html / page).is_file() else "" for page, _, _ in targets.values()}
    return [link for link, (page, _, name) in targets.items() if f'id="{name}"' not in texts[page]]


def check_html(html: Path, pages: list[str]) -> None:
    """Every page exists, holds no error output, no picture without alternative text, no dead link, and asks nothing of another host.

    Raises:
        StudyError: names every page and what is wrong with it.
    """
    wrong = []
    for name in pages:
        path = html / f"{name}.html"
        if not path.is_file():
            wrong.append(f"{name}: not built")
            continue
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        if soup.select(".output.traceback, .output.stderr, .ansi-red-intense-fg, .system-message"):
            wrong.append(f"{name}: holds error output")
        wrong += [f"{name}: picture without alternative text: {i.get('src')}" for i in soup.select(".bd-article img") if not i.get("alt")]
        wrong += [f"{name}: dead link {link}" for link in dead_links(html, soup)]
        loaded = [tag.get("src") or tag.get("href") for tag in soup.select("script[src], img[src], iframe[src], link[rel=stylesheet], link[rel=preload]")]
        wrong += [f"{name}: loads {address} from another host" for address in loaded if address.startswith(("http:", "https:", "//"))]
    if wrong:
        raise StudyError("the book was built, but is not sound: " + "; ".join(wrong) + ".")


def build(profile: str, notebooks: list[str], root: Path = ROOT, left_out: dict[str, str] | None = None) -> Path:
    """Build the book; a warning is an error. Arguments as :func:`assemble`.

    Returns:
        its first page.

    Raises:
        StudyError: the build failed or the book is not sound.
    """
    source = assemble(profile, notebooks, root, left_out)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", source, "--path-output", source.parent, "-W", "-n", "--keep-going"]
    done = subprocess.run(command, capture_output=True, text=True)
    log = source.parent / "build.log"
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    html = source.parent / "_build" / "html"
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line or "ERROR" in line or "rror:" in line]
        raise StudyError(f"jupyter-book failed: {' | '.join(said[:8]) or 'no warning was printed'}. The log is {log.relative_to(root)}.")
    shutil.copytree(source / "_static", html / "_static", dirs_exist_ok=True)  # Sphinx leaves old styles where no page has changed
    check_html(html, contents(source / "_toc.yml"))
    return html / "index.html"
