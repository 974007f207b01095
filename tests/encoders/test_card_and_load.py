import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from lib.encoders import card as card_module
from lib.encoders.architecture import SMALL_RESNET, build_resnet, resnet_arguments, sincos_positions
from lib.encoders.card import CHECKPOINTS, Card, file_sha256, read_card, write_card
from lib.encoders.encoder import Encoder
from lib.encoders.load import cl_and_mim, load_encoder, random_encoder

COMMITTED = [
    path.relative_to(CHECKPOINTS).with_suffix("").as_posix()
    for path in sorted(CHECKPOINTS.rglob("*.yaml"))
]


def card_of(weights: Path, **changes) -> Card:
    """A card for a file of the tiny ViT's weights."""
    facts = dict(
        method="MoCo v3", family="CL", architecture="vit_tiny_patch16_224", patch_size=4,
        prefix_tokens=1, mean=[0.3], std=[0.35], pooling="class_token", arguments=dict(img_size=28,
        patch_size=4, in_chans=1, embed_dim=24, depth=2, num_heads=3, num_classes=0,
        dynamic_img_size=True), images_seen=64, seconds=1, command="make pretrain", commit="0" * 40,
        data="noise", seed=0, licence="MIT", source="a test", sha256=file_sha256(weights),
    )  # fmt: skip
    return Card(**facts | changes)


@pytest.fixture
def tensors(make_vit):
    """What a checkpoint of the tiny ViT holds."""
    return {f"encoder.{name}": tensor.clone() for name, tensor in make_vit().state_dict().items()}


@pytest.fixture
def store(tmp_path):
    """Write tensors, or bytes as they are, with their card as group/tiny."""

    def write(content: dict | bytes, **changes) -> Path:
        (tmp_path / "group").mkdir(exist_ok=True)
        path = tmp_path / "group" / "tiny.safetensors"
        path.write_bytes(content) if isinstance(content, bytes) else save_file(content, path)
        write_card(card_of(path, **changes), path.with_suffix(".yaml"))
        return path

    return write


def test_round_trip(store, tensors, encoder, images, tmp_path):
    store(tensors)
    loaded = load_encoder("group/tiny", tmp_path)
    assert torch.equal(loaded(images), encoder(images))
    assert (loaded.name, loaded.family, loaded.pooling) == ("group/tiny", "CL", "class_token")
    assert (loaded.mean.item(), loaded.std.item()) == pytest.approx((0.3, 0.35))


def test_half_precision_files_are_read_in_single_precision(
    store, tensors, encoder, images, tmp_path
):
    store({name: tensor.half() for name, tensor in tensors.items()})
    loaded = load_encoder("group/tiny", tmp_path)
    assert all(parameter.dtype == torch.float32 for parameter in loaded.model.parameters())
    assert torch.allclose(loaded(images), encoder(images), atol=0.05) and not torch.equal(
        loaded(images), encoder(images)
    )


def test_round_trip_of_a_convolutional_network(store, images, tmp_path):
    resnet = build_resnet(resnet_arguments())
    facts = dict(
        architecture=SMALL_RESNET,
        arguments=resnet_arguments(),
        patch_size=None,
        prefix_tokens=0,
        pooling="global_average",
    )
    store({f"encoder.{name}": tensor for name, tensor in resnet.state_dict().items()}, **facts)
    loaded = load_encoder("group/tiny", tmp_path)
    assert torch.allclose(loaded(images), resnet.eval()((images - 0.3) / 0.35), atol=1e-5)


def test_named_extras_are_left_out(store, tensors, encoder, images, tmp_path):
    store(
        tensors | {"decoder.weight": torch.zeros(2), "mask_token": torch.zeros(1)},
        extras=["decoder", "mask_token"],
    )
    assert torch.equal(load_encoder("group/tiny", tmp_path)(images), encoder(images))


def with_value(value):
    def change(tensors):
        tensors["encoder.norm.weight"][3] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("encoder.norm.weight"), 'Missing key.*"norm.weight"'),
        (
            lambda t: t.update({"encoder.blocks.7.bias": torch.zeros(1)}),
            'Unexpected key.*"blocks.7.bias"',
        ),
        (
            lambda t: t.update({"encoder.norm.weight": torch.ones(25)}),
            "size mismatch for norm.weight",
        ),
        (
            lambda t: t.update({"decoder.weight": torch.zeros(1)}),
            r"that its card does not name: \['decoder.weight'\]",
        ),
        (
            lambda t: t.update({"mask_token_2": torch.zeros(1)}),
            r"that its card does not name: \['mask_token_2'\]",
        ),
        (with_value(float("nan")), r"not finite in \['encoder.norm.weight'\]"),
        (with_value(float("inf")), r"not finite in \['encoder.norm.weight'\]"),
    ],
)
def test_refuses_tensors(store, tensors, tmp_path, change, message):
    change(tensors)
    store(tensors, extras=["mask_token"])
    with pytest.raises(ValueError, match=f"(?s)tiny.safetensors.*{message}"):
        load_encoder("group/tiny", tmp_path)


@pytest.mark.parametrize("changes", [dict(prefix_tokens=0), dict(patch_size=16)])
def test_refuses_another_token_layout_than_the_cards(store, tensors, tmp_path, changes):
    store(tensors, **changes)
    with pytest.raises(ValueError, match=r"the card says .*, the model has \D*1\D+4"):
        load_encoder("group/tiny", tmp_path)


