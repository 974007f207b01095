"""Make an encoder of this study from somebody else's weights: a timm name, a Hugging Face name, a
file or a folder in a known layout.

What comes out is a card and a safetensors file, so that everything else treats it like the encoders
trained here. What neither the file nor its layout tells is asked for.
"""

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import timm
import torch
from safetensors.torch import save
from timm.models import load_model_config_from_hf
from torch import nn

from lib.adopt.check import classifier_fits, computed_buffers, origin_of, single_precision
from lib.adopt.infer import (
    EVA_02_GRID,
    STEMS,
    Told,
    infer,
    is_transformer,
    relative_heads,
    width_of,
)
from lib.adopt.names import State, timm_names
from lib.adopt.normalisation import NORMALISATIONS, checked, statistics
from lib.adopt.read_file import Source, read_source
from lib.adopt.recognise import Found, recognise
from lib.encoders.architecture import build
from lib.encoders.card import CHECKPOINTS, Card, write_card
from lib.encoders.encoder import Encoder
from lib.encoders.load import channels_of, placed, token_layout

HUBS = ("timm:", "hf-hub:")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LARGEST_SIDE = 4096  # pixels
# transformers' names of activations -> timm's
ACTIVATIONS = {
    "gelu": None,
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
}


@dataclass(frozen=True)
class Asked:
    """What the user says of an encoder; None where the file, its layout or timm is to tell.

    Attributes:
        arch: timm name.
        heads: attention heads.
        normalisation: see :func:`lib.adopt.normalisation.statistics`.
        stem: see :class:`lib.adopt.infer.Told`.
        entry: of the file, see :func:`lib.adopt.recognise.recognise`.
        sha256: of the file, see :func:`lib.adopt.read_file.verified`.
    """

    arch: str | None = None
    heads: int | None = None
    normalisation: str | None = None
    stem: str | None = None
    entry: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Adopted:
    """A model with what its card needs.

    Attributes:
        model: timm model with the weights.
        architecture, arguments: how timm builds it.
        method, source, licence: for the card.
        family: None where neither file nor layout tells.
        mean, std: per channel.
        side: of the images it was trained on, in pixels.
        pooling: the layout's; None: see :func:`pooling_of`.
        state: the encoder's tensors as in the file, with its classifier.
        said: what was assumed, and from where.
    """

    model: nn.Module
    architecture: str
    arguments: dict
    method: str
    family: str | None
    source: str
    licence: str
    mean: list[float]
    std: list[float]
    side: int
    pooling: str | None = None
    state: State = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def from_hub(source: str) -> Adopted:
    """A pretrained timm model, ``timm:NAME`` or ``hf-hub:OWNER/NAME@REVISION``, with its own
    normalisation; downloads on first use.

    Raises:
        ValueError: no such model, or no network and nothing downloaded before.
    """
    name = source.removeprefix("timm:")
    page = source.removeprefix("hf-hub:") if source.startswith("hf-hub:") else f"timm/{name}"
    # DINOv3's representation is its class token; timm averages unless told
    arguments = dict(num_classes=0) | (dict(global_pool="token") if "dinov3" in name else {})
    try:
        model = timm.create_model(name, pretrained=True, **arguments)
        if source.startswith(
            "hf-hub:"
        ):  # the card names the architecture, so that nothing is looked up again
            _, name, own = load_model_config_from_hf(source.removeprefix("hf-hub:"))
            arguments = (own or {}) | arguments
    except Exception as error:  # the hub's clients raise many kinds
        raise ValueError(
            f"{source} could not be had ({type(error).__name__}: {' '.join(str(error).split())})."
            " Without a network, fetch model.safetensors of"
            f" https://huggingface.co/{page}"
            " by hand and give its path with ARCH="
        ) from error
    config = model.pretrained_cfg
    mean, std = checked(list(config["mean"]), list(config["std"]), channels_of(model), source)
    licence = str(config.get("license") or "not stated")
    said = ["normalisation and size of images by timm"]
    return Adopted(
        model,
        name,
        arguments,
        source.partition(":")[2],
        None,
        source,
        licence,
        mean,
        std,
        config["input_size"][-1],
        said=said,
    )


