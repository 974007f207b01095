"""How many images a pass may take at once."""

import copy
import math
import weakref
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lib.encoders.device import free_memory

SMALL = 2**17  # bytes of an image, 181 px in grey: smaller ones fit in any number that is asked for
ATTENTION_COPIES = 8  # of a block's map, held at once while it is looked at
MARGIN = 1.5  # what kernels take for themselves, fragments


class Placed(Protocol):
    """What computes on a device: an encoder, or what has one as its ``encoder``."""

    device: torch.device


class _Alive(TorchDispatchMode):
    """Counts the bytes of the storages that are alive, and their peak; those of some tensors that
    are there anyway do not count."""

    def __init__(self, there: list[Tensor]):
        super().__init__()
        self.now = self.peak = 0
        self.known = {tensor.untyped_storage()._cdata for tensor in there}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                self._meet(tensor.untyped_storage())
        return found

    def _meet(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._part, key, size)

    def _part(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def bytes_of_a_pass(model: nn.Module, shape: tuple[int, ...], gradients: bool) -> int:
    """Peak bytes of one pass of a timm model over one image, without its weights.

    The model runs on the ``meta`` device, where tensors have sizes and no values: nothing is
    computed and nothing takes memory.

    Args:
        model: stays as it is.
        shape: (channels, height, width) as the model takes them.
        gradients: whether all is kept that the gradient to the image needs.
    """
    empty = {
        id(t): nn.Parameter(torch.empty_like(t, device="meta"), requires_grad=False)
        if isinstance(t, nn.Parameter)
        else torch.empty_like(t, device="meta")
        for t in (*model.parameters(), *model.buffers())
    }
    model = copy.deepcopy(model, empty)
    for module in model.modules():
        module._forward_hooks.clear(), module._forward_pre_hooks.clear()
    image = torch.empty(1, *shape, device="meta", requires_grad=gradients)
    weights = [*model.parameters(), *model.buffers()]
    with torch.set_grad_enabled(gradients), _Alive(weights) as alive:
        kept = model.forward_features(image)
    del kept
    return alive.peak


def images_that_fit(encoder: Placed, shape: tuple[int, ...], gradients: bool) -> int:
    """Images of a pass that fit the free memory of the encoder's device: a power of 2, at least 1;
    no limit for small images, and where the model cannot say.

    Args:
        encoder: any.
        shape: (channels, height, width) of the images that come.
        gradients: see :func:`bytes_of_a_pass`.
    """
    encoder = getattr(encoder, "encoder", encoder)  # a decoder's pass begins with its encoder's
    side = encoder.input_size
    taken = (encoder.mean.shape[1], *((side, side) if side else shape[-2:]))
    if math.prod(taken) * 4 < SMALL:
        return 2**30
    needed = encoder.passes.get((taken, gradients))
    if needed is None:
        try:
            needed = bytes_of_a_pass(encoder.model, taken, gradients)
        # a model that has no such pass fails in the pass itself, with its own message
        except Exception:
            needed = 0
        if encoder.has_attention:
            tokens = math.prod(taken[-2:]) // encoder.patch_size**2 + encoder.prefix_tokens
            heads = encoder.model.blocks[0].attn.num_heads
            needed += 0 if gradients else ATTENTION_COPIES * 4 * heads * tokens**2
        encoder.passes[taken, gradients] = needed
    if needed == 0:
        return 2**30
    return 2 ** max(0, int(math.log2(max(1, free_memory(encoder.device) / (MARGIN * needed)))))
