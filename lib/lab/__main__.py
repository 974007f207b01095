"""Build the lab, or grade what students hand in: ``python -m lib.lab`` runs the modules and writes
build/lab."""

import argparse
import os
import sys
from pathlib import Path

from lib.lab.editions import write_editions
from lib.lab.execute import modules
from lib.lab.grade import grade_all, grade_editions, write_grades
from lib.lab.source import repository_url
from lib.paths import ROOT
from lib.run.errors import StudyError


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, build or grade; the exit code is 2 for a module that fails."""
    parser = argparse.ArgumentParser(prog="python -m lib.lab", description=__doc__)
    parser.add_argument(
        "--repository",
        default=os.environ.get("REPOSITORY") or repository_url(ROOT / "book" / "_config.yml"),
        help="where a student's notebook finds the study, such as https://github.com/OWNER/NAME",
    )
    parser.add_argument(
        "--grade", type=Path, help="a notebook, or a folder of notebooks, to grade instead"
    )
    parser.add_argument(
        "--grader",
        action="store_true",
        help="also grade the solutions and the stubs that were built",
    )
    arguments = parser.parse_args(argv)
    folder = ROOT / "build" / "lab"
    try:
        if arguments.grade:
            print(write_grades(grade_all(arguments.grade), folder / "grades.csv"))
            return 0
        for archive in write_editions(modules(ROOT), arguments.repository, ROOT):
            print(archive.relative_to(ROOT))
        if arguments.grader:
            print(write_grades(grade_editions(), folder / "answer_sheet.csv"))
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
