"""What a notebook asks of its encoders and images: words in the notebook's metadata, checked on
cards and names before anything runs."""

from collections.abc import Callable
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from timm.models import is_model, is_model_in_modules

from lib.attribution.mask_and_attack import PAPER_ATTACKS
from lib.data.dataset import has_masks, is_folder, side_of
from lib.encoders.card import Card, read_card
from lib.encoders.encoder import PLAIN
from lib.paths import ROOT
from lib.run.errors import unknown
from lib.run.layout import read_notebook

# timm's modules of models whose stages and hidden units we know
TAKEN_APART = (*PLAIN, "resnet", "convnext", "swin_transformer", "swin_transformer_v2")


def is_of(card: Card, modules: tuple[str, ...]) -> bool:
    """Whether the architecture is of one of timm's modules; one that timm does not list is trusted
    to be."""
    name = card.architecture.rpartition("/")[2]  # of hf-hub:OWNER/NAME
    return not is_model(name) or is_model_in_modules(name, modules)


def has_attention(card: Card) -> bool:
    """Whether there are attention maps over all patches, by the card."""
    return card.patch_size is not None and card.pooling != "global_average" and is_of(card, PLAIN)


NEEDS: dict[str, tuple[Callable[[Card], bool], str]] = {
    "attention": (has_attention, "Vision Transformers, which have attention maps"),
    "stages": (
        lambda card: is_of(card, TAKEN_APART),
        (
            "timm's ViT, DeiT, BEiT, EVA, Swin, ResNet or ConvNeXt, whose stages and hidden units"
            " it changes"
        ),
    ),
    "decoder": (
        lambda card: card.method in ("SimMIM", "MAE") and bool(card.extras),
        "masked image models whose file holds their decoder",
    ),
    "weight": (
        lambda card: "WEIGHT=" in card.command,
        "hybrids trained here with different WEIGHT",
    ),
    "settings": (
        lambda card: card.method in PAPER_ATTACKS,
        f"one of the methods of Table 1 ({', '.join(PAPER_ATTACKS)})",
    ),
}
MASKS, CELL_TAG = "masks", "needs-masks"  # asked of the images by a notebook, by a cell
# asked of the encoders together: what of the card, values that must be there, why not
TOGETHER: dict[str, tuple[str, set[str], str]] = {
    "pair": (
        "family",
        {"CL", "MIM"},
        (
            "it compares contrastive encoders with masked image models, and the encoders are not of"
            " both families"
        ),
    ),
    "decoders": (
        "method",
        {"SimMIM", "MAE"},
        "it compares SimMIM with MAE, and the encoders with a decoder are not of both methods",
    ),
}
MOST_PATCHES = 32  # along a side: attention over more takes gigabytes an image


def needs_of(notebook: Path) -> list[str]:
    """The notebook's needs, from its metadata ``{"study": {"needs": "attention masks"}}``; none
    where anything will do.

    Raises:
        StudyError: a need that is neither ``masks`` nor in ``NEEDS`` or ``TOGETHER``.
    """
    needs = read_notebook(notebook).metadata.get("study", {}).get("needs", "").split()
    for need in needs:
        if need not in (*NEEDS, *TOGETHER, MASKS):
            raise unknown("need", need, (*NEEDS, *TOGETHER, MASKS), f"notebook {notebook.stem}")
    return needs


def unfit(
    notebook: Path,
    encoders: list[str],
    root: Path = ROOT,
    dataset: str = "fashion",
    planned: dict[str, Card] | None = None,
) -> dict[str, str]:
    """The encoders that a notebook cannot use on a data set, each with the reason; their cards must
    be there, or among the planned ones."""
    needs, reasons = [need for need in needs_of(notebook) if need != MASKS], {}
    if not needs and not is_folder(dataset):
        return {}
    cards = {
        name: (planned or {}).get(name) or read_card(root / "data" / "checkpoints" / f"{name}.yaml")
        for name in encoders
    }
    for name, card in cards.items():
        for need in (need for need in needs if need not in TOGETHER):
            fits, wanted = NEEDS[need]
            if not fits(card):
                reasons[name] = f"it needs {wanted}; {name} is {card.method}, {card.architecture}"
        across = (
            side_of(dataset) // card.patch_size if card.patch_size and not card.input_size else 0
        )
        trained = card.arguments.get("img_size", side_of(dataset))
        if "decoder" in needs and not card.input_size and trained != side_of(dataset):
            reasons[name] = f"the decoder of {name} is one of images of {trained} px"
        if across > MOST_PATCHES:
            reasons[name] = (
                f"{name} would cut images of {side_of(dataset)} px into {across} × {across}"
                " patches; its card names no input_size to resize them to"
            )
    for attribute, wanted, why in (TOGETHER[need] for need in needs if need in TOGETHER):
        if (
            not {getattr(card, attribute) for name, card in cards.items() if name not in reasons}
            >= wanted
        ):
            return dict.fromkeys(encoders, why)
    return reasons


def lacking(notebook: Path, dataset: str) -> str | None:
    """Why a notebook cannot be computed on a data set; None if it can."""
    return (
        f"it needs object masks, which {dataset or 'a folder of images'} does not have"
        if MASKS in needs_of(notebook) and not has_masks(dataset)
        else None
    )


def without_masks(notebook: NotebookNode, dataset: str) -> NotebookNode:
    """The notebook with a line of text in place of each cell tagged ``needs-masks``, where the data
    set has no object masks."""
    for number, cell in enumerate(notebook.cells if not has_masks(dataset) else []):
        if CELL_TAG in cell.metadata.get("tags", []):
            note = (
                ""
                if cell.cell_type == "markdown"
                else (
                    f"*Left out: this needs object masks, which `{Path(dataset).name}` does not"
                    " have.*"
                )
            )
            notebook.cells[number] = new_markdown_cell(note, id=cell.id)
    return notebook
