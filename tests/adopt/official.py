"""Files in the layouts of official code, made again from names and shapes."""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

GOLDEN = json.loads(Path(__file__).with_name("golden_official.json").read_text())


def mixed(count, key, first, *shifts):
    """``count`` integers of 32 bits that their position and a key decide, exact on every
    machine."""
    h = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(key)
    for shift, factor in zip((first, *shifts), (2246822519, 3266489917), strict=False):
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
    return h ^ (h >> np.uint32(16))


def weights(name, shape):
    """A tensor that its name decides, in [−1/4, 1/4), of norms and variances in [3/4, 5/4)."""
    h = mixed(math.prod(shape), zlib.crc32(name.encode()), 16, 13) >> np.uint32(16)
    values = torch.from_numpy((h.astype(np.float32) - 32768) / 131072).reshape(shape)
    around_one = name.endswith("running_var") or len(shape) == 1 and name.endswith("weight")
    return values + 1 if around_one else values


def images():
    """Two images ``(2, 3, 32, 32)`` of noise in [0, 1]."""
    h = mixed(2 * 3 * 32 * 32, 0, 15) >> np.uint32(24)
    return torch.from_numpy(h.astype(np.float32) / 255).reshape(2, 3, 32, 32)


def content(golden):
    """What the official file holds: tensors of these names in the entries that lead to them."""
    kept, file = golden.get("kept", {}), {}
    for place, shape in golden["names"].items():
        *entries, name = place.split("/")
        inside = file
        for entry in entries:
            inside = inside.setdefault(entry, {})
        value = kept.get(place)
        if value is not None:  # what the official code computes, not trains
            inside[name] = torch.tensor(kept[value] if isinstance(value, str) else value).reshape(
                shape
            )
        elif name.endswith("num_batches_tracked"):
            inside[name] = torch.tensor(0)
        else:
            inside[name] = weights(place, shape)
    return file


def write(golden, folder):
    """The official file, or the folder as ``save_pretrained`` writes it."""
    tensors = content(golden)
    if "config" not in golden:
        torch.save(
            tensors | ({"epoch": 3} if "/" in next(iter(golden["names"])) else {}),
            folder / "official.pth",
        )
        return folder / "official.pth"
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(golden["config"]))
    (folder / "preprocessor_config.json").write_text(json.dumps(golden["processor"]))
    return folder
