"""Assemble executed notebooks and prose into one folder, build the HTML book strictly, and check
it."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import yaml
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell

from lib.lab.pages import write_lab
from lib.lab.source import repository_url
from lib.paths import ROOT
from lib.report.claims import load_claims
from lib.report.downloads import citation, for_readers, latex, links_out
from lib.report.heads import head, read_tables, title_page
from lib.report.in_browser import encoders_asked_for, write_weights
from lib.report.pages import foot, status_page, summary, verdicts_page
from lib.report.rules_page import rules as rules_of
from lib.report.schematics import show_schematic
from lib.report.verdicts import changes, in_present_words, read_verdicts
from lib.report.verify import how_exact, last_comparison, load_tolerances
from lib.run.errors import StudyError
from lib.run.layout import contents, executed_notebook
from lib.run.record import read_record

FORMER = "fashion"  # the profile that was judged by the rules before the amendment


def write_if_changed(path: Path, text: str) -> None:
    """Leave an equal file alone, so that Sphinx does not read it again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def without(toc: dict | list, names: set[str]) -> dict | list:
    """A table of contents without these files, and without parts that are then empty."""
    if isinstance(toc, dict):
        return {
            key: without(value, names) if isinstance(value, dict | list) else value
            for key, value in toc.items()
        }
    kept = [
        without(node, names) if isinstance(node, dict | list) else node
        for node in toc
        if not (isinstance(node, dict) and node.get("file") in names)
    ]
    return [node for node in kept if not (isinstance(node, dict) and node.get("chapters") == [])]


def configuration(config: Path) -> str:
    """The book's configuration; where the repository's address is known, with buttons that lead
    there."""
    text = config.read_text(encoding="utf-8")
    if not repository_url(config):
        return text
    values = yaml.safe_load(text)
    values["html"] |= {"use_repository_button": True, "use_issues_button": True}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def for_book(
    notebook: Path, record: dict, url: str = "", answer: str = "", rules: dict | None = None
) -> str:
    """An executed notebook as readers get it, with the answer below its title, its claims in the
    words of the rules, and its provenance as a last cell."""
    executed = for_readers(nbformat.read(notebook, as_version=4), url)
    for output in (o for cell in executed.cells for o in cell.get("outputs", [])):
        if "text/html" in output.get("data", {}):
            output["data"]["text/html"] = in_present_words(output["data"]["text/html"], rules or {})
    pages = (cell for cell in executed.cells if cell.cell_type == "markdown")
    title = next((cell for cell in pages if cell.source.startswith("# ")), None)
    if answer and title:
        heading, _, text = title.source.partition("\n")
        title.source = f"{heading}\n\n{answer}\n\n{text.lstrip()}"
    links = links_out(record["notebook"], url)
    executed.cells.append(new_markdown_cell(f"{foot(record)}\n{links}".strip(), id="provenance"))
    return nbformat.writes(executed)


