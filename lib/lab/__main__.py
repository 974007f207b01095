"""Build the lab: ``python -m lib.lab`` runs the modules and writes build/lab."""

import argparse
import os
import sys

from lib.paths import ROOT
from lib.run.errors import StudyError


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and build; the exit code is 2 for a module that fails."""
    parser = argparse.ArgumentParser(prog="python -m lib.lab", description=__doc__)
    parser.add_argument(
        "--repository",
        default=os.environ.get("REPOSITORY", ""),
        help="where a student's notebook finds the study, such as https://github.com/OWNER/NAME",
    )
    parser.add_argument(
        "--grader", action="store_true", help="also write the tests of otter-grader, and grade"
    )
    arguments = parser.parse_args(argv)
    from lib.lab.editions import write_editions
    from lib.lab.execute import modules

    try:
        executed = modules(ROOT)
        for archive in write_editions(executed, arguments.repository, ROOT):
            print(archive.relative_to(ROOT))
        if arguments.grader:
            from lib.lab.grader import grade_editions, write_grader

            print(write_grader(ROOT).relative_to(ROOT))
            print(grade_editions(ROOT))
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
