"""The rules of the study for people: every claim in plain words, what stands for it, and when it
counts as reproduced."""

from html import escape

from lib.report.verdicts import PAPERS

UNTRAINED = {
    "holds": "It must hold for random weights too: the claim is about any network.",
    None: "Random weights are not asked: it compares methods of attribution on trained encoders.",
}


def threshold_text(claim: dict) -> str:
    """When the effect counts.

    >>> threshold_text({"threshold": 0.0}), threshold_text({"threshold": -0.05})
    ('more than 0', 'more than −0.05')
    """
    return f"more than {claim['threshold']:g}".replace("-", "−")


def rule(claim: dict) -> str:
    """One claim as a line that opens."""
    untrained = claim.get("untrained")
    null = UNTRAINED.get(
        untrained, f"The effect must exceed the one with random weights in place of {untrained}."
    )
    facts = {
        "What stands for it": claim["statistic"],
        "It holds where that is": threshold_text(claim),
        "Compared": claim.get("compares", "see the page"),
        "Random weights": null,
        "The paper reported": claim.get("reported", "—"),
    }
    if claim.get("needs"):
        facts["Asked of the encoders"] = (
            f"those in the place of {claim['needs']} must read better than raw pixels and random"
            " weights"
        )
    if claim.get("amended"):
        facts["Amended"] = (
            claim["amended"]
            if isinstance(claim["amended"], str)
            else "since the first results; the old rule is kept"
        )
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>" for name, text in facts.items()
    )
    page = claim.get("page")
    link = f'<p><a href="{page}.html">The page that measures it</a></p>' if page else ""
    return (
        '<details class="rule"'
        f' id="rule-{escape(claim["id"])}"><summary>{escape(claim["statement"])}'
        f" <small>({escape(claim['figure'])})</small></summary><dl>{rows}</dl>{link}</details>"
    )


def rules(claims: dict[str, dict], pages: set[str] | None = None) -> str:
    """All claims by paper, as Markdown with HTML.

    Args:
        claims: id -> claim, as from ``claims.load_claims``.
        pages: of the book; links to others are left out. None: all are there.
    """
    parts = []
    for paper, title in PAPERS.items():
        chosen = [c for c in claims.values() if c["paper"] == paper]
        known = [
            (
                c
                if pages is None or c.get("page") in pages
                else {k: v for k, v in c.items() if k != "page"}
            )
            for c in chosen
        ]
        parts += [
            f"### {title}\n",
            f"{len(chosen)} claims. Open one to see its rule.\n",
            "".join(map(rule, known)) + "\n",
        ]
    return "\n".join(parts)
