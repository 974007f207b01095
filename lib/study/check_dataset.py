"""The images of a run, checked before it: nothing but a folder's list of files is read, nothing is downloaded."""

from lib.data.dataset import SIDES, is_folder, load_images
from lib.study.errors import StudyError, one_line

COUNTED = {"images": "test", "probe_test": "test", "probe_train": "train", "labels": "train"}  # parameter -> split that it takes images from


def check_dataset(values: dict, notebook: str) -> None:
    """Refuse a data set that is neither known here nor a folder with classes, and more images of a folder than it has.

    Args:
        values: the parameters of a run, ``dataset`` among them.
        notebook: its name, for the message.

    Raises:
        StudyError: what was expected, what came, what to give.
    """
    dataset = values["dataset"]
    if not dataset:
        raise StudyError("no images were given: name a folder with one subfolder of images per class, DATA=/path/to/folder.")
    if not is_folder(dataset):
        return
    try:
        there = {split: len(load_images(dataset, split)) for split in ("train", "test")}
    except (FileNotFoundError, ValueError) as error:
        raise StudyError(f"data set {dataset!r} is neither {' nor '.join(SIDES)} nor a folder that can be used: {one_line(error)}.") from error
    for name, split in COUNTED.items():
        asked = values.get(name, 0)
        asked = max(asked) if isinstance(asked, list) else asked
        if asked > there[split]:
            raise StudyError(f"notebook {notebook} asks for {name}={asked}, but {dataset} has {there[split]} {split} images: give {name}={there[split]} or fewer.")