def test_refuses_a_changed_file(store, tensors, tmp_path):
    path = store(tensors)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # one bit of one weight
    path.write_bytes(content)
    with pytest.raises(ValueError, match="the file or the card has changed"):
        load_encoder("group/tiny", tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"weights, one day\n", b"\x80\x02}q\x00."], ids=["empty", "text", "pickle"]
)
def test_refuses_what_is_not_safetensors(store, tmp_path, content):
    store(content)
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load_encoder("group/tiny", tmp_path)


def test_refuses_a_truncated_file(store, tensors, tmp_path):
    store(store(tensors).read_bytes()[:-100])  # with the hash of the truncated file
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load_encoder("group/tiny", tmp_path)


class Bomb:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_a_malicious_pickle_is_not_executed(store, tmp_path):
    marker = tmp_path / "executed"
    payload = pickle.dumps(Bomb(marker))
    store(payload)
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load_encoder("group/tiny", tmp_path)
    assert not marker.exists()
    pickle.loads(payload)
    assert marker.exists()  # the bomb was live


def test_missing_weights_are_named(store, tensors, tmp_path):
    store(tensors).unlink()
    with pytest.raises(FileNotFoundError, match="tiny.safetensors, which does not exist"):
        load_encoder("group/tiny", tmp_path)


def test_a_missing_card_lists_the_known_ones(store, tensors, tmp_path, monkeypatch):
    monkeypatch.setattr(card_module, "CHECKPOINTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="encoders here: none"):
        read_card(tmp_path / "group" / "other.yaml")
    store(tensors)
    with pytest.raises(FileNotFoundError, match="encoders here: group/tiny"):
        load_encoder("group/other", tmp_path)


def test_cards_survive_writing_and_reading(store, tensors, tmp_path):
    path = store(tensors, method="MoCo v3, größer: “b”", extras=["decoder"]).with_suffix(".yaml")
    read = read_card(path)
    assert read == card_of(
        path.with_suffix(".safetensors"), method="MoCo v3, größer: “b”", extras=["decoder"]
    )
    write_card(read, tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(colour="red"), r"missing fields \[\], unknown fields \['colour'\]"),
        (
            dict(family="contrastive"),
            r"'family' is one of \('CL', 'MIM', 'other'\), got 'contrastive'",
        ),
        (dict(pooling="max"), r"'pooling' is one of .* got 'max'"),
    ],
)
def test_refuses_fields(store, tensors, change, message):
    path = store(tensors).with_suffix(".yaml")
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        read_card(path)


@pytest.mark.parametrize("field", sorted(set(Card.__dataclass_fields__) - {"extras", "input_size"}))
def test_every_field_but_the_optional_ones_is_needed(store, tensors, field):
    path = store(tensors).with_suffix(".yaml")
    values = yaml.safe_load(path.read_text())
    del values[field], values["extras"]
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ValueError, match=rf"missing fields \['{field}'\], unknown fields \[\]"):
        read_card(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "is not YAML"), ("- 1\n", "holds a list"), ("", "holds a NoneType")],
)
def test_refuses_what_is_not_a_card(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_card(tmp_path / "a.yaml")


def test_cards_execute_nothing(tmp_path):
    marker = tmp_path / "executed"
    (tmp_path / "a.yaml").write_text(f"method: !!python/object/apply:os.mkdir ['{marker}']\n")
    with pytest.raises(ValueError, match="is not YAML"):
        read_card(tmp_path / "a.yaml")
    assert not marker.exists()


def test_random_weights_depend_on_the_seed_alone(store, tensors, images):
    card = read_card(store(tensors).with_suffix(".yaml"))
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, again, other = (random_encoder(card, seed)(images) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.allclose(first, other, atol=0.01)
    assert torch.equal(torch.get_rng_state(), state)  # the caller's draws go on as before
    null = random_encoder(replace(card, pooling="patch_mean"))
    assert (null.family, null.pooling, null.mean.item()) == (
        "other",
        "patch_mean",
        pytest.approx(0.3),
    )
    assert torch.equal(null.model.pos_embed[0, 1:], sincos_positions((7, 7), 24))


@pytest.mark.parametrize(
    ("families", "pair"),
    [
        (["CL", "MIM"], (0, 1)),
        (["other", "MIM", "CL", "MIM", "CL"], (2, 1)),
        (["CL", "other"], None),
        (["MIM"], None),
        ([], None),
    ],
)
def test_cl_and_mim_are_the_first_of_each_family(make_vit, families, pair):
    vit = make_vit()
    encoders = [
        Encoder(vit, [0.3], [0.35], "class_token", name=str(i), family=family)
        for i, family in enumerate(families)
    ]
    assert [(a.name, b.name) for a, b in cl_and_mim(encoders)] == (
        [] if pair is None else [(str(pair[0]), str(pair[1]))]
    )


@pytest.mark.skipif(not COMMITTED, reason="no encoder is committed yet")
@pytest.mark.parametrize("name", COMMITTED)
def test_committed_encoders_load(name):
    card, encoder = read_card(CHECKPOINTS / f"{name}.yaml"), load_encoder(name)
    side = card.arguments.get("img_size", 28)
    images = torch.rand(2, len(card.mean), side, side, generator=torch.Generator().manual_seed(0))
    representation = encoder(images)
    assert torch.isfinite(representation).all() and not torch.allclose(
        representation[0], representation[1]
    )
    assert card.images_seen > 0 and encoder.family == card.family
    if card.patch_size:
        seen = []
        encoder.observe(images, lambda block: seen.append(block.index))
        assert seen == list(range(1, encoder.depth + 1))
