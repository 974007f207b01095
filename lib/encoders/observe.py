"""Look at what Transformer blocks do, while they do it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from timm.layers import Attention
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Result = TypeVar("Result")


@dataclass(frozen=True)
class Block:
    """What one Transformer block did with a batch; valid inside the callback, not kept.

    Attributes:
        index: 1 for the first block.
        prefix_tokens: class and register tokens before the patch tokens.
        tokens_in, tokens_attended, tokens_out: ``(batch, tokens, width)``, the residual stream
            before the block, after its self-attention, and after its MLP.
        attention: ``(batch, heads, tokens, tokens)``, rows are queries and sum to 1.
        logits: of that shape, of which it is the softmax; None where they were not seen.
        head_outputs: ``(batch, heads, tokens, width / heads)``, attention times values, before the
            heads are mixed.
    """

    index: int
    prefix_tokens: int
    tokens_in: Tensor
    tokens_attended: Tensor
    tokens_out: Tensor
    attention: Tensor
    head_outputs: Tensor
    logits: Tensor | None = None


class _Softmax(TorchFunctionMode):
    """Notes what the last softmax was taken of: attention modules name no other place for it."""

    def __init__(self):
        super().__init__()
        self.taken_of: Tensor | None = None

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (Tensor.softmax, torch.softmax):
            self.taken_of = args[0]
        return function(*args, **(kwargs or {}))


def observe_blocks(
    blocks: Iterable[nn.Module],
    prefix_tokens: int,
    look: Callable[[Block], None],
    run: Callable[[], Result],
    name: str,
) -> Result:
    """Call ``run``, which passes a batch through ``blocks`` in order, and hand what each block did
    to ``look``.

    Attention is computed unfused meanwhile, since a fused kernel never forms the map. Hooks are
    removed and the fused setting is restored afterwards, also after an exception.

    Args:
        blocks: timm Transformer blocks.
        prefix_tokens: class and register tokens before the patch tokens.
        look: called once a block.
        run: the forward pass.
        name: of the model, for messages.

    Returns:
        what ``run`` returns.

    Raises:
        TypeError: no blocks, or blocks without an attention map.
        RuntimeError: a block did not yield exactly one map.
    """
    blocks = list(blocks)
    if not blocks or not all(
        hasattr(getattr(block, "attn", None), "attn_drop") and hasattr(block, "norm2")
        for block in blocks
    ):
        raise TypeError(f"{name} has no Transformer blocks with attention maps to look at")
    maps: list[Tensor] = []
    seen: dict[str, Tensor] = {}

    def hand_over(index: int, heads: int) -> Callable:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if len(maps) != 1:
                raise RuntimeError(
                    f"{name}: block {index} yielded {len(maps)} attention maps, expected 1"
                )
            head_outputs = seen.pop("mixed").unflatten(-1, (heads, -1)).transpose(1, 2)
            look(
                Block(
                    index,
                    prefix_tokens,
                    inputs[0],
                    seen.pop("attended"),
                    output,
                    maps.pop(),
                    head_outputs,
                    seen.pop("logits", None),
                )
            )

        return hook

    softmax = _Softmax()

    def keep(attention: Tensor) -> None:
        maps.append(attention)
        logits, softmax.taken_of = softmax.taken_of, None
        if logits is not None and logits.shape == attention.shape:
            seen.update(logits=logits)

    with ExitStack() as stack:
        stack.enter_context(unfused(block.attn for block in blocks))
        for index, block in enumerate(blocks, start=1):
            handles = [
                block.attn.attn_drop.register_forward_pre_hook(lambda _, inputs: keep(inputs[0])),
                block.attn.proj.register_forward_pre_hook(
                    lambda _, inputs: seen.update(mixed=inputs[0])
                ),
                block.norm2.register_forward_pre_hook(
                    lambda _, inputs: seen.update(attended=inputs[0])
                ),
                block.register_forward_hook(hand_over(index, block.attn.num_heads)),
            ]
            for handle in handles:
                stack.callback(handle.remove)
        stack.enter_context(softmax)
        return run()


@contextmanager
def unfused(attentions: Iterable[Attention]) -> Iterator[None]:
    """Switch fused attention off inside the context and restore each module's own setting after
    it."""
    before = [(attention, attention.fused_attn) for attention in attentions]
    try:
        for attention, _ in before:
            attention.fused_attn = False
        yield
    finally:
        for attention, fused in before:
            attention.fused_attn = fused
