"""A model with its weights: of timm's hub, of Hugging Face's, of a file or a folder in a known
layout. What neither the file nor its layout tells is asked for."""

from dataclasses import dataclass, field
from pathlib import Path

import timm
from timm.models import load_model_config_from_hf
from torch import nn

from lib.adopt.check import computed_buffers, origin_of, single_precision
from lib.adopt.infer import EVA_02_GRID, Told, infer, is_transformer, relative_heads, width_of
from lib.adopt.names import State, timm_names
from lib.adopt.normalisation import NORMALISATIONS, checked, statistics
from lib.adopt.read_file import Source, read_source
from lib.adopt.recognise import Found, recognise
from lib.encoders.architecture import build
from lib.encoders.load import channels_of

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
        pooling: the layout's; None: see :func:`lib.adopt.adopt.pooling_of`.
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
