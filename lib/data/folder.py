"""Other images than the garments: a folder of them, CIFAR-10."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torchvision.datasets import CIFAR10
from torchvision.datasets.folder import IMG_EXTENSIONS

from lib.data.images import Images

# names of subfolders of training and of test images, the preferred first, in capitals or not
TRAINING = ("train", "training", "trn", "train_images")
HELD_OUT = ("val", "validation", "valid", "test", "testing", "eval", "evaluation", "dev")
# folders and files that systems leave beside images, and names that begin with a dot
SYSTEM = (
    "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__",
    "thumbs.db", "desktop.ini",
)  # fmt: skip


def listed(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Subfolders and files of a folder by name, and apart what is hidden or the system's.

    Raises:
        ValueError: a folder that may not be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ValueError(f"{folder} cannot be read: {error.strerror}") from error
    hidden = [e for e in entries if e.name.startswith(".") or e.name.casefold() in SYSTEM]
    rest = [entry for entry in entries if entry not in hidden]
    return [e for e in rest if e.is_dir()], [e for e in rest if not e.is_dir()], hidden


@dataclass(frozen=True)
class ClassFolders:
    """A folder with one subfolder of images per class.

    Attributes:
        classes: names, sorted.
        samples: path and class of each image, by class and path.
        left_out: what else lies there, in words.
    """

    classes: list[str]
    samples: list[tuple[str, int]]
    left_out: list[str]

    @property
    def targets(self) -> list[int]:
        """Class of each image."""
        return [label for _, label in self.samples]


def images_of(folder: Path, seen: dict[str, Path], left_out: dict[str, int]) -> list[str]:
    """Paths of the images in a folder and its subfolders, sorted; links are followed.

    Args:
        folder: of a class.
        seen: true path -> path, of every folder so far; added to.
        left_out: words -> number of files, of what is no image; added to.

    Raises:
        ValueError: a folder that is there twice, by a link, or leads back to itself; a link to
            nothing; an image that is no file.
    """
    true = os.path.realpath(folder)
    if true in seen:
        raise ValueError(
            f"{folder} is the same folder as {seen[true]}: a link makes it count twice; remove it"
        )
    seen[true] = folder
    found = []
    folders, files, hidden = listed(folder)
    for path in hidden:
        left_out["hidden"] = left_out.get("hidden", 0) + 1
    for file in files:
        if file.suffix.lower() not in IMG_EXTENSIONS:
            kind = f"{file.suffix or 'nameless'} files"
            left_out[kind] = left_out.get(kind, 0) + 1
        elif not file.is_file():
            what = "a link to nothing" if file.is_symlink() else "no file"
            raise ValueError(f"{file} is {what}: remove it")
        else:
            found.append(str(file))
    for inner in folders:
        found += images_of(inner, seen, left_out)
    return found


def open_folder(path: str | Path) -> ClassFolders:
    """A folder with one subfolder of images per class, listed and not read.

    Hidden folders and those that systems write are left out.

    Raises:
        FileNotFoundError: a path that does not exist.
        ValueError: a path that is not a folder, a folder without class subfolders, a class without
            images; names that mean training or test images; see :func:`images_of`.
    """
    path = Path(path)
    folders, files, hidden = class_folders(path)
    if reserved := [f.name for f in folders if f.name.casefold() in (*TRAINING, *HELD_OUT)]:
        raise ValueError(
            f"{path} holds {' and '.join(reserved)}, which means training or test images and is no"
            f" class: give {path / reserved[0]}, or rename the folder if it is a class"
        )
    samples, seen, other = [], {os.path.realpath(path): path}, {}
    for number, folder in enumerate(folders):
        images = images_of(folder, seen, other)
        if not images:
            raise ValueError(
                f"{path}: found no images in the class {folder.name}; images end in"
                f" {', '.join(IMG_EXTENSIONS)}"
            )
        samples += [(image, number) for image in images]
    left_out = [entry.name for entry in hidden] + ([f"{len(files)} files beside"] if files else [])
    left_out += [f"{count} {kind}" for kind, count in other.items()]
    return ClassFolders([folder.name for folder in folders], samples, left_out)


def class_folders(path: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Class subfolders, files and hidden entries of a folder.

    Raises:
        FileNotFoundError, ValueError: no such folder; not a folder; no subfolders.
    """
    if not path.exists():
        raise FileNotFoundError(f"expected a folder of images at {path}, which does not exist")
    if not path.is_dir():
        raise ValueError(f"expected a folder of images, got the file {path}")
    folders, files, hidden = listed(path)
    if not folders:
        found = "only files" if files else "only hidden entries" if hidden else "an empty folder"
        raise ValueError(f"expected one subfolder of images per class in {path}, got {found}")
    return folders, files, hidden


@dataclass(frozen=True)
class Splits:
    """Training and test images of a folder.

    Attributes:
        train, test: path and class of each image.
        classes: names.
        said: in one line, what was taken as what.
    """

    train: list[tuple[str, int]]
    test: list[tuple[str, int]]
    classes: tuple[str, ...]
    said: str


