"""The whole book as one PDF: every built page printed by a Chromium, put together with a bookmark a
page."""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from bs4 import BeautifulSoup
from pypdf import PdfWriter
from tqdm import tqdm

from lib.paths import ROOT
from lib.report.book import contents
from lib.run.errors import StudyError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = "--headless --no-sandbox --disable-gpu --no-pdf-header-footer --virtual-time-budget=20000"


def browser() -> str:
    """Path of a Chromium.

    Raises:
        StudyError: there is none.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise StudyError(
            f"a PDF needs one of {', '.join(BROWSERS)} on this machine; none was found"
        )
    return found


def print_page(page: Path, target: Path) -> None:
    """Print one page of the book.

    Raises:
        StudyError: the browser wrote nothing.
    """
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser(),
            *FLAGS.split(),
            f"--user-data-dir={profile}",
            f"--print-to-pdf={target}",
            page.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not target.is_file():
        raise StudyError(f"{page.name} was not printed: {done.stderr.strip()[-300:]}")


def print_book(html: Path, pages: list[str], target: Path) -> Path:
    """Print pages of a built book into one file.

    Args:
        html: folder of the built pages.
        pages: names, in order.
        target: the PDF.

    Returns:
        the PDF.

    Raises:
        StudyError: no browser, or a page that is not built.
    """
    browser()
    missing = [name for name in pages if not (html / f"{name}.html").is_file()]
    if missing:
        raise StudyError(f"the book lacks {missing}; build it first: make book")
    with tempfile.TemporaryDirectory() as folder, PdfWriter() as book:
        for name in tqdm(pages, unit="page"):
            printed, page = Path(folder) / f"{name}.pdf", html / f"{name}.html"
            print_page(page, printed)
            title = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select_one("h1")
            words = title.get_text(" ", strip=True).rstrip("#").strip() if title else name
            book.append(printed, outline_item=words)
        target.parent.mkdir(parents=True, exist_ok=True)
        book.write(target)
    return target


def main(argv: list[str] | None = None) -> None:
    """Print the book of a profile."""
    parser = argparse.ArgumentParser(prog="python -m lib.report.pdf", description=main.__doc__)
    parser.add_argument("--profile", default="fashion", help="whose book (default: fashion)")
    folder = ROOT / "build" / "book" / parser.parse_args(argv).profile
    toc = folder / "source" / "_toc.yml"
    if not toc.is_file():
        raise SystemExit(
            f"there is no book in {folder.relative_to(ROOT)}: build it first, make book"
        )
    try:
        print(
            print_book(folder / "_build" / "html", contents(toc), folder / "book.pdf").relative_to(
                ROOT
            )
        )
    except StudyError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
