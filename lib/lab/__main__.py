"""Build the lab, or grade what students hand in: ``python -m lib.lab`` runs the modules and writes
build/lab."""

import argparse
import os
import sys
from pathlib import Path

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
    arguments = parser.parse_args(argv)
    try:
        if arguments.grade:
            from lib.lab.grade import grade_all

            target, sums = grade_all(arguments.grade)
            print(sums, target.relative_to(ROOT), sep="\n")
            return 0
        from lib.lab.editions import write_editions
        from lib.lab.execute import modules

        for archive in write_editions(modules(ROOT), arguments.repository, ROOT):
            print(archive.relative_to(ROOT))
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
