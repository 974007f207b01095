"""The layouts as a table of the book: ``python -m lib.adopt.table`` writes it into the chapter."""

from pathlib import Path

from lib.adopt.layouts import LAYOUTS, Layout

CHAPTER = Path(__file__).resolve().parents[2] / "book" / "rerun.md"
START, END = "<!-- layouts: begin -->\n", "<!-- layouts: end -->\n"


def place(layout: Layout) -> str:
    """Where a layout's tensors are, in words."""
    if layout.model_types:
        return f"folder with `config.json`: {', '.join(f'`{kind}`' for kind in layout.model_types)}"
    inside = " or ".join(f"`{name}`" for name in layout.containers)
    prefix = " or ".join(f"`{name}*`" for name in layout.prefix if name) or "plain names"
    return f"{inside}: {prefix}" if inside else prefix


def layout_table() -> str:
    """One row a layout, in Markdown."""
    rows = [
        "| files of | where the encoder is | family | heads | images | source |",
        "|---|---|---|---|---|---|",
    ]
    for layout in LAYOUTS:
        told = bool(layout.model_types)
        heads = ", ".join(f"{width}: {count}" for width, count in layout.heads.items())
        cells = (
            layout.name,
            place(layout),
            layout.family or "asked for",
            "`config.json`" if told else heads or "asked for, where shapes do not tell",
            "`preprocessor_config.json`" if told else layout.normalisation or "asked for",
            layout.source,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def with_table(chapter: str) -> str:
    """A chapter with the table as it is now between its two marks."""
    before, rest = chapter.split(START)
    return before + START + layout_table() + END + rest.split(END)[1]


if __name__ == "__main__":
    CHAPTER.write_text(with_table(CHAPTER.read_text()))