def load_strictly(model: nn.Module, state: State, what: str) -> None:
    """Load tensors; counters of batches may be missing, nothing else.

    Raises:
        ValueError: missing, unexpected or misshapen tensors, listed.
    """
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ValueError(
            f"{what} does not fit {type(model).__name__}: {' '.join(str(error).split())[:600]}"
        ) from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"{what} does not fit {type(model).__name__}: missing"
            f" {', '.join(missing[:8]) or 'nothing'}; unexpected"
            f" {', '.join(unexpected[:8]) or 'nothing'}"
        )


def from_path(path: Path, asked: Asked = Asked()) -> Adopted:
    """A model from a file, or a folder as ``from_pretrained`` takes it.

    Raises:
        FileNotFoundError, ValueError: see :func:`lib.adopt.read_file.read_source`,
            :func:`lib.adopt.recognise.recognise`, :func:`lib.adopt.infer.infer`,
            :func:`load_strictly` and :mod:`lib.adopt.check`; what the file does not tell and is not
            given.
    """
    source = read_source(path, asked.sha256)
    arch = asked.arch or source.config.get("architecture")  # timm's config.json names it
    if arch is not None and not timm.is_model(str(arch)):
        raise ValueError(
            f"timm has no model {arch!r}; timm.list_models('*{str(arch)[:6]}*') lists names"
        )
    found = recognise(
        source.content, source.config.get("model_type"), asked.entry, by_name=arch is not None
    )
    what = f"{source.name} (layout: {found.layout.name})"
    try:
        renamed, computed = timm_names(found.naming, found.state)
    except (RuntimeError, IndexError, KeyError) as error:
        raise ValueError(f"{what} holds tensors of impossible shapes: {error}") from error
    state = single_precision(renamed, what)
    said, open_questions = [f"layout {found.layout.name} in {found.where}"], []
    config = source.config.get("vision_config", source.config)
    model, architecture, arguments = _build(
        state, computed, found, arch, asked, config, said, open_questions
    )
    mean, std = _normalisation(state, found, source, arch, asked, said, open_questions)
    if open_questions:
        raise ValueError(
            f"{what} does not tell {' nor '.join(open_questions)}; ARCH= with a timm name tells"
            " what timm knows"
        )
    load_strictly(model, state, what)
    said += computed_buffers(model, computed, what)
    mean, std = checked(mean, std, channels_of(model), what)
    method = found.layout.name.removesuffix(" (transformers)")
    size = config.get("image_size")
    side = (
        model.patch_embed.img_size[0]
        if hasattr(model, "patch_embed")
        else size
        if isinstance(size, int)
        else model.default_cfg["input_size"][-1]
    )
    return Adopted(
        model,
        architecture,
        arguments,
        method,
        found.layout.family,
        f"file {source.name}, layout {found.layout.name}",
        "not stated",
        mean,
        std,
        side,
        found.layout.pooling,
        found.state,
        said,
    )


