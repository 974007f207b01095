"""Files that cannot be meant: one clear paragraph, exit code 2, nothing written, nothing run."""

import io
import json
import os
import pickle
import re
import struct
import zipfile

import pytest
import timm
import torch
from chapter import explained
from official import GOLDEN, content, write
from safetensors.torch import save, save_file

from lib.adopt import __main__ as command
from lib.adopt import adopt as module

VIT = dict(img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=2, num_classes=0)
torch.manual_seed(0)
V = timm.create_model("vit_base_patch16_224", **VIT).state_dict()
R = timm.create_model("resnet18", num_classes=0).state_dict()
PLAIN = ["--heads", "2", "--normalisation", "imagenet"]
RESNET = ["--normalisation", "imagenet"]


def torch_bytes(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def without(*names):
    return {name: tensor for name, tensor in V.items() if name not in names}


def with_(name, tensor):
    return V | {name: tensor}


def flipped():
    """One bit of a weight differs, and the archive's checksum with it."""
    data = bytearray(torch_bytes(V))
    place = data.find(V["blocks.1.mlp.fc1.weight"].numpy().tobytes()[:64])
    data[place + 10] ^= 1
    return bytes(data)


def header(text, body=b""):
    return struct.pack("<Q", len(text)) + text.encode() + body


class Runs:
    def __reduce__(self):
        return os.system, ("touch executed",)


def zipped(**entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def scripted():
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


NORM = "norm.weight"
LONG = V[NORM].double()
MOCO = {
    f"module.{branch}.{name}": t
    for branch in ("base_encoder", "momentum_encoder")
    for name, t in V.items()
}
# case -> name of the file, bytes or a mapping for torch.save, options, what the message says
BAD = {
    "empty": ("a.pth", b"", [], "not a complete PyTorch file"),
    "empty safetensors": ("a.safetensors", b"", [], "not a safetensors file, or is incomplete"),
    "a text": ("a.pth", b"<html>please log in</html>", [], "a.pth is (refused|not a complete)"),
    "a pointer of Git LFS": (
        "a.pth",
        b"version https://git-lfs.github.com/spec/v1\n",
        [],
        "a.pth is (refused|not)",
    ),
    "noise": ("a.pth", bytes(range(256)) * 20, [], "a.pth is (refused|not)"),
    "a picture": ("a.pth", b"\x89PNG\r\n\x1a\n" + bytes(100), [], "a.pth is (refused|not)"),
    "a zip of something else": ("a.pth", zipped(readme="hello"), [], "not a complete PyTorch file"),
    "half of it": ("a.pth", torch_bytes(V)[:40_000], [], "a.pth is (refused|not)"),
    "all but its end": ("a.pth", torch_bytes(V)[:-30], [], "a.pth is (refused|not)"),
    "half of an old one": (
        "a.pth",
        torch_bytes(V, _use_new_zipfile_serialization=False)[:40_000],
        [],
        "not a complete",
    ),
    "one flipped bit": ("a.pth", flipped(), [], "is damaged: the checksum of its entry"),
    "half a safetensors": ("a.safetensors", save(V)[:-100], [], "not a safetensors file"),
    "a header of 2^60 bytes": (
        "a.safetensors",
        struct.pack("<Q", 2**60) + b"{}",
        [],
        "not a safetensors file",
    ),
    "a header that is no JSON": ("a.safetensors", header("{weights"), [], "not a safetensors file"),
    "a header of an unknown type": (
        "a.safetensors",
        header('{"a":{"dtype":"F3","shape":[1],"data_offsets":[0,4]}}', b"1234"),
        [],
        "not a safetensors file",
    ),
    "a header that lies": (
        "a.safetensors",
        header('{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}', b"1234"),
        [],
        "not a safetensors file",
    ),
    "a pickle named safetensors": ("a.safetensors", torch_bytes(V), [], "not a safetensors file"),
    "a safetensors named pth": ("a.pth", save(V), [], "a.pth is (refused|not)"),
    "code": (
        "a.pth",
        torch_bytes({"model": V, "extra": Runs()}),
        [],
        "refused: it holds Python objects",
    ),
    "a bare pickle of code": ("a.pth", pickle.dumps(Runs()), [], "a.pth is (refused|not)"),
    "a whole module": (
        "a.pth",
        torch_bytes(torch.nn.Linear(2, 2)),
        [],
        "refused: it holds Python objects",
    ),
    "TorchScript": ("a.pth", scripted(), [], "TorchScript archive, which holds code"),
    "a list": ("a.pth", torch_bytes([torch.zeros(2)]), [], "holds a list, expected a mapping"),
    "a tensor": ("a.pth", torch_bytes(torch.zeros(2)), [], "holds a Tensor, expected a mapping"),
    "nothing inside": (
        "a.pth",
        torch_bytes({}),
        [],
        "no layout known here fits a file that holds nothing",
    ),
    "an optimizer alone": (
        "a.pth",
        torch_bytes({"optimizer": {"state": {}}, "epoch": 1}),
        [],
        "no layout known here",
    ),
    "other tensors": (
        "a.pth",
        torch_bytes({"weights": torch.zeros(3)}),
        [],
        "no layout known here .* weights",
    ),
    "numbers as names": ("a.pth", torch_bytes({1: torch.zeros(3)}), [], "no layout known here"),
    "a language model": (
        "a.pth",
        torch_bytes({"transformer.h.0.attn.c_attn.weight": torch.zeros(2, 2)}),
        [],
        "no layout known here",
    ),
    "Swin without ARCH": (
        "a.pth",
        torch_bytes(
            {
                "patch_embed.proj.weight": torch.zeros(8, 3, 4, 4),
                "layers.0.blocks.0.norm1.weight": torch.zeros(8),
            }
        ),
        [],
        "no layout known here .* ARCH=",
    ),
    "two encoders": (
        "a.pth",
        torch_bytes({"model": V, "model_ema": V}),
        PLAIN,
        "several encoders, in 'model' and 'model_ema': name one with ENTRY=",
    ),
    "an entry that is not there": (
        "a.pth",
        torch_bytes({"model": V}),
        [*PLAIN, "--entry", "ema"],
        "no entry 'ema' with tensors; it has model",
    ),
    "a stray tensor": (
        "a.pth",
        torch_bytes({"state_dict": MOCO | {"module.critic.weight": torch.zeros(2)}}),
        PLAIN,
        "neither the encoder's nor a known head: critic.weight",
    ),
    "complex weights": (
        "a.pth",
        torch_bytes(with_(NORM, V[NORM].to(torch.complex64))),
        PLAIN,
        "no weights of .* norm.weight .complex64",
    ),
    "integer weights": (
        "a.pth",
        torch_bytes(with_(NORM, V[NORM].long())),
        PLAIN,
        "no weights of .* norm.weight .int64",
    ),
    "yes and no": (
        "a.pth",
        torch_bytes(with_(NORM, V[NORM].bool())),
        PLAIN,
        "no weights of .* norm.weight .bool",
    ),
    "8-bit floats": (
        "a.safetensors",
        save(with_(NORM, V[NORM].to(torch.float8_e4m3fn))),
        PLAIN,
        "no weights of .*float8",
    ),
    "bytes": (
        "a.pth",
        torch_bytes(with_("patch_embed.proj.weight", torch.zeros(64, 3, 8, 8, dtype=torch.uint8))),
        PLAIN,
        "no weights of .*uint8",
    ),
    "sparse weights": (
        "a.pth",
        torch_bytes(with_("blocks.0.mlp.fc1.weight", V["blocks.0.mlp.fc1.weight"].to_sparse())),
        PLAIN,
        "sparse, quantised",
    ),
    "sparse rows": (
        "a.pth",
        torch_bytes(with_("blocks.0.mlp.fc1.weight", V["blocks.0.mlp.fc1.weight"].to_sparse_csr())),
        PLAIN,
        "sparse, quantised",
    ),
    "weights on no device": (
        "a.pth",
        torch_bytes(with_(NORM, torch.empty(64, device="meta"))),
        PLAIN,
        "sparse, quantised or without values",
    ),
    "not a number": (
        "a.pth",
        torch_bytes(with_(NORM, V[NORM] * float("nan"))),
        PLAIN,
        "not finite in single precision: norm.weight",
    ),
    "infinite": (
        "a.pth",
        torch_bytes(with_(NORM, V[NORM] / 0)),
        PLAIN,
        "not finite in single precision: norm.weight",
    ),
    "too large for float32": (
        "a.pth",
        torch_bytes(with_(NORM, LONG * 1e300)),
        PLAIN,
        "not finite in single precision: norm.weight",
    ),
    "weights that overflow on the way": (
        "a.pth",
        torch_bytes({name: t * 1e30 for name, t in V.items()}),
        PLAIN,
        "values that are not finite for an image",
    ),
    "an empty tensor": (
        "a.pth",
        torch_bytes(with_(NORM, torch.zeros(0))),
        PLAIN,
        "empty tensors: norm.weight",
    ),
    "a patch of 0": (
        "a.pth",
        torch_bytes(with_("patch_embed.proj.weight", torch.zeros(64, 3, 0, 0))),
        PLAIN,
        "empty tensors: patch_embed.proj.weight",
    ),
    "a flat patch embedding": (
        "a.pth",
        torch_bytes(with_("patch_embed.proj.weight", torch.zeros(64, 192))),
        PLAIN,
        "expected patch_embed.proj.weight",
    ),
    "patches that are not square": (
        "a.pth",
        torch_bytes(with_("patch_embed.proj.weight", torch.zeros(64, 3, 8, 4))),
        PLAIN,
        "expected patch_embed.proj.weight",
    ),
    "no mlp": (
        "a.pth",
        torch_bytes({n: t for n, t in V.items() if ".mlp." not in n}),
        PLAIN,
        "no tensor blocks.0.mlp.fc1.weight",
    ),
    "no patch embedding": (
        "a.pth",
        torch_bytes(without("patch_embed.proj.weight", "patch_embed.proj.bias")),
        PLAIN,
        "expected the tensors of a Vision Transformer",
    ),
    "no positions": ("a.pth", torch_bytes(without("pos_embed")), PLAIN, "does not fit Eva"),
    "positions of no square": (
        "a.pth",
        torch_bytes(with_("pos_embed", torch.zeros(1, 14, 64))),
        PLAIN,
        "square grid of patches, got 13",
    ),
    "no last norm": (
        "a.pth",
        torch_bytes(without("norm.weight")),
        PLAIN,
        "does not fit VisionTransformer",
    ),
    "a missing bias": (
        "a.pth",
        torch_bytes(without("blocks.1.norm2.bias")),
        PLAIN,
        "missing blocks.1.norm2.bias; unexpected nothing",
    ),
    "a missing block": (
        "a.pth",
        torch_bytes({n.replace("blocks.1", "blocks.2"): t for n, t in V.items()}),
        PLAIN,
        r"expected blocks blocks.0, blocks.1, .*\[0, 2\]",
    ),
    "a tensor too many": (
        "a.pth",
        torch_bytes(with_("blocks.0.lora", torch.zeros(2))),
        PLAIN,
        "unexpected blocks.0.lora",
    ),
    "a tensor of another shape": (
        "a.pth",
        torch_bytes(with_("blocks.0.norm1.bias", torch.zeros(3))),
        PLAIN,
        "size mismatch for blocks.0.norm1.bias",
    ),
    "no heads": (
        "a.pth",
        torch_bytes(V),
        ["--normalisation", "half"],
        r"does not tell the number of attention heads \(HEADS=; the width is 64\)",
    ),
    "no normalisation": (
        "a.pth",
        torch_bytes(V),
        ["--heads", "2"],
        r"does not tell how images are normalised \(NORMALISATION=",
    ),
    "neither": ("a.pth", torch_bytes(V), [], "attention heads .* nor how images are normalised"),
    "no family": (
        "a.pth",
        torch_bytes({"teacher": {f"backbone.{n}": t for n, t in V.items()}}),
        ["--heads", "2"],
        "does not tell its family: give FAMILY=",
    ),
    "heads that do not fit": (
        "a.pth",
        torch_bytes(V),
        ["--heads", "5", "--normalisation", "half"],
        "width of 64 does not go into 5 heads",
    ),
    "another normalisation": (
        "a.pth",
        torch_bytes(V),
        ["--heads", "2", "--normalisation", "mine"],
        "NORMALISATION= takes imagenet, half, clip, none",
    ),
    "numbers that do not fit": (
        "a.pth",
        torch_bytes(V),
        ["--heads", "2", "--normalisation", "0.5/0.5"],
        "for each of 3 channel",
    ),
    "a deviation of 0": (
        "a.pth",
        torch_bytes(V),
        ["--heads", "2", "--normalisation", "0,0,0/1,0,1"],
        "positive standard deviation",
    ),
    "another architecture": (
        "a.pth",
        torch_bytes(V),
        ["--arch", "vit_tiny_patch16_224.augreg_in21k"],
        "does not fit VisionTransformer",
    ),
    "an architecture of nobody": (
        "a.pth",
        torch_bytes(V),
        ["--arch", "vit_of_nobody"],
        "timm has no model 'vit_of_nobody'",
    ),
    "an architecture of a hub": (
        "a.pth",
        torch_bytes(V),
        ["--arch", "hf-hub:somebody/model"],
        "timm has no model",
    ),
    "another hash": (
        "a.pth",
        torch_bytes(V),
        [*PLAIN, "--sha256", "0" * 64],
        "has sha256 .*, expected 0000.*fetch it again",
    ),
    "another hash by name": (
        "a-0123abcd.pth",
        torch_bytes(V),
        PLAIN,
        "has sha256 .*, expected 0123abcd by its name",
    ),
    "a hash of one letter": (
        "a.pth",
        torch_bytes(V),
        [*PLAIN, "--sha256", "a"],
        "SHA256= takes 8 to 64 hexadecimal digits, got 'a'",
    ),
    "a ResNet of other depths": (
        "a.pth",
        torch_bytes(
            {n: t for n, t in R.items() if not n.startswith("layer3.1")}
            | {"layer3.2.conv1.weight": torch.zeros(2)}
        ),
        RESNET,
        "expected blocks layer3.0",
    ),
    "a ResNet without a stage": (
        "a.pth",
        torch_bytes({n: t for n, t in R.items() if not n.startswith("layer4")}),
        RESNET,
        "expected blocks layer4.0",
    ),
    "a stem of 5 px": (
        "a.pth",
        torch_bytes(R | {"conv1.weight": torch.zeros(64, 3, 5, 5)}),
        RESNET,
        "first convolution of 7 × 7 or 3 × 3, got 5 × 5",
    ),
    "a stem for CIFAR": (
        "a.pth",
        torch_bytes(R | {"conv1.weight": torch.zeros(64, 3, 3, 3)}),
        RESNET,
        "does not say whether max-pooling follows it: give STEM=",
    ),
    "a pooling that cannot be": (
        "a.pth",
        torch_bytes(R),
        [*RESNET, "--pooling", "class_token"],
        "no class token to pool",
    ),
    "an attention that is not there": (
        "a.pth",
        torch_bytes(V),
        [*PLAIN, "--pooling", "attention_pool"],
        "has no attention to pool with",
    ),
    "a classifier of another width": (
        "a.pth",
        torch_bytes(V | {"head.weight": torch.zeros(3, 128), "head.bias": torch.zeros(3)}),
        PLAIN,
        "classifier takes 128 numbers, the representation .* has 64",
    ),
}


def refused(arguments, root, capsys, monkeypatch, message):
    """The command ends with 2, one paragraph, and nothing written anywhere."""
    monkeypatch.setattr(module, "CHECKPOINTS", root / "checkpoints")
    monkeypatch.chdir(root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    capsys.readouterr()
    assert command.main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert said.err.count("\n") == 1 and 20 < len(said.err) < 1500 and not said.out
    assert re.search(message, said.err), said.err
    assert explained(said.err), f"the chapter does not explain: {said.err}"
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("case", BAD)
def test_files_that_cannot_be_meant(case, tmp_path, capsys, monkeypatch):
    name, data, options, message = BAD[case]
    (tmp_path / name).write_bytes(data)
    refused([tmp_path / name, "--name", "mine", *options], tmp_path, capsys, monkeypatch, message)


def official_folder(tmp_path, case="transformers ViT", config=None, processor=None):
    folder = tmp_path / "model"
    folder.mkdir()
    write(GOLDEN[case], folder)
    for name, changes in (("config.json", config), ("preprocessor_config.json", processor)):
        if isinstance(changes, str):
            (folder / name).write_text(changes)
        elif changes:
            values = json.loads((folder / name).read_text()) | changes
            (folder / name).write_text(json.dumps({k: v for k, v in values.items() if v != "gone"}))
    return folder


FOLDERS = {
    "no config": (lambda f: (f / "config.json").unlink(), "is a folder without config.json"),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        "holds config.json, but neither of",
    ),
    "an index of files elsewhere": (
        lambda f: (
            (f / "model.safetensors").unlink(),
            (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../x"}}'),
        ),
        "lists no files of its own folder",
    ),
    "an index of files that are not there": (
        lambda f: (
            (f / "model.safetensors").unlink(),
            (f / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "x-1.safetensors"}}'
            ),
        ),
        "no file at .*x-1.safetensors",
    ),
}
CONFIGS = {
    "no JSON": (dict(config="{"), "config.json is not JSON"),
    "a list": (dict(config="[]"), "holds a list, expected an object"),
    "another kind of model": (dict(config=dict(model_type="llama")), "of model_type 'llama'"),
    "no heads": (dict(config=dict(num_attention_heads="gone")), "number of attention heads"),
    "heads in words": (
        dict(config=dict(num_attention_heads="four")),
        "config.json names 'four' attention heads",
    ),
    "heads that do not fit": (dict(config=dict(num_attention_heads=5)), "does not go into 5 heads"),
    "an unknown activation": (dict(config=dict(hidden_act="mish2")), "names an activation 'mish2'"),
    "no statistics": (dict(processor=dict(image_mean="gone")), "how images are normalised"),
    "a deviation of 0": (dict(processor=dict(image_std=[0, 1, 1])), "positive standard deviation"),
    "a mean of two channels": (
        dict(processor=dict(image_mean=[0.5, 0.5])),
        "for each of 3 channel",
    ),
    "statistics in words": (dict(processor=dict(image_mean="grey")), "for each of 3 channel"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_folders_that_cannot_be_meant(case, tmp_path, capsys, monkeypatch):
    change, message = FOLDERS[case]
    folder = official_folder(tmp_path)
    change(folder)
    refused([folder, "--name", "mine"], tmp_path, capsys, monkeypatch, message)


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations_that_cannot_be_meant(case, tmp_path, capsys, monkeypatch):
    changes, message = CONFIGS[case]
    folder = official_folder(tmp_path, **changes)
    refused([folder, "--name", "mine"], tmp_path, capsys, monkeypatch, message)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("DINOv3", "rope_embed.periods"),
        ("BEiT", "model/rel_pos_bias.relative_position_index"),
        ("EVA-02, base", "module/rope.freqs_cos"),
    ],
)
def test_what_timm_computes_must_be_what_the_file_holds(case, name, tmp_path, capsys, monkeypatch):
    """Rotary positions of another base, relative positions in another order: another network."""
    file = content(GOLDEN[case])
    *entries, last = name.split("/")
    inside = file[entries[0]] if entries else file
    inside[last] = inside[last].flip(0) * 2
    torch.save(file, tmp_path / "a.pth")
    heads = ["--heads", "4"] if case != "BEiT" else []
    refused(
        [tmp_path / "a.pth", "--name", "a", *heads],
        tmp_path,
        capsys,
        monkeypatch,
        "is not what .* computes",
    )


def test_paths_that_are_none(tmp_path, capsys, monkeypatch):
    os.mkfifo(tmp_path / "pipe.pth")
    for source, message in (
        (tmp_path / "none.pth", "no file at"),
        (tmp_path / ("a" * 300), "cannot be read|no file at"),
        (tmp_path / "pipe.pth", "no file at|cannot be read"),
        (tmp_path, "is a folder without config.json"),
        ("", "is a folder without config.json|no file"),
        ("timm:", "could not be had"),
    ):
        refused([source, "--name", "mine"], tmp_path, capsys, monkeypatch, message)


NAMES = [
    "",
    " ",
    ".",
    "..",
    "../x",
    "../../x",
    "/elsewhere/x",
    "a/b",
    "a,b",
    "a b",
    "a\nb",
    "a\\b",
    "-a",
    ".a",
    "a" * 65,
    "a" * 300,
    "ä",
    "a;b",
    "$HOME",
    "a*",
    "`id`",
    "a'b",
    'a"b',
    "a\0b",
    "a:b",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_could_not_be_used(name, tmp_path, capsys, monkeypatch):
    torch.save(V, tmp_path / "a.pth")
    refused(
        [tmp_path / "a.pth", f"--name={name}", *PLAIN],
        tmp_path,
        capsys,
        monkeypatch,
        "NAME= takes up to 64 letters",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--heads", "-1"], "HEADS= takes a positive number, got -1"),
        (["--heads", "0"], "HEADS= takes a positive number, got 0"),
        (["--input-size", "0"], "INPUT_SIZE= takes pixels from 1 to 4096, got 0"),
        (["--input-size", "-8"], "INPUT_SIZE= takes pixels"),
        (["--input-size", "100000"], "INPUT_SIZE= takes pixels"),
        (["--input-size", "30"], "INPUT_SIZE=30 is no multiple of the patches of 8 px"),
        (["--method", ""], "METHOD= takes a name"),
        (["--method", "a\nb"], "METHOD= takes a name"),
        (["--stem", "mine"], "STEM= takes cifar or pooled, got 'mine'"),
    ],
)
def test_numbers_and_words_that_cannot_be_meant(options, message, tmp_path, capsys, monkeypatch):
    torch.save(V, tmp_path / "a.pth")
    given = [] if options[0] == "--heads" else ["--heads", "2"]
    refused(
        [tmp_path / "a.pth", "--name", "a", "--normalisation", "half", *given, *options],
        tmp_path,
        capsys,
        monkeypatch,
        message,
    )


def test_a_file_option_does_not_go_with_a_hub(tmp_path, capsys, monkeypatch):
    refused(
        ["timm:vit_x", "--name", "a", "--heads", "2", "--sha256", "0" * 64],
        tmp_path,
        capsys,
        monkeypatch,
        "HEADS= and SHA256= goes with a file",
    )


def test_a_folder_that_cannot_be_written_to(tmp_path, capsys, monkeypatch):
    torch.save(V, tmp_path / "a.pth")
    (tmp_path / "checkpoints").write_text("a file")
    refused(
        [tmp_path / "a.pth", "--name", "a", *PLAIN],
        tmp_path,
        capsys,
        monkeypatch,
        "cannot be written to",
    )


def test_shards_are_read_together(tmp_path, monkeypatch):
    folder = official_folder(tmp_path)
    tensors = content(GOLDEN["transformers ViT"])
    names = sorted(tensors)
    (folder / "model.safetensors").unlink()
    parts = {f"model-{k}.safetensors": names[k::2] for k in (0, 1)}
    for file, inside in parts.items():
        save_file({name: tensors[name] for name in inside}, folder / file)
    index = {name: file for file, inside in parts.items() for name in inside}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert module.adopt(str(folder), "mine", root=tmp_path).method == "ViT"


def test_there_are_enough_bad_files():
    assert len(BAD) + len(FOLDERS) + len(CONFIGS) >= 60 and len(NAMES) >= 20
