import pytest
import torch

from lib.encoders.encoder import Encoder
from lib.probes.attention_map import attention_maps


@pytest.mark.parametrize(
    "arguments",
    [dict(), dict(reg_tokens=4), dict(class_token=False, global_pool="avg", fc_norm=False)],
    ids=["class", "registers", "no prefix"],
)
@pytest.mark.parametrize("size", [(28, 28), (16, 24)])
def test_equals_the_rows_of_the_observed_attention(make_vit, arguments, size):
    encoder = Encoder(make_vit(**arguments), [0.3], [0.35], "patch_mean")
    image = torch.rand(1, *size, generator=torch.Generator().manual_seed(0))
    rows, columns = size[0] // 4, size[1] // 4
    queries = [(0, 0), (1, 3), (rows - 1, columns - 1), (2, 1)]
    found = attention_maps(encoder, image, queries)

    observed = []
    encoder.observe(image[None], lambda block: observed.append(block.attention[0]))
    assert found.shape == (2, 4, rows, columns)
    for block, attention in enumerate(observed):
        for q, (row, column) in enumerate(queries):
            patches = attention[
                :, encoder.prefix_tokens + row * columns + column, encoder.prefix_tokens :
            ]
            # renormalise each head, then average
            expected = sum(head / head.sum() for head in patches) / 3
            assert torch.allclose(found[block, q].flatten(), expected, atol=1e-6)
    assert torch.allclose(found.sum((2, 3)), torch.ones(2, 4))


@pytest.mark.parametrize("query", [(7, 0), (0, 7), (-1, 0), (0, -1)])
def test_refuses_a_query_outside_the_grid(encoder, images, query):
    with pytest.raises(ValueError, match=rf"grid of 7 × 7 patches, got \({query[0]}, {query[1]}\)"):
        attention_maps(encoder, images[0], [(0, 0), query])
