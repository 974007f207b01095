"""Which layout a file has, and where in it the encoder's tensors are.

Tensors outside a layout's named list of heads, projectors and decoders are never dropped in
silence.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.adopt.layouts import LAYOUTS, Layout
from lib.adopt.names import ANY, CLASSIFIERS, Naming, State, naming_of
from lib.encoders.architecture import sincos_positions

WRAPPERS = ("module.", "model.")  # of DataParallel, of Lightning, where every name has it
INSIDE = re.compile(r"(^|(?<=\.))(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
NOT_WEIGHTS = re.compile(
    r"^(optim|opt$|lr_sched|amp$|\w*scaler$|loops$|callbacks$|rng|args$|config$)"
)


@dataclass(frozen=True)
class Found:
    """What was recognised.

    Attributes:
        layout: the row.
        naming: how the encoder's tensors are named.
        state: the encoder's tensors, prefix taken off, classifiers still there.
        where: the entry of the file and the prefix, for messages.
    """

    layout: Layout
    naming: Naming
    state: State
    where: str


def containers(content: dict, path: str = "", depth: int = 4) -> Iterator[tuple[str, State]]:
    """Every mapping of names to tensors inside a file, with the names of the entries that lead to
    it."""
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        yield path, cleaned(tensors)
    for name, value in content.items():
        if (
            isinstance(value, dict)
            and isinstance(name, str)
            and depth
            and not NOT_WEIGHTS.match(name)
        ):
            yield from containers(value, f"{path}/{name}".lstrip("/"), depth - 1)


def cleaned(tensors: State) -> State:
    """Names without what wrappers put before them: DataParallel, Lightning, torch.compile, FSDP.

    Raises:
        ValueError: two tensors of one name.
    """
    result = {INSIDE.sub("", name): tensor for name, tensor in tensors.items()}
    while wrapper := next(
        (w for w in WRAPPERS if all(name.startswith(w) for name in result)), None
    ):
        result = {name.removeprefix(wrapper): tensor for name, tensor in result.items()}
    if len(result) < len(tensors):
        raise ValueError("two of the file's tensors have one name once wrappers are taken off")
    return result


def shape_fits(mark: str, tensor: Tensor) -> bool:
    """Whether a tensor is what the words after a mark's pattern say of it.

    Raises:
        ValueError: unknown words.
    """
    if mark == "square":  # data2vec regresses features of the encoder's width
        return tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1]
    if mark == "flat":  # DINOv2's (1, width), where others have (1, 1, width)
        return tensor.ndim == 2
    if mark == "of ImageNet":
        return tensor.ndim == 2 and tensor.shape[0] == 1000
    side = round((tensor.shape[1] - (mark == "sine-cosine")) ** 0.5) if tensor.ndim == 3 else 0
    if mark == "square grid":  # no position for the class token
        return side > 1 and side**2 == tensor.shape[1]
    if mark == "sine-cosine":
        if side < 2 or side**2 + 1 != tensor.shape[1] or tensor.shape[2] % 4:
            return False
        fixed = sincos_positions((side, side), tensor.shape[2])
        return not tensor[0, 0].any() and torch.allclose(tensor[0, 1:].float(), fixed, atol=1e-3)
    raise ValueError(f"no test {mark!r} of a tensor")


def marked(mark: str, tensors: State) -> bool:
    """Whether a tensor has a name, and the shape, that a mark tells."""
    pattern, _, words = mark.partition("$ ")
    pattern += "$" if words else ""
    return any(
        re.search(pattern, name) and (not words or shape_fits(words, tensor))
        for name, tensor in tensors.items()
    )


def fits(
    layout: Layout, path: str, tensors: State, keys: list[str], model_type: str | None
) -> str | None:
    """The prefix under which a container holds an encoder in a layout; None where it does not.

    Args:
        layout: a row.
        path, tensors: of the container.
        keys: entries at the top of the file.
        model_type: of ``config.json``, where there is one.
    """
    if (
        bool(layout.model_types) != bool(model_type)
        or model_type
        and model_type not in layout.model_types
    ):
        return None
    if layout.containers and path.rpartition("/")[2] not in layout.containers:
        return None
    if not all(any(re.search(key, name) for name in keys) for key in layout.keys):
        return None
    if not all(marked(mark, tensors) for mark in layout.marks) or any(
        marked(mark, tensors) for mark in layout.absent
    ):
        return None
    for prefix in layout.prefix:
        inside = [name.removeprefix(prefix) for name in tensors if name.startswith(prefix)]
        if inside and naming_of(inside):
            return prefix
    return None


def recognise(
    content: dict, model_type: str | None = None, entry: str | None = None, by_name: bool = False
) -> Found:
    """The layout of a loaded file, and the encoder's tensors, prefix taken off.

    Args:
        content: what the file holds.
        model_type: of ``config.json``, where there is one.
        entry: of the file, where several hold an encoder: ``ENTRY=``.
        by_name: an architecture is named, so that plain tensors of any name are taken.

    Raises:
        ValueError: no known layout, with the file's first names; several entries hold an encoder;
            an entry that is not there; tensors that are neither the encoder's nor in a named list.
    """
    keys = [str(key) for key in content]
    found = dict(containers(content))
    if entry is not None:
        if entry not in found:
            raise ValueError(
                f"the file has no entry {entry!r} with tensors; it has {', '.join(found) or 'none'}"
            )
        found = {entry: found[entry]}
    for layout in LAYOUTS:
        fitting = {
            path: prefix
            for path, tensors in found.items()
            if (prefix := fits(layout, path, tensors, keys, model_type)) is not None
        }
        if layout.containers:
            ranked = sorted(
                fitting, key=lambda path: layout.containers.index(path.rpartition("/")[2])
            )
            fitting = {path: fitting[path] for path in ranked[:1]}
        if len(fitting) > 1:
            raise ValueError(
                f"the file holds several encoders, in {' and '.join(map(repr, fitting))}: name one"
                " with ENTRY="
            )
        for path, prefix in fitting.items():
            state = encoder_tensors(layout, prefix, found[path])
            return Found(
                layout,
                naming_of(list(state)),
                state,
                f"{path or 'the file'}: {prefix or 'plain names'}",
            )
    if by_name and len(found) == 1:
        ((path, tensors),) = found.items()
        return Found(LAYOUTS[-1], ANY, tensors, path or "the file")
    shown = [
        f"{path}: {name}" if path else name
        for path, tensors in found.items()
        for name in list(tensors)[:3]
    ] or keys
    known = ", ".join(
        dict.fromkeys(la.name for la in LAYOUTS if bool(la.model_types) == bool(model_type))
    )
    kind = f" of model_type {model_type!r}" if model_type else ""
    raise ValueError(
        f"no layout known here fits a file{kind} that holds {', '.join(shown[:8]) or 'nothing'}, …;"
        f" known: {known}; where timm has the architecture, name it with ARCH="
    )


def encoder_tensors(layout: Layout, prefix: str, tensors: State) -> State:
    """The encoder's tensors, by names without its prefix.

    Raises:
        ValueError: tensors that are neither the encoder's nor in a named list.
    """
    kept, unknown = {}, []
    for name, tensor in tensors.items():
        drops = max((len(d) for d in layout.dropped if name.startswith(d)), default=-1)
        if (
            name.startswith(prefix) and len(prefix) > drops
        ):  # `online_network.encoder.` says more than `online_network.`
            kept[name.removeprefix(prefix)] = tensor
        elif layout.model_types and name.startswith("layernorm.") and prefix + name not in tensors:
            # BEiT's last norm lies outside `beit` in a file for masked training
            kept[name] = tensor
        elif drops < 0 and not (layout.model_types and name.startswith(CLASSIFIERS)):
            unknown.append(name)
    if unknown:
        raise ValueError(
            f"a {layout.name} file with tensors that are neither the encoder's nor a known head:"
            f" {', '.join(unknown[:8])}"
        )
    return kept
