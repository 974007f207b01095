"""The terms of the field, from one file: a page of the book, explanations under the pointer, and a
list at the end of a notebook."""

import json
import re
from pathlib import Path

import yaml

from lib.paths import ROOT


def read_glossary(root: Path = ROOT) -> dict[str, str]:
    """Term -> what it means, in alphabetical order, from ``book/glossary.yaml``."""
    terms = yaml.safe_load((root / "book" / "glossary.yaml").read_text(encoding="utf-8"))
    return dict(sorted(terms.items(), key=lambda item: item[0].lower()))


def pattern(term: str) -> str:
    """What a term looks like in a text: whole words, also in the plural.

    >>> bool(re.search(pattern("query"), "two queries", re.I)), bool(re.search(pattern("key"), "monkeys", re.I))
    (True, False)
    """
    stem = re.escape(term).replace(r"\ ", r"[\s-]+")
    plural = rf"(?:{stem}s?|{re.escape(term[:-1])}ies)" if term.endswith("y") else rf"{stem}s?"
    return rf"\b{plural}\b"


def words_of(text: str, glossary: dict[str, str]) -> dict[str, str]:
    """The terms of the glossary that a text uses."""
    return {t: m for t, m in glossary.items() if re.search(pattern(t), text, re.IGNORECASE)}


def page(glossary: dict[str, str]) -> str:
    """The page *Glossary*."""
    entries = "\n\n".join(f"{term}\n  {meaning}" for term, meaning in glossary.items())
    return (
        "# Glossary\n\nEvery term below is explained under the pointer, or at a touch, where a page"
        f" first uses it.\n\n:::{{glossary}}\n{entries}\n:::\n"
    )


def script(glossary: dict[str, str]) -> str:
    """The terms for the pages' script: what to look for, and what to show."""
    terms = [[term, pattern(term), meaning] for term, meaning in glossary.items()]
    return f"const GLOSSARY = {json.dumps(terms, ensure_ascii=False)};\n"