def folder_splits(path: Path) -> Splits:
    """What of a folder is for training and what for testing, listed and not read.

    Subfolders ``train`` and ``val`` are the splits where they are (or names of
    :data:`TRAINING` and :data:`HELD_OUT`, in capitals or not); otherwise every other image, by
    class and file name, is a training image.

    Raises:
        FileNotFoundError, ValueError: see :func:`open_folder`; only one of the two splits, or one
            of them twice; other classes in the two; fewer than two images; one picture in both.
    """
    path = Path(path)
    folders, _, _ = class_folders(path)
    train = [folder for folder in folders if folder.name.casefold() in TRAINING]
    test = [folder for folder in folders if folder.name.casefold() in HELD_OUT]
    if not train and not test:
        found = open_folder(path)
        one, two = found.samples[::2], found.samples[1::2]
        if not two:
            raise ValueError(f"expected at least two images in {path}")
        said = (
            f"{path}: no split, so of {len(found.classes)} classes every other image is for"
            " training"
        )
        splits = Splits(one, two, tuple(found.classes), _said(said, one, two, found.left_out))
    else:
        splits = _given_splits(path, folders, train, test)
    _check_disjoint(path, splits)
    return splits


def _given_splits(path: Path, folders: list[Path], train: list[Path], test: list[Path]) -> Splits:
    if len(train) > 1:
        raise ValueError(f"{path} holds training images twice: {', '.join(f.name for f in train)}")
    if not train or not test:
        there, missing = (test, TRAINING) if test else (train, HELD_OUT)
        kinds = ("test", "training") if test else ("training", "test")
        raise ValueError(
            f"expected {path} to hold {kinds[1]} images, in {' or '.join(missing[:4])}, beside its"
            f" folder {there[0].name}, which is taken for {kinds[0]} images; if {there[0].name} is"
            " a class, rename it"
        )
    test = sorted(test, key=lambda folder: HELD_OUT.index(folder.name.casefold()))
    used = train[0], test[0]
    found, other = (open_folder(folder) for folder in used)
    if found.classes != other.classes:
        raise ValueError(
            f"expected the same classes in {used[0]} and {used[1]}, got {len(found.classes)} and"
            f" {len(other.classes)} that differ"
        )
    left_out = [folder.name for folder in folders if folder not in used]
    left_out += found.left_out + other.left_out
    said = (
        f"{path}: of {len(found.classes)} classes, training images from {used[0].name}, test images"
        f" from {used[1].name}"
    )
    said = _said(said, found.samples, other.samples, left_out)
    return Splits(found.samples, other.samples, tuple(found.classes), said)


def _said(what: str, train: list, test: list, left_out: list[str]) -> str:
    """One line for the user."""
    rest = f"; left out: {', '.join(left_out)}" if left_out else ""
    return f"{what} ({len(train):,} and {len(test):,}){rest}"


def _check_disjoint(path: Path, splits: Splits) -> None:
    """Refuse a picture among training and test images, by content; only files of one size are read.

    Raises:
        ValueError: with how many, and a pair.
    """
    sizes: dict[int, tuple[list[str], list[str]]] = {}
    for which, samples in enumerate((splits.train, splits.test)):
        for file, _ in samples:
            sizes.setdefault(os.path.getsize(file), ([], []))[which].append(file)
    pairs = []
    for train, test in sizes.values():
        if train and test:
            known = {_digest(file): file for file in train}
            pairs += [(known[d], file) for file in test if (d := _digest(file)) in known]
    if pairs:
        raise ValueError(
            f"{len(pairs)} of the {len(splits.test)} test images of {path} are training images too,"
            f" such as {pairs[0][0]} and {pairs[0][1]}: remove one of each"
        )


def _digest(file: str) -> bytes:
    return hashlib.blake2b(Path(file).read_bytes()).digest()


def folder_samples(
    path: Path, split: Literal["train", "test"]
) -> tuple[list[tuple[str, int]], tuple[str, ...]]:
    """Files with their labels, in a fixed random order, so that the first n hold every class; and
    the names of the classes.

    Raises:
        FileNotFoundError, ValueError: see :func:`folder_splits`.
    """
    splits = folder_splits(Path(path))
    samples = splits.train if split == "train" else splits.test
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0)).tolist()
    return [samples[i] for i in order], splits.classes


def load_cifar10(
    root: str | Path, split: Literal["train", "test"], download: bool = False
) -> Images:
    """CIFAR-10 (Krizhevsky 2009) through torchvision: 50,000 or 10,000 colour images of 32 × 32
    pixels, without masks.

    Args:
        root: folder that holds ``cifar-10-batches-py``.
        split: the official training or test split.
        download: get it over the network if it is not there.

    Raises:
        ValueError: an unknown split.
        FileNotFoundError: data that is absent, incomplete or changed.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split is one of ['test', 'train'], got {split!r}")
    try:
        data = CIFAR10(str(root), train=split == "train", download=download)
    except (OSError, RuntimeError) as error:  # no network; files that are incomplete or changed
        raise FileNotFoundError(
            f"expected the complete, unchanged CIFAR-10 in {Path(root) / CIFAR10.base_folder}"
            f" ({error}); fetch {CIFAR10.url} by hand and unpack it in {root}"
        ) from error
    images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous().float() / 255
    return Images(images, torch.tensor(data.targets), None, tuple(data.classes))
