"""The images of a run, checked before it: nothing but a folder's list of files is read, nothing is
downloaded."""

from collections import Counter
from functools import cache

from lib.data.dataset import SIDES, folder_of
from lib.data.folder import folder_splits
from lib.run.errors import StudyError, one_line

# training images, test images of each class
KNOWN = {
    "fashion": (60000, [1000] * 10),
    "cifar10": (50000, [1000] * 10),
    "imagenette": (9469, [387, 395, 357, 386, 409, 394, 389, 419, 399, 390]),
}
# parameter -> split that it takes images from
COUNTED = {"images": "test", "probe_test": "test", "probe_train": "train", "labels": "train"}


def check_images(values: dict, notebook: str) -> None:
    """Refuse a data set that is neither known here nor a folder with classes, and more images of
    it, or of a class, than it has.

    Args:
        values: the parameters of a run, ``dataset`` among them.
        notebook: its name, for the message.

    Raises:
        StudyError: what was expected, what came, what to give.
    """
    dataset = values["dataset"]
    if not dataset:
        raise StudyError(
            "no images were given: name a folder with one subfolder of images per class."
        )
    train, test = counted(dataset)
    there = {"train": train, "test": sum(test)}
    for name, split in COUNTED.items():
        asked = values.get(name, 0)
        asked = max(asked) if isinstance(asked, list) else asked
        if asked > there[split]:
            raise StudyError(
                f"notebook {notebook} asks for {name}={asked}, but {dataset} has {there[split]}"
                f" {split} images: give {name}={there[split]} or fewer."
            )
    check_classes(values, notebook, test)


@cache
def counted(dataset: str) -> tuple[int, list[int]]:
    """How many training images a data set has, and how many test images of each class; the files of
    a folder are listed for it, once, and what is taken as what is said in one line.

    Raises:
        StudyError: neither known here nor a folder that can be used.
    """
    folder = folder_of(dataset)
    if folder is None:
        return KNOWN[dataset]
    try:
        found = folder_splits(folder)
    except (FileNotFoundError, ValueError) as error:
        raise StudyError(
            f"data set {dataset!r} is neither {' nor '.join(SIDES)} nor a folder that can be used:"
            f" {one_line(error)}."
        ) from error
    print(found.said)
    counts = Counter(label for _, label in found.test)
    return len(found.train), [counts[label] for label in range(len(found.classes))]


def check_classes(values: dict, notebook: str, counts: list[int]) -> None:
    """Refuse classes that are not there, and ``per_class`` × ``sets`` images of a class that has
    fewer; ``counts`` are the test images of each."""
    if not {"classes", "per_class", "sets"} <= set(values):
        return
    per_class, sets, dataset = values["per_class"], values["sets"], values["dataset"]
    for number in values["classes"]:
        if not 0 <= number < len(counts):
            raise StudyError(
                f"notebook {notebook} asks for classes={values['classes']}, but the classes of"
                f" {dataset} are numbered from 0 to {len(counts) - 1}."
            )
        if per_class * sets > counts[number]:
            raise StudyError(
                f"notebook {notebook} asks for per_class × sets = {per_class} × {sets} images of"
                f" each of its classes, but {dataset} has {counts[number]} test images of class"
                f" {number}: give a smaller per_class or sets, or other classes."
            )