def _build(
    state: State,
    computed: State,
    found: Found,
    arch,
    asked: Asked,
    config: dict,
    said: list,
    questions: list,
):
    """The untrained model: by its name where one is given, otherwise read off the shapes."""
    if arch is not None:
        arguments = dict(num_classes=0)
        if "fc_norm.weight" in state and "norm.weight" not in state:
            arguments["global_pool"] = "avg"
        if asked.heads:
            arguments["num_heads"] = asked.heads
        said.append(f"architecture {arch} as named")
        return build(arch, arguments), arch, arguments
    heads = _heads(state, found, asked, config, said, questions) if is_transformer(state) else None
    if questions:
        return None, "", {}
    solo = found.layout.name == "solo-learn"  # pads by 2, and pools nowhere, on images of 32 px
    activation = config.get("hidden_act")
    if (
        found.layout.model_types
        and activation not in ACTIVATIONS
        and config.get("model_type") != "resnet"
    ):
        raise ValueError(
            f"config.json names an activation {activation!r}; known: {', '.join(ACTIVATIONS)}"
        )
    own = {"CLIP": "quick_gelu", "DINOv2": None}.get(found.layout.name)
    gated = any(name.endswith((".mlp.fc1_g.weight", ".mlp.norm.weight")) for name in state)
    grids = (
        (EVA_02_GRID, round((state["pos_embed"].shape[1] - 1) ** 0.5))
        if "pos_embed" in state
        else (EVA_02_GRID,)
    )
    told = Told(
        heads,
        None if gated else ACTIVATIONS.get(activation, own) if activation != "silu" else None,
        "cifar" if solo else asked.stem,
        2 if solo else 1,
        origin_of(computed, heads, grids) or EVA_02_GRID,
    )
    architecture, arguments = infer(state, told)
    return build(architecture, arguments), architecture, arguments


def _heads(
    state: State, found: Found, asked: Asked, config: dict, said: list, questions: list
) -> int | None:
    """Attention heads: of the tables of relative positions, of config.json, of the published sizes,
    or as given."""
    width = width_of(state)
    known = {
        "by the file's relative positions": relative_heads(state),
        "by config.json": config.get("num_attention_heads"),
        f"of {found.layout.name} with width {width}": found.layout.heads.get(width),
    }
    how, heads = next(((how, heads) for how, heads in known.items() if heads), (None, None))
    if asked.heads is not None:
        if heads and not how.startswith("of ") and heads != asked.heads:
            raise ValueError(f"HEADS={asked.heads}, but there are {heads} {how}")
        how, heads = "as given", asked.heads
    if heads is None:
        questions.append(f"the number of attention heads (HEADS=; the width is {width})")
    elif isinstance(heads, bool) or not isinstance(heads, int):
        raise ValueError(f"config.json names {heads!r} attention heads")
    said.append(f"{heads} heads {how}")
    return heads


def _normalisation(
    state: State, found: Found, source: Source, arch, asked: Asked, said: list, questions: list
):
    """Mean and standard deviation: as given, of the folder's configuration, of the layout, of the
    named model."""
    first = next(
        (
            state[name]
            for name in ("patch_embed.proj.weight", "conv1.weight", "stem.0.weight")
            if name in state
        ),
        None,
    )
    first = next((t for t in state.values() if t.ndim == 4), None) if first is None else first
    channels = first.shape[1] if first is not None and first.ndim == 4 else 3
    processor, own = source.processor, source.config.get("pretrained_cfg", {})
    cifar = found.layout.name == "solo-learn" and first is not None and first.shape[-1] == 3
    if asked.normalisation is not None:
        said.append(f"normalisation {asked.normalisation} as given")
        return statistics(asked.normalisation, channels)
    if processor.get("do_normalize") is False:
        said.append("no normalisation by preprocessor_config.json")
        return statistics("none", channels)
    for values, keys, where in (
        (processor, ("image_mean", "image_std"), "preprocessor_config.json"),
        (own, ("mean", "std"), "config.json"),
    ):
        if all(key in values for key in keys):
            said.append(f"normalisation by {where}")
            return checked(values[keys[0]], values[keys[1]], channels, where)
    if found.layout.normalisation and channels == 3 and not cifar:
        said.append(f"normalisation {found.layout.normalisation} of {found.layout.name}")
        return statistics(found.layout.normalisation, channels)
    timms = timm.get_pretrained_cfg(arch) if arch else None
    if timms is not None and channels == 3:
        said.append(f"normalisation of {arch} by timm")
        return checked(list(timms.mean), list(timms.std), channels, arch)
    questions.append(
        f"how images are normalised (NORMALISATION={'|'.join(NORMALISATIONS)}, or m,m,m/s,s,s)"
    )
    return [], []


