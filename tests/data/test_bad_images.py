"""Images and folders that cannot be meant are refused with one clear reason; those that are only
unusual are read as people see them."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from lib.data.folder import folder_splits, open_folder
from lib.data.read_image import LONGEST_ZEROS, jpeg_damage, read_image

SMOOTH = Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 12, 3), np.uint8)).resize(
    (96, 96), Image.Resampling.BICUBIC
)


def encoded(image=SMOOTH, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def hole(data, fill=0, length=400):
    """A file whose middle is overwritten."""
    start = len(data) // 2 - length // 2
    return data[:start] + bytes([fill]) * length + data[start + length :]


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def floats(values, kind="TIFF"):
    return encoded(Image.fromarray(np.asarray(values, np.float32)), kind)


def pages(kind, **options):
    return encoded(SMOOTH, kind, save_all=True, append_images=[SMOOTH.rotate(90)], **options)


JPEG, PNG = encoded(quality=90), encoded(kind="PNG")
BAD = {
    "an empty file": ("a.jpg", b"", "not a complete image"),
    "a text": ("a.jpg", b"<html>log in</html>", "not a complete image"),
    "zeros": ("a.jpg", bytes(1000), "not a complete image"),
    "a JPEG without its end": ("a.jpg", JPEG[:-300], "not a complete image"),
    "half a JPEG": ("a.jpg", JPEG[: len(JPEG) // 2], "not a complete image"),
    "the head of a JPEG": ("a.jpg", JPEG[:400], "not a complete image"),
    "a JPEG with a hole": (
        "a.jpg",
        hole(JPEG),
        "not a complete image: (Corrupt JPEG data|64 bytes)",
    ),
    "a JPEG with a hole of ones": ("a.jpg", hole(JPEG, 255), "not a complete image: Corrupt"),
    "a JPEG with a hole of noise": ("a.jpg", hole(JPEG, 0x5A), "not a complete image: Corrupt"),
    "a progressive JPEG with a hole": (
        "a.jpg",
        hole(encoded(quality=90, progressive=True), 0x5A),
        "not a complete image: Corrupt",
    ),
    "a grey JPEG with a hole": (
        "a.jpg",
        hole(encoded(SMOOTH.convert("L"), quality=95)),
        "not a complete image",
    ),
    "a JPEG with its tables lost": ("a.jpg", JPEG[:2] + JPEG[200:], "not a complete image"),
    "half a PNG": ("a.png", PNG[: len(PNG) // 2], "not a complete image"),
    "a PNG with a hole": ("a.png", hole(PNG), "not a complete image"),
    "a PNG with a flipped bit": (
        "a.png",
        PNG[:100] + bytes([PNG[100] ^ 1]) + PNG[101:],
        "not a complete image",
    ),
    "half a WebP": ("a.webp", encoded(kind="WEBP")[:500], "not a complete image"),
    "half a TIFF": ("a.tif", encoded(kind="TIFF")[:2000], "not a complete image"),
    "half a BMP": ("a.bmp", encoded(kind="BMP")[:2000], "not a complete image"),
    "half a PPM": ("a.ppm", encoded(kind="PPM")[:2000], "not a complete image"),
    "floats of any range": ("a.tif", floats([[0, 255.0], [3, 4]]), "no known range"),
    "negative floats": ("a.tif", floats([[-1, 0.5]]), "no known range"),
    "floats that are none": ("a.tif", floats([[np.nan, 0.5]]), "no known range"),
    "integers of 32 bits": (
        "a.tif",
        encoded(Image.fromarray(np.array([[0, 70000]], np.int32)), "TIFF"),
        "no known range",
    ),
    "a bomb": ("a.png", huge_png(60_000, 60_000), "is too large"),
    "a small bomb": (
        "a.png",
        huge_png(10_000, 10_000),
        "is too large: .*100.?000.?000|is too large: 10000 × 10000",
    ),
    "a thread": (
        "a.png",
        encoded(Image.new("L", (1, 3000)), "PNG"),
        "is too long: 1 × 3000 pixels",
    ),
    "an animation": ("a.webp", pages("WEBP"), "holds 2 pictures"),
    "an animated PNG": ("a.png", pages("PNG"), "holds 2 pictures"),
    "a GIF that moves, named PNG": ("a.png", pages("GIF"), "holds 2 pictures"),
    "several pages": ("a.tif", pages("TIFF"), "holds 2 pictures"),
    "a program, named JPEG": (
        "a.jpg",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "not a complete image",
    ),
    "a drawing, named PNG": (
        "a.png",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "not a complete image",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_images_that_cannot_be_meant(case, tmp_path):
    name, data, message = BAD[case]
    (tmp_path / name).write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=message) as caught:
            read_image(tmp_path / name, 32, 3)
    assert str(tmp_path / name) in str(caught.value) and str(caught.value).count("\n") == 0


def test_an_image_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="none.png is not a complete image: No such file"):
        read_image(tmp_path / "none.png", 8, 3)


def test_whole_images_are_read_and_what_others_say_is_passed_on(tmp_path, capfd):
    for options in (
        {},
        dict(progressive=True),
        dict(optimize=True),
        dict(quality=5),
        dict(quality=100),
    ):
        assert jpeg_damage(encoded(**options)) == ""
    for mode in ("L", "CMYK"):
        assert jpeg_damage(encoded(SMOOTH.convert(mode))) == ""
    flat = encoded(Image.new("RGB", (2000, 2000), "white"), optimize=True)
    assert bytes(LONGEST_ZEROS) in flat and jpeg_damage(flat) == ""  # white paper, much of it
    os.write(2, b"mine\n")
    assert capfd.readouterr().err == "mine\n"


def test_sixteen_bits_keep_their_greys(tmp_path):
    """0 … 65535 is 0 … 1; a picture of 16 bits does not turn white."""
    ramp = np.linspace(0, 65_535, 32 * 32).reshape(32, 32).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        image = read_image(tmp_path / name, 32, 3)
        assert torch.allclose(image[0], torch.from_numpy(ramp / 65_535).float(), atol=1e-6)
        assert image.shape == (3, 32, 32) and image[0].equal(image[2])


def test_floats_of_zero_to_one_are_read_as_they_are(tmp_path):
    values = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    (tmp_path / "a.tif").write_bytes(floats(values))
    assert torch.allclose(read_image(tmp_path / "a.tif", 16, 1)[0], torch.from_numpy(values))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_what_is_transparent_is_white(mode, tmp_path):
    """Not the colour that is hidden there."""
    if mode == "RGB":  # one colour stands for transparent
        image = Image.new("RGB", (8, 8), (255, 0, 0))
        info = dict(transparency=(255, 0, 0))
    else:
        image = Image.new("RGBA", (8, 8), (255, 0, 0, 0)).convert("LA" if mode == "LA" else "RGBA")
        image = image.quantize() if mode == "P" else image
        info = {}
    image.save(tmp_path / "a.png", **info)
    assert (read_image(tmp_path / "a.png", 8, 3) == 1).all()


def test_half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 8, 1).mean().item() == pytest.approx(
        127 / 255, abs=1 / 255
    )


def test_a_text_in_a_png_is_no_fault(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 1000)
    SMOOTH.save(tmp_path / "a.png", pnginfo=info)
    assert read_image(tmp_path / "a.png", 8, 3).shape == (3, 8, 8)


def fill(folder, count=4, seed=0, classes="ab"):
    rng = np.random.default_rng(seed)
    for number in range(count):
        path = folder / classes[number % len(classes)] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 9, 3), np.uint8)).save(path)
    return folder


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


FOLDERS = {
    "test images alone": (
        lambda f: fill(f / "val"),
        "hold training images, in train .* beside its folder val",
    ),
    "training images alone": (
        lambda f: fill(f / "Train"),
        "hold test images, in val .* beside its folder Train",
    ),
    "a class named train": (
        lambda f: (fill(f, classes=["bus", "car"]), fill(f, classes=["train"])),
        "folder train, which is taken for training images; if train is a class, rename it",
    ),
    "a class named test": (
        lambda f: (fill(f), fill(f, classes=["test"])),
        "folder test, which is taken for test images; if test is a class, rename it",
    ),
    "training images twice": (
        lambda f: (fill(f / "train"), fill(f / "Training"), fill(f / "val", seed=1)),
        "holds training images twice: Training, train",
    ),
    "no classes inside": (
        lambda f: (fill(f, classes=["train"]), fill(f, classes=["val"], seed=1)),
        "one subfolder of images per class in .*train, got only files",
    ),
    "other classes": (
        lambda f: (fill(f / "train"), fill(f / "test", seed=1, classes="ac")),
        "the same classes",
    ),
    "a split inside a split": (
        lambda f: (fill(f / "train" / "train"), fill(f / "val", seed=1)),
        "holds train, which means training or test images",
    ),
    "the same pictures in both": (
        lambda f: (fill(f / "train"), fill(f / "val")),
        "4 of the 4 test images of .* are training images too",
    ),
    "one picture in both": (
        lambda f: (
            fill(f / "train"),
            fill(f / "val", seed=1),
            copy(f / "train/a/0.png", f / "val/b/copy.png"),
        ),
        "1 of the 5 test images",
    ),
    "a copy beside itself": (
        lambda f: (fill(f), copy(f / "a/0.png", f / "a/0 (copy).png")),
        "1 of the 2 test images",
    ),
    "a link to its parent": (
        lambda f: (fill(f), (f / "a/again").symlink_to(f)),
        "is the same folder as .*: a link",
    ),
    "a link to another class": (
        lambda f: (fill(f), (f / "c").symlink_to(f / "a")),
        "c is the same folder as .*a: a link",
    ),
    "links in a circle": (
        lambda f: (fill(f), (f / "a/x").symlink_to(f / "b"), (f / "b/y").symlink_to(f / "a")),
        "is the same folder as",
    ),
    "a link to nothing": (
        lambda f: (fill(f), (f / "a/x.png").symlink_to(f / "none.png")),
        "x.png is a link to nothing",
    ),
    "a pipe": (lambda f: (fill(f), os.mkfifo(f / "a/x.png")), "x.png is no file"),
    "an empty class": (lambda f: (fill(f), (f / "c").mkdir()), "no images in the class c"),
    "a class of other files": (
        lambda f: (fill(f), (f / "c").mkdir(), (f / "c/x.heic").touch()),
        "no images in the class c; images end in",
    ),
    "a class of hidden files": (
        lambda f: (fill(f), (f / "c").mkdir(), (f / "c/._x.png").touch()),
        "no images in the class c",
    ),
    "hidden folders alone": (
        lambda f: fill(f, classes=[".a", "__MACOSX"]),
        "got only hidden entries",
    ),
    "files alone": (lambda f: (f / "x.png").touch(), "got only files"),
    "one image": (lambda f: fill(f, 1), "at least two images"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_folders_that_cannot_be_meant(case, tmp_path):
    build, message = FOLDERS[case]
    build(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        folder_splits(tmp_path)
    assert str(caught.value).count("\n") == 0


def test_there_are_enough_bad_images_and_folders():
    assert len(BAD) >= 30 and len(FOLDERS) >= 20


@pytest.mark.parametrize(
    ("train", "test"),
    [("Train", "Test"), ("training", "testing"), ("TRAIN", "VAL"), ("train", "eval")],
)
def test_splits_by_any_usual_name(train, test, tmp_path):
    fill(tmp_path / train), fill(tmp_path / test, 2, seed=1)
    found = folder_splits(tmp_path)
    assert (len(found.train), len(found.test), found.classes) == (4, 2, ("a", "b"))
    assert f"training images from {train}, test images from {test} (4 and 2)" in found.said


def test_what_is_left_out_is_said(tmp_path):
    fill(tmp_path / "train"), fill(tmp_path / "val", 2, seed=1), fill(tmp_path / "test", 2, seed=2)
    fill(tmp_path / "train", classes=[".ipynb_checkpoints", "__MACOSX", "@eaDir"])
    (tmp_path / "train/a/x.heic").touch(), (tmp_path / "train/b/.DS_Store").touch()
    found = folder_splits(tmp_path)
    assert found.classes == ("a", "b") and len(found.train) == 4
    for part in (
        "val (4 and 2)",
        "left out: test",
        ".ipynb_checkpoints",
        "__MACOSX",
        "@eaDir",
        "1 .heic files",
        "1 hidden",
    ):
        assert part in found.said


def test_a_linked_folder_is_read_once(tmp_path):
    fill(tmp_path / "there")
    (tmp_path / "here").mkdir()
    for name in "ab":
        (tmp_path / "here" / name).symlink_to(tmp_path / "there" / name)
    assert len(open_folder(tmp_path / "here").samples) == 4


def test_training_on_a_folder_with_splits_asks_for_one(tmp_path):
    fill(tmp_path / "train"), fill(tmp_path / "val", seed=1)
    with pytest.raises(ValueError, match="holds train and val, .*: give .*train"):
        open_folder(tmp_path)