def of_page(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one page."""
    return table[table["page"] == name] if len(table) else table


def hero(profile: str, notebooks: list[str], root: Path) -> str:
    """What the title page begins with: the explorer of attention, or else a drawing."""
    if "self_attention" in notebooks:
        soup = BeautifulSoup(
            html_outputs(executed_notebook(profile, "self_attention", root)), "html.parser"
        )
        explorer = soup.select_one('.explorer[data-explorer="attention"]')
        if explorer:
            return str(explorer)
    return show_schematic("contrastive learning", "masked image modelling").data


def html_outputs(notebook: Path) -> str:
    """All HTML that the cells of an executed notebook have put out."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output.get("data", {}).get("text/html", "") for output in outputs)


def assemble(
    profile: str, notebooks: list[str], root: Path = ROOT, left_out: dict[str, str] | None = None
) -> Path:
    """Write the sources of the book: prose, executed notebooks with their provenance, pages made
    from results.

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
    source, results = (
        root / "build" / "book" / profile / "source",
        root / "data" / "results" / profile,
    )
    prose = [path for path in (root / "book").rglob("*") if path.is_file()]
    wanted = {source / path.relative_to(root / "book") for path in prose}
    for path in prose:
        target = source / path.relative_to(root / "book")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != path.read_bytes():
            shutil.copyfile(path, target)
    rules = load_claims(root / "book" / "claims.yaml")
    verdicts = read_verdicts(results, notebooks, rules)
    records = [read_record(profile, name, root) for name in notebooks]
    former = pd.read_csv(root / "book" / "amendments" / "2026-11-25.csv")
    changed = changes(verdicts, former) if profile == FORMER else None
    url = repository_url(root / "book" / "_config.yml")
    tables, cases = read_tables(results, notebooks)
    pages = {*notebooks, *(path.stem for path in (root / "book").glob("*.md"))}
    compared = last_comparison(profile, root)
    texts = {
        "generated/summary.md": summary(verdicts),
        "what_holds.md": verdicts_page(verdicts, rules, changed),
        "status.md": status_page(records, left_out),
        "generated/title.md": title_page(tables, rules, pages, hero(profile, notebooks, root)),
        "generated/rules.md": rules_of(rules, set(notebooks)),
        "generated/how_exact.md": how_exact(
            load_tolerances(root / "book" / "tolerances.yaml"),
            pd.read_csv(compared) if compared.is_file() else None,
        ),
        "generated/cite.md": citation(root / "CITATION.cff", url),
    }
    texts["_config.yml"] = configuration(root / "book" / "_config.yml")
    if left_out:
        toc = yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))
        texts["_toc.yml"] = yaml.safe_dump(without(toc, set(left_out)), sort_keys=False)
    for name, record in zip(notebooks, records, strict=True):
        answer = head(*(of_page(table, name) for table in (tables, cases)), rules)
        texts[f"{name}.ipynb"] = for_book(
            executed_notebook(profile, name, root), record, url, answer, rules
        )
        texts |= {
            f"generated/{Path(p).name}": (root / p).read_text(encoding="utf-8")
            for p in record["outputs"]
            if p.endswith(".csv")
        }
    texts |= {
        name.removesuffix(".csv") + ".tex": latex(text)
        for name, text in texts.items()
        if name.startswith("generated/") and name.endswith(".csv")
    }
    for name, text in texts.items():
        write_if_changed(source / name, text)
    wanted |= {source / name for name in texts}
    shown = "".join(html_outputs(executed_notebook(profile, name, root)) for name in notebooks)
    for encoder in encoders_asked_for(shown):
        wanted.add(write_weights(encoder, source / "_static", root / "data" / "checkpoints"))
    pages = {path.stem for path in wanted if path.suffix in (".md", ".ipynb")}
    wanted |= write_lab(source, root, pages, url)
    for path in source.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
    listed = contents(source / "_toc.yml")
    missing = [
        name
        for name in listed
        if not any((source / f"{name}{suffix}").is_file() for suffix in (".md", ".ipynb"))
    ]
    unlisted = [name for name in notebooks if name not in listed]
    if missing or unlisted:
        raise StudyError(
            f"book/_toc.yml and the pages do not match: no page for {missing or 'none'}, not in the"
            f" contents: {unlisted or 'none'}."
        )
    return source


def dead_links(html: Path, soup: BeautifulSoup) -> list[str]:
    """Links of a page's text to a place in the book, ``page.html#name``, that is not there."""
    links = {
        tag["href"]
        for tag in soup.select('.bd-article a[href*=".html#"]')
        if "://" not in tag["href"]
    }
    targets = {link: link.partition("#") for link in sorted(links)}
    texts = {
        page: (html / page).read_text(encoding="utf-8") if (html / page).is_file() else ""
        for page, _, _ in targets.values()
    }
    return [link for link, (page, _, name) in targets.items() if f'id="{name}"' not in texts[page]]


def check_html(html: Path, pages: list[str]) -> None:
    """Every page exists, holds no error output, no picture without alternative text, no dead link,
    and asks nothing of another host.

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
        wrong += [
            f"{name}: picture without alternative text: {i.get('src')}"
            for i in soup.select(".bd-article img")
            if not i.get("alt")
        ]
        wrong += [f"{name}: dead link {link}" for link in dead_links(html, soup)]
        loaded = [
            tag.get("src") or tag.get("href")
            for tag in soup.select(
                "script[src], img[src], iframe[src], link[rel=stylesheet], link[rel=preload]"
            )
        ]
        wrong += [
            f"{name}: loads {address} from another host"
            for address in loaded
            if address.startswith(("http:", "https:", "//"))
        ]
    if wrong:
        raise StudyError("the book was built, but is not sound: " + "; ".join(wrong) + ".")


def build(
    profile: str, notebooks: list[str], root: Path = ROOT, left_out: dict[str, str] | None = None
) -> Path:
    """Build the book; a warning is an error. Arguments as :func:`assemble`.

    Returns:
        its first page.

    Raises:
        StudyError: the build failed or the book is not sound.
    """
    source = assemble(profile, notebooks, root, left_out)
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        source,
        "--path-output",
        source.parent,
        "-W",
        "-n",
        "--keep-going",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    log = source.parent / "build.log"
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    html = source.parent / "_build" / "html"
    if done.returncode:
        said = [
            line
            for line in (done.stdout + done.stderr).splitlines()
            if "WARNING" in line or "ERROR" in line or "rror:" in line
        ]
        raise StudyError(
            f"jupyter-book failed: {' | '.join(said[:8]) or 'no warning was printed'}. The log is"
            f" {log.relative_to(root)}."
        )
    # Sphinx leaves old styles where no page has changed
    shutil.copytree(source / "_static", html / "_static", dirs_exist_ok=True)
    if (source / "slides").is_dir():
        shutil.copytree(source / "slides", html / "slides", dirs_exist_ok=True)
    check_html(html, contents(source / "_toc.yml"))
    return html / "index.html"
