"""Train every encoder of the study that is missing, in order:
``python -m lib.pretrain.zoo imagenette``.

What is finished is left alone, what was stopped goes on from its last state, what fails is told at
the end and stops nothing else.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from tqdm import tqdm

from lib.encoders.card import CHECKPOINTS, read_card

# group -> encoder -> arguments of lib.pretrain, in the order of training
ZOO: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())


def images_of(words: str) -> int:
    """Images that a training sees in all.

    >>> images_of("simmim --images 96000 --seed 1")
    96000
    """
    arguments = words.split()
    return int(arguments[arguments.index("--images") + 1])


def missing(group: str, checkpoints: Path = CHECKPOINTS) -> dict[str, str]:
    """Encoders of a group whose card is not there or says that fewer images were seen than there
    should be: name -> arguments."""
    found = {}
    for name, words in ZOO[group].items():
        card = checkpoints / group / f"{name}.yaml"
        if (
            not card.is_file() or (read_card(card).images_seen or 0) < images_of(words) - 1024
        ):  # whole batches alone are counted
            found[name] = words
    return found


def main() -> int:
    """Parse the command line, train what is missing; the exit code is 1 where a training failed."""
    parser = argparse.ArgumentParser(prog="python -m lib.pretrain.zoo", description=__doc__)
    parser.add_argument("group", choices=ZOO)
    parser.add_argument(
        "--data", help="folder of the photographs, if they are not in data/imagenette"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="trainings at a time, one thread each (default: 1)"
    )
    parser.add_argument("--dry", action="store_true", help="only list what is missing")
    arguments = parser.parse_args()
    waiting = missing(arguments.group)
    if arguments.dry:
        print(
            "\n".join(f"{arguments.group}/{name}: {words}" for name, words in waiting.items())
            or "nothing is missing"
        )
        return 0
    data = [] if arguments.group == "fashion" else ["--data", arguments.data or arguments.group]

    def train(name: str) -> bool:
        command = [
            sys.executable,
            "-m",
            "lib.pretrain",
            *waiting[name].split(),
            *data,
            "--name",
            name,
            "--group",
            arguments.group,
        ]
        return subprocess.run(command).returncode == 0

    with ThreadPoolExecutor(arguments.jobs) as pool:
        done = dict(
            zip(
                waiting, tqdm(pool.map(train, waiting), "encoders", total=len(waiting)), strict=True
            )
        )
    failed = [name for name, fine in done.items() if not fine]
    print(
        f"{len(done) - len(failed)} of {len(done)} missing encoders are trained"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
