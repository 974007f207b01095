"""Run the study's notebooks: ``python -m lib.study run self_attention images=64``."""

import argparse
import sys
from pathlib import Path

from lib.study.errors import StudyError

CUSTOM_NOTE = (
    "With any name=value, results go to build/notebooks/custom and data/results/custom (profile=NAME chooses another folder), so that they "
    "never overwrite those of the profile. Items of a list are separated by spaces or commas: encoders='fashion/a fashion/b'."
)
SWEEP_NOTE = (
    "Each notebook runs with one encoder at a time; results go to data/results/sweep-ENCODER, the comparison to build/sweep and data/results/sweep. "
    "What is finished is not run again. The workers of another scheduler need a checkout of this commit at the same path."
)


def names(text: str) -> list[str]:
    """Names separated by spaces or commas, each once.

    >>> names("fashion/a, fashion/b fashion/a")
    ['fashion/a', 'fashion/b']
    """
    return list(dict.fromkeys(text.replace(",", " ").split()))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line; name=value may stand before or after the options."""
    parser = argparse.ArgumentParser(prog="python -m lib.study", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run one notebook of a profile", description=f"Run one notebook of a profile. {CUSTOM_NOTE}")
    run.add_argument("notebook", help="such as self_attention")
    run.add_argument("--profile", default="fashion", help="where its parameters come from (default: fashion)")
    profile = commands.add_parser("profile", help="run all notebooks of a profile", description=f"Run all notebooks of a profile. {CUSTOM_NOTE}")
    profile.add_argument("profile", help="such as fashion")
    book = commands.add_parser("book", help="run all notebooks of a profile and build the book", description="Run a profile, then build its book.")
    book.add_argument("--profile", default="fashion", help="default: fashion")
    book.add_argument("--encoders", default="", help="other encoders than the profile's, separated by spaces; the book is then that of the results folder `custom`")
    book.add_argument("--data", default="", help="images other than the profile's: a folder with one subfolder of images per class, cifar10 or fashion")
    book.add_argument("--workers", type=int, help="notebooks at once, each on its share of the cores (default: one for each two cores, at most four)")
    book.add_argument("--dry", action="store_true", help="check everything and say what would run, without running it")
    book.add_argument("--force", action="store_true", help="run even if nothing has changed")
    sweep = commands.add_parser("sweep", help="run notebooks x encoders in parallel", description=f"Run notebooks x encoders in parallel. {SWEEP_NOTE}")
    sweep.add_argument("--encoders", required=True, type=names, help="separated by spaces")
    sweep.add_argument("--notebooks", default=[], type=names, help="no others than these, separated by spaces")
    sweep.add_argument("--profile", default="fashion", help="where the notebooks and their other parameters come from (default: fashion)")
    sweep.add_argument("--workers", type=int, help="processes of the local cluster (default: one a core, at most four)")
    sweep.add_argument("--data", default="", help="images other than the profile's: a folder with one subfolder of images per class, cifar10 or fashion")
    sweep.add_argument("--scheduler", help="address of a Dask scheduler to use instead, such as tcp://127.0.0.1:8786")
    for command in (run, profile, book):
        command.add_argument("assignments", nargs="*", metavar="name=value", help="parameters other than the profile's")
    for command in (run, profile):
        command.add_argument("--force", action="store_true", help="run even if nothing has changed")
    arguments, rest = parser.parse_known_args(argv)
    if arguments.command == "sweep":
        if rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        return arguments
    if any(text.startswith("-") or "=" not in text for text in rest):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.assignments += rest
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run; the exit code is 2 for a user's mistake or a failed notebook."""
    arguments = parse(argv)
    from lib.study.execute import run_profile  # after parsing: --help and mistakes answer at once

    try:
        if arguments.command == "book":
            from lib.study.book import build
            from lib.study.cluster import default_workers
            from lib.study.profiles import resolve, results_profile

            given = {"encoders": arguments.encoders.strip(), "dataset": arguments.data.strip()}
            assignments = [f"{name}={value}" for name, value in given.items() if value] + arguments.assignments
            if arguments.dry:
                from lib.study.plan import plan

                print(plan(arguments.profile, assignments))
                return 0
            _, left_out = resolve(arguments.profile, assignments)  # before the run, which takes long: a card may change meanwhile
            if arguments.workers is not None and arguments.workers < 1:
                raise StudyError(f"a book needs at least one worker, got {arguments.workers}; leave WORKERS out for one for each two cores.")
            workers = arguments.workers or default_workers(2)  # on two cores, two pages at once take no less than one after the other
            runs = run_profile(arguments.profile, assignments, force=arguments.force, workers=workers)
            page = build(results_profile(arguments.profile, assignments), [run.name for run in runs], left_out=left_out)
            print(f"the book is at {page}")
            return 0
        if arguments.command == "sweep":
            from lib.study.comparison_page import write_comparison
            from lib.study.sweep import sweep

            outcome = sweep(arguments.profile, arguments.encoders, arguments.notebooks, arguments.workers, arguments.scheduler, arguments.data.strip())
            print(outcome)
            print(f"the comparison is at {write_comparison(outcome.units, arguments.encoders)}")
            return 2 if outcome.failed else 0
        only = Path(arguments.notebook).name.removesuffix(".ipynb") if arguments.command == "run" else None
        run_profile(arguments.profile, arguments.assignments, only, force=arguments.force)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; results of earlier runs are kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
