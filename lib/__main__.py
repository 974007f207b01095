"""Run the study's notebooks and build its book: ``python -m lib run self_attention images=64``."""

import argparse
import sys
from pathlib import Path

CUSTOM_NOTE = (
    "With any name=value, results go to build/notebooks/custom and data/results/custom"
    " (profile=NAME chooses another folder), so that they never overwrite those of the profile."
    " Items of a list are separated by spaces or commas: encoders='fashion/a fashion/b'."
)
SWEEP_NOTE = (
    "Each page runs with one encoder at a time; results go to data/results/sweep-ENCODER, the"
    " comparison to build/sweep and data/results/sweep. What is finished is not run again. The"
    " workers of another scheduler need a checkout of this commit at the same path."
)
DATA = "images: a folder with one subfolder of images per class, or a data set known by name"


def names(text: str) -> list[str]:
    """Names separated by spaces or commas, each once.

    >>> names("fashion/a, fashion/b fashion/a")
    ['fashion/a', 'fashion/b']
    """
    return list(dict.fromkeys(text.replace(",", " ").split()))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line; name=value may stand before or after the options."""
    parser = argparse.ArgumentParser(prog="python -m lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run one notebook", description=CUSTOM_NOTE)
    run.add_argument("notebook", help="such as self_attention")
    book = commands.add_parser("book", help="run what has changed, and build the book")
    book.add_argument("--encoders", default="", help="other encoders than the profile's")
    book.add_argument("--dry", action="store_true", help="check, and say what would run")
    sweep = commands.add_parser("sweep", help="pages × encoders", description=SWEEP_NOTE)
    sweep.add_argument("--encoders", required=True, type=names, help="separated by spaces")
    sweep.add_argument("--notebooks", default=[], type=names, help="no others than these")
    for command in (book, sweep):
        command.add_argument("--data", default="", help=DATA)
    for command in (run, book, sweep):
        command.add_argument("--profile", default="fashion", help="where parameters come from")
        command.add_argument("--workers", type=int, help="pages at once (default: by the cores)")
        command.add_argument("--scheduler", help="of Dask, such as tcp://127.0.0.1:8786")
        command.add_argument("--force", action="store_true", help="also what has not changed")
    for command in (run, book):
        command.add_argument("assignments", nargs="*", metavar="name=value", help="parameters")
    arguments, rest = parser.parse_known_args(argv)
    if any(text.startswith("-") or "=" not in text for text in rest) or (
        rest and arguments.command == "sweep"
    ):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.assignments += rest
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run; the exit code is 2 for a user's mistake or a failed page."""
    arguments = parse(argv)
    # after parsing: --help and mistakes answer at once
    from lib.encoders.device import chosen_device, chosen_precision
    from lib.run.errors import StudyError
    from lib.run.runs import stopped_cleanly

    try:
        chosen_device(), chosen_precision()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with stopped_cleanly():
            return {"run": run, "book": book, "sweep": sweep}[arguments.command](arguments)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; results of earlier runs are kept", file=sys.stderr)
        return 130


def run(arguments: argparse.Namespace) -> int:
    """One notebook."""
    from lib.run.profiles import resolve

    only = Path(arguments.notebook).name.removesuffix(".ipynb")
    pages, _ = resolve(arguments.profile, arguments.assignments, only)
    _run(pages, arguments)
    return 0


def book(arguments: argparse.Namespace) -> int:
    """All pages of a profile, then the book."""
    from lib.report.book import build
    from lib.run.plan import plan
    from lib.run.profiles import resolve, results_profile
    from lib.run.runs import held

    given = {"encoders": arguments.encoders.strip(), "dataset": arguments.data.strip()}
    assignments = [f"{name}={value}" for name, value in given.items() if value]
    assignments += arguments.assignments
    if arguments.dry:
        print(plan(arguments.profile, assignments))
        return 0
    pages, left_out = resolve(arguments.profile, assignments)
    for name, why in left_out.items():
        print(f"{name}: left out: {why}", flush=True)
    results = results_profile(arguments.profile, assignments)
    with held([results]):
        _run(pages, arguments)
        page = build(results, [page.notebook for page in pages], left_out=left_out)
    print(f"the book is at {page}")
    return 0


def sweep(arguments: argparse.Namespace) -> int:
    """Every page with every encoder by itself, and a page that compares them."""
    from lib.report.comparison_page import write_comparison
    from lib.run.profiles import sweep_pages

    given = arguments.profile, arguments.encoders, arguments.notebooks, arguments.data.strip()
    pages, skipped = sweep_pages(*given)
    for (notebook, encoder), why in skipped.items():
        print(f"{notebook} × {encoder}: skipped: {why}", flush=True)
    failed = _run(pages, arguments, strict=False)
    for done in failed:
        more = f" dataset={arguments.data.strip()}" if arguments.data else ""
        print(
            f"{done.page}: {done.why}\n  to run it alone: make run NOTEBOOK={done.name}"
            f" PROFILE={arguments.profile}"
            f' PARAMETERS="encoders={done.page.encoder} profile={done.page.profile}{more}"'
        )
    page = write_comparison(sweep_pages(given[0], given[1], (), given[3])[0], arguments.encoders)
    print(f"the comparison is at {page}")
    return 2 if failed else 0


def _run(pages: list, arguments: argparse.Namespace, strict: bool = True) -> list:
    """Run pages; those that failed, told in one paragraph where they may not."""
    from lib.run.errors import StudyError
    from lib.run.runs import run_pages

    runs = run_pages(pages, arguments.workers, arguments.scheduler, arguments.force)
    failed = [done for done in runs if done.why]
    if failed and strict:
        summary = f"{len(failed)} of {len(pages)} pages failed: " if len(pages) > 1 else ""
        raise StudyError(summary + " ".join(done.why for done in failed))
    return failed


if __name__ == "__main__":
    sys.exit(main())
