"""What an adopted network is checked against, where its file allows: that its numbers can be
weights, that what timm computes by itself is what the file holds, that its classifier fits its
representation.
"""

import torch
from torch import Tensor, nn

from lib.adopt.names import CLASSIFIERS, State

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
COUNTERS = ("num_batches_tracked",)


def single_precision(state: State, what: str) -> State:
    """The tensors in single precision.

    Raises:
        ValueError: tensors that are sparse, quantised or without values; of no kind of weights
            (integers, 8-bit floats, complex numbers, yes and no); empty; not finite, here or once
            in single precision.
    """
    kinds, empty, broken, result = [], [], [], {}
    for name, tensor in state.items():
        if (
            tensor.layout != torch.strided
            or tensor.is_quantized
            or tensor.is_nested
            or tensor.is_meta
        ):
            kinds.append(f"{name} (sparse, quantised or without values)")
        elif name.endswith(COUNTERS) and not tensor.is_complex():
            result[name] = tensor
        elif tensor.dtype not in FLOATS:
            kinds.append(f"{name} ({str(tensor.dtype).removeprefix('torch.')})")
        elif not tensor.numel():
            empty.append(name)
        else:
            result[name] = tensor.float()
            if not torch.isfinite(result[name]).all():
                broken.append(name)
    for names, why in (
        (kinds, "tensors that are no weights of 16, 32 or 64-bit floats"),
        (empty, "empty tensors"),
        (broken, "values that are not finite in single precision"),
    ):
        if names:
            raise ValueError(f"{what} holds {why}: {', '.join(names[:8])}")
    return result


def computed_buffers(model: nn.Module, computed: State, what: str) -> list[str]:
    """Compare what timm computes by itself with what the file holds of it.

    Args:
        model: timm model.
        computed: index of relative positions, frequencies or periods of rotary positions.
        what: of the file, for the message.

    Returns:
        what was compared, for the user.

    Raises:
        ValueError: they differ.
    """
    said = []
    buffers = dict(model.named_buffers())
    rope = getattr(model, "rope", None)
    for name, tensor in computed.items():
        if name.endswith("relative_position_index"):
            own, kind = buffers.get(name), "index of relative positions"
        elif name == "rope_embed.periods":
            own, kind = getattr(rope, "periods", None), "periods of rotary positions"
        elif name.endswith(("freqs_cos", "freqs_sin")) and rope is not None:
            half = 1 if name.endswith("cos") else 0  # timm keeps sine and cosine side by side
            own, kind = rope.get_embed().chunk(2, -1)[half], "frequencies of rotary positions"
        else:
            continue
        if (
            own is None
            or own.shape != tensor.shape
            or not torch.allclose(own.float(), tensor.float(), rtol=1e-2, atol=1e-3)
        ):
            raise ValueError(
                f"{what}: the file's {name} is not what {type(model).__name__} computes: name the"
                " architecture with ARCH="
            )
        said.append(f"{kind} as in the file")
    return list(dict.fromkeys(said))


def origin_of(computed: State, heads: int | None, grids: tuple[int, ...]) -> int | None:
    """The grid that EVA-02's rotary positions refer to: of some, the one whose angles are there.

    At patch t of a grid of g the angles are t · origin / g · 10000^(−2i/d).
    """
    cosine = next(
        (tensor for name, tensor in computed.items() if name.endswith("rope.freqs_cos")), None
    )
    if cosine is None or cosine.ndim != 2 or not heads:
        return None
    side = round(cosine.shape[0] ** 0.5)
    # patch (0, 1) turns the first pair of its second half by origin / side
    second = cosine[1, cosine.shape[1] // 2].float() if side > 1 else None
    return next(
        (
            g
            for g in grids
            if second is not None and torch.isclose(second, torch.tensor(g / side).cos(), atol=1e-3)
        ),
        None,
    )


def classifier_of(state: State) -> tuple[Tensor, Tensor] | None:
    """Weight ``(classes, width)`` and bias of a linear classifier among an encoder's own
    tensors."""
    for prefix in (*CLASSIFIERS, "head.fc."):
        weight, bias = state.get(f"{prefix}weight"), state.get(f"{prefix}bias")
        if weight is not None and weight.ndim == 2 and bias is not None:
            return weight, bias
    return None


def classifier_fits(representation: Tensor, state: State, what: str, pooling: str) -> list[str]:
    """Compare the width that a classifier takes with the representation's.

    Args:
        representation: ``(batch, width)`` of the adopted encoder.
        state: the encoder's tensors of the file, its classifier among them.
        what, pooling: for the message.

    Returns:
        what was compared, for the user.

    Raises:
        ValueError: another width; logits that are not finite.
    """
    found = classifier_of(state)
    if found is None:
        return []
    weight, bias = (tensor.float() for tensor in found)
    if weight.shape[1] != representation.shape[1]:
        raise ValueError(
            f"{what}: its classifier takes {weight.shape[1]} numbers, the representation"
            f" ({pooling}) has {representation.shape[1]}: give POOLING= or ARCH="
        )
    if not torch.isfinite(representation @ weight.T + bias).all():
        raise ValueError(f"{what}: its classifier yields values that are not finite")
    return ["the classifier takes the representation"]