def pooling_of(model: nn.Module, family: str) -> str:
    """What makes the representation unless layout or user say otherwise.

    The mean patch token where a norm follows the mean; SigLIP's attention; the mean patch token for
    masked image models and without a class token; the class token; a feature map's average.
    """
    if not hasattr(model, "num_prefix_tokens"):
        return "global_average"
    if getattr(model, "attn_pool", None) is not None:
        return "attention_pool"
    normed = isinstance(getattr(model, "fc_norm", None), nn.LayerNorm)
    return (
        "patch_mean" if normed or family == "MIM" or not model.num_prefix_tokens else "class_token"
    )


def check_words(
    name: str, method: str | None, heads: int | None, input_size: int | None, stem: str | None
) -> None:
    """Refuse what cannot be meant, before anything is read.

    Raises:
        ValueError: a name that is no file name of letters, digits, dots, dashes and underscores; a
            method of several lines; counts out of range.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            "NAME= takes up to 64 letters, digits, dots, dashes and underscores, the first a"
            f" letter or digit, got {name[:80]!r}"
        )
    if method is not None and not (method.strip() and method.isprintable() and len(method) <= 80):
        raise ValueError(
            f"METHOD= takes a name of up to 80 printable characters, got {method[:80]!r}"
        )
    if heads is not None and heads < 1:
        raise ValueError(f"HEADS= takes a positive number, got {heads}")
    if stem is not None and stem not in STEMS:
        raise ValueError(f"STEM= takes {' or '.join(STEMS)}, got {stem!r}")
    if input_size is not None and not 1 <= input_size <= LARGEST_SIDE:
        raise ValueError(f"INPUT_SIZE= takes pixels from 1 to {LARGEST_SIDE}, got {input_size}")


def adopt(
    source: str, name: str, arch: str | None = None, heads: int | None = None,
    family: str | None = None, pooling: str | None = None, method: str | None = None,
    input_size: int | None = None, sha256: str | None = None, normalisation: str | None = None,
    stem: str | None = None, entry: str | None = None, root: Path | None = None,
    say=lambda line: None,
) -> Card:  # fmt: skip
    """Write the card and the safetensors file of somebody else's encoder, as ``custom/NAME``.

    Args:
        source: ``timm:NAME``, ``hf-hub:OWNER/NAME@REVISION``, or the path of a file or folder.
        name: of the new encoder.
        arch, heads, normalisation, stem, entry, sha256: see :class:`Asked`.
        family: ``"CL"``, ``"MIM"`` or ``"other"``; the layout's where None.
        pooling: the layout's, or :func:`pooling_of`, where None.
        method: the layout's or timm's name where None.
        input_size: side that images are resized to before they enter; that of the training where
            None.
        root: of the cards; this repository's where None.
        say: is told, in one line, what was assumed.

    Returns:
        the card.

    Raises:
        ValueError, FileNotFoundError: anything wrong with the source, a name that is taken, a
            question that only the user can answer. Nothing is written then.
    """
    check_words(name, method, heads, input_size, stem)
    path = (root or CHECKPOINTS) / "custom" / f"{name}.safetensors"
    if path.exists() or path.with_suffix(".yaml").exists():
        raise ValueError(
            f"custom/{name} exists; choose another NAME, or delete {path.name} and"
            f" {path.with_suffix('.yaml').name}"
        )
    hub = source.startswith(HUBS)
    asked = Asked(arch, heads, normalisation, stem, entry, sha256)
    given = [f"{key.upper()}=" for key, value in vars(asked).items() if value is not None]
    if hub and given:
        raise ValueError(
            f"{' and '.join(given)} goes with a file; what {source} names is known to the hub"
        )
    found = from_hub(source) if hub else from_path(Path(source), asked)
    family = family or found.family or ("other" if hub else None)
    if family is None:
        raise ValueError(
            f"{Path(source).name} (layout: {found.method}) does not tell its family: give"
            " FAMILY=CL, FAMILY=MIM or FAMILY=other"
        )
    pooled = pooling or _layouts_pooling(found) or pooling_of(found.model, family)
    prefix, patch = token_layout(found.model)
    side = input_size or found.side
    if patch and side % patch:
        raise ValueError(f"INPUT_SIZE={side} is no multiple of the patches of {patch} px")
    if side != found.side:
        found = resizable(found, side)
    facts = dict(
        method=method or found.method, family=family, architecture=found.architecture,
        arguments=found.arguments, patch_size=patch, prefix_tokens=prefix, mean=found.mean,
        std=found.std, pooling=pooled, images_seen=None, seconds=None,
        command=f"make adopt SOURCE={source if hub else Path(source).name} NAME={name}",
        commit="", data="see the source", seed=None, licence=found.licence, source=found.source,
        input_size=side,
    )  # fmt: skip
    Card(**facts, sha256="")  # refuses a wrong family or pooling before anything is written
    model = placed(found.model)
    encoder = Encoder(model, found.mean, found.std, pooled, f"custom/{name}", family, side)
    what = Path(source).name if not hub else source
    positions = getattr(found.model, "pos_embed", None)
    if positions is not None and side != found.side:
        found.said.append(f"positions of {found.side} px resized to {side} px by timm's rule")
    said = [
        *found.said,
        f"family {family}",
        f"pooling {pooled}",
        *try_out(encoder, found.state, what),
    ]
    content = save(
        {f"encoder.{key}": tensor.contiguous() for key, tensor in found.model.state_dict().items()}
    )
    card = Card(**facts, sha256=hashlib.sha256(content).hexdigest())
    write_both(path, content, card)
    say("; ".join(said))
    return card


def resizable(found: Adopted, side: int) -> Adopted:
    """The same network for images of ``side`` px: one of another fixed size now interpolates its
    positions to that of each image, where timm can; others are left as they are."""
    fixed = not getattr(found.model, "dynamic_img_size", True)
    if not fixed or found.model.patch_embed.img_size == (side, side):
        return found
    arguments = found.arguments | {"dynamic_img_size": True}
    model = build(found.architecture, arguments)
    model.load_state_dict(found.model.state_dict())
    return replace(found, model=model.eval(), arguments=arguments)


def _layouts_pooling(found: Adopted) -> str | None:
    """The layout's pooling, where the network does not norm its mean patch token: that is a fine-
    tuned one."""
    tokens = hasattr(found.model, "num_prefix_tokens")
    normed = isinstance(getattr(found.model, "fc_norm", None), nn.LayerNorm)
    return found.pooling if tokens and not normed else None


@torch.no_grad()
def try_out(encoder: Encoder, state: State, what: str) -> list[str]:
    """One image goes through an encoder before it is written.

    Args:
        encoder: adopted.
        state: the encoder's tensors of the file, its classifier among them.
        what: of the file, for messages.

    Returns:
        what was compared, for the user.

    Raises:
        ValueError: no representation, or one that is not finite; a classifier that does not fit.
    """
    channels, side = encoder.mean.shape[1], encoder.input_size
    ramp = torch.linspace(0, 1, side)
    image = (ramp[:, None] * ramp).expand(1, channels, side, side)
    try:
        representation = encoder(image)
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        raise ValueError(
            f"{what}: the network cannot take an image of {side} px:"
            f" {' '.join(str(error).split())[:300]}"
        ) from error
    if representation.ndim != 2 or not torch.isfinite(representation).all():
        raise ValueError(f"{what}: the network yields values that are not finite for an image")
    return classifier_fits(representation, state, what, encoder.pooling)


def write_both(path: Path, content: bytes, card: Card) -> None:
    """Write weights and card under temporary names, then both at their place.

    Raises:
        ValueError: the folder cannot be written to.
    """
    weights, text = path.with_name(f".{path.name}.part"), path.with_name(f".{path.stem}.yaml.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(content)
        write_card(card, text)
        os.replace(weights, path)
        os.replace(text, path.with_suffix(".yaml"))
    except OSError as error:
        for part in (weights, text):
            with suppress(OSError):
                part.unlink()
        raise ValueError(f"{path.parent} cannot be written to: {error.strerror}") from error
