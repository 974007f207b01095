"""What a notebook asks of its encoders: one word in the notebook's metadata, checked on the encoders' cards before anything runs."""

from collections.abc import Callable
from pathlib import Path

from lib.attribution.mask_and_attack import PAPER_ATTACKS
from lib.encoders.card import Card, read_card
from lib.study.errors import unknown
from lib.study.layout import ROOT, read_notebook

NEEDS: dict[str, tuple[Callable[[Card], bool], str]] = {
    "attention": (lambda card: card.patch_size is not None and "swin" not in card.architecture, "Vision Transformers, which have attention maps"),
    "decoder": (lambda card: card.method in ("SimMIM", "MAE") and bool(card.extras), "masked image models whose file holds their decoder"),
    "weight": (lambda card: "WEIGHT=" in card.command, "hybrids trained here with different WEIGHT"),
    "settings": (lambda card: card.method in PAPER_ATTACKS, f"one of the methods of Table 1 ({', '.join(PAPER_ATTACKS)})"),
}


def need_of(notebook: Path) -> str | None:
    """The notebook's need, from its metadata ``{"study": {"needs": …}}``; None where any encoder will do.

    Raises:
        StudyError: a need that is not in ``NEEDS``.
    """
    need = read_notebook(notebook).metadata.get("study", {}).get("needs")
    if need is not None and need not in NEEDS:
        raise unknown("need", need, NEEDS, f"notebook {notebook.stem}")
    return need


def unfit(notebook: Path, encoders: list[str], root: Path = ROOT) -> dict[str, str]:
    """The encoders that a notebook cannot use, each with the reason; their cards must be there."""
    need = need_of(notebook)
    if need is None:
        return {}
    fits, wanted = NEEDS[need]
    cards = {name: read_card(root / "data" / "checkpoints" / f"{name}.yaml") for name in encoders}
    return {name: f"it needs {wanted}; {name} is {card.method}, {card.architecture}" for name, card in cards.items() if not fits(card)}
