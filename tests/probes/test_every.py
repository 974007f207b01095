import inspect

import torch

from lib.probes import every
from lib.probes.attention_distance import attention_distance
from lib.probes.every import block_probes, token_probes
from lib.probes.patch_attention import patch_attention
from lib.probes.stream import block_statistics
from lib.probes.token_shift import common_shift


def test_every_probe_comes_from_one_pass_with_one_row_an_image(encoder, images):
    passes = []
    counting = encoder.model.register_forward_hook(lambda *_: passes.append(1))
    whole_models = encoder.model.patch_embed.register_forward_hook(lambda *_: passes.append(1))
    found = block_statistics(encoder, images, block_probes((7, 7), 4), token_probes((7, 7)))
    counting.remove(), whole_models.remove()
    assert len(passes) == 1
    for name in block_probes((7, 7), 4):
        assert (
            found[name].shape[:2] == (5, 2)
            and found[name].shape[2] in (1, 3, 49)
            and torch.isfinite(found[name]).all()
        ), name
    for name in token_probes((7, 7)):
        assert found[name].shape[:2] == (5, 3) and torch.isfinite(found[name]).all(), name

    blocks = []
    encoder.observe(images, blocks.append)
    for block in blocks:
        distance = attention_distance(patch_attention(block.attention, 1), (7, 7), 4)
        assert torch.allclose(found["attention distance"][:, block.index - 1], distance, atol=1e-4)
        shift = common_shift(block.tokens_in[:, 1:], block.tokens_attended[:, 1:])
        assert torch.allclose(found["common shift"][:, block.index - 1, 0], shift, atol=1e-5)
        assert torch.allclose(
            found["mean token"][:, block.index], block.tokens_out[:, 1:].mean(1), atol=1e-5
        )


def test_no_probe_is_left_out():
    functions = {
        name
        for name, f in vars(every).items()
        if inspect.isfunction(f)
        and f.__module__.startswith("lib.probes.")
        and f.__module__ != every.__name__
    }
    source = inspect.getsource(block_probes) + inspect.getsource(token_probes)
    assert functions and all(name in source for name in functions)
