"""Verdicts in four parts, from measured effects and the rules of ``book/claims.yaml``; independent of data set and page.

A page hands over a statistic of each encoder, resampled over images; :func:`measured_cases` makes a **case** of every encoder, or pair, that a claim
speaks of; :func:`judge` turns cases into verdicts. Two tables are written to ``data/results/PROFILE``, and everything the book says about claims is
computed from them:

``NAME.cases.csv`` — one row a line of the forest plot, columns ``CASES``:

- ``claim``, ``dataset``: id in ``book/claims.yaml``; whose images.
- ``kind``: ``"trained"`` (an encoder or pair), ``"untrained"`` (the same effect with random weights in one place), ``"learned"`` (trained minus
  untrained, paired over images: the smallest over the random networks), ``"seeds"`` (trainings of one length from at least three seeds, resampled over
  seeds and images together).
- ``encoders``: names, in the order of the rule's ``compares``, joined by ", "; for ``"seeds"`` what the trainings share.
- ``place``: whose place random weights took (a word of ``compares``); empty for the other kinds.
- ``effect``, ``low``, ``high``: with its 95 % interval, oriented so that the claim says: effect > threshold. ``n``: images behind it.
- ``qualified``: False where the claim needs a better encoder than this one; such a row is shown, and plays no part in a verdict.

``NAME.verdicts.csv`` — five rows a claim, columns ``VERDICT_COLUMNS``: ``claim``, ``dataset``, ``part`` (``"effect"``, ``"null"``, ``"pairs"``,
``"seeds"``, and ``"verdict"``), ``word`` (an ``ANSWERS`` word for a part, a ``VERDICTS`` word for the verdict), ``effect``, ``low``, ``high``, ``n`` of
the part (of the first qualified case for ``"effect"`` and ``"verdict"``; of the least trained − untrained for ``"null"``; of the case nearest to
turning over for ``"pairs"`` and ``"seeds"``; empty where nothing was tested), and ``cases``, how many cases the part rests on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd

PARTS = ("effect", "null", "pairs", "seeds")
ANSWERS = ("yes", "mixed", "unclear", "no", "not testable here", "not asked")
VERDICTS = (
    "reproduced", "holds, but not by learning", "depends on the pair or the seed", "not reproduced", "undecided",
    "not testable here",
)  # fmt: skip
KINDS = ("trained", "untrained", "learned", "seeds")
CASES = ["claim", "dataset", "kind", "encoders", "place", "effect", "low", "high", "n", "qualified"]
VERDICT_COLUMNS = ["claim", "dataset", "part", "word", "effect", "low", "high", "n", "cases"]
UNTESTED = "not testable here"
LEAST_SEEDS = 3
LEVEL = 0.95


@dataclass(frozen=True)
class Compared:
    """Who is compared on a page.

    Attributes:
        roles: encoder -> the words of a rule's ``compares`` that fit it, such as ``{"CL", "MoCo v3", "encoder"}``; in the order of the page.
        untrained: encoder -> names of random networks of its architecture.
        trainings: encoder -> what all its seeds share (method, size, length); encoders without one are left out.
        qualified: encoder -> whether a linear probe reads more from it than from raw pixels and random weights; empty if no claim of the page asks.
        dataset: whose images.
    """

    roles: Mapping[str, set[str]]
    untrained: Mapping[str, Sequence[str]]
    trainings: Mapping[str, str] = field(default_factory=dict)
    qualified: Mapping[str, bool] = field(default_factory=dict)
    dataset: str = "fashion"

    def of(self, role: str) -> list[str]:
        """Encoders of a role."""
        return [name for name, roles in self.roles.items() if role in roles]


def places(rule: Mapping) -> list[str]:
    """The words of ``compares``: two roles for a difference, one for a claim about single encoders.

    >>> places({"compares": "MIM − CL"}), places({"compares": "encoder"})
    (['MIM', 'CL'], ['encoder'])
    """
    return rule["compares"].split(" − ")


def _difference(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] - parts[1] if len(parts) == 2 else parts[0]


def _interval(resampled: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(resampled[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(resampled[0]), float(low), float(high)


def over_seeds(groups: Sequence[Sequence[np.ndarray]], seed: int = 0) -> np.ndarray:
    """An effect over seeds and images together: every resample of the images also draws seeds, with replacement (hierarchical bootstrap).

    Args:
        groups: one or two groups of encoders, each the resampled statistics ``(1 + resamples,)`` of its seeds.
        seed: of the draws of seeds.

    Returns:
        ``(1 + resamples,)``: the mean over seeds (first group minus second), then its resamples.
    """
    random, means = np.random.default_rng(seed), []
    for group in groups:
        values = np.stack(group)
        chosen = random.integers(len(values), size=(len(values), values.shape[1]))
        chosen[:, 0] = np.arange(len(values))
        means.append(np.take_along_axis(values, chosen, 0).mean(0))
    return _difference(means)


def _by_training(compared: Compared, role: str) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in compared.of(role):
        if name in compared.trainings:
            groups.setdefault(compared.trainings[name], []).append(name)
    return {training: names for training, names in groups.items() if len(names) >= LEAST_SEEDS}


def measured_cases(
    claim: str, rule: Mapping, statistic: Mapping[str, np.ndarray], compared: Compared, n: int
) -> pd.DataFrame:
    """Every case of a claim: encoders or pairs, the same with random weights in each place, their paired differences, and seeds.

    Args:
        claim: id of the rule.
        rule: of ``book/claims.yaml``; ``compares`` says what the effect is a difference of.
        statistic: encoder or random network -> ``(1 + resamples,)``, the value over all images and then over resamples that all encoders share, as
            ``lib.report.intervals.resampled_mean`` returns. An encoder that is not there was not measured, and makes no case.
        compared: who is.
        n: images behind each value.

    Returns:
        columns ``CASES``.

    Raises:
        ValueError: statistics of different numbers of resamples.
    """
    lengths = {np.shape(values) for values in statistic.values()}
    if len(lengths) > 1:
        raise ValueError(
            f"{claim}: expected statistics of one shape (1 + resamples,), got {sorted(lengths)}"
        )
    roles, rows = places(rule), []
    needed = rule.get("needs", "").split()

    def add(
        kind: str, encoders: Sequence[str], place: str, resampled: np.ndarray, qualified: bool
    ) -> None:
        row = (
            claim,
            compared.dataset,
            kind,
            ", ".join(encoders),
            place,
            *_interval(resampled),
            n,
            qualified,
        )
        rows.append(row)

    members = [[name for name in compared.of(role) if name in statistic] for role in roles]
    for names in product(*members):
        qualified = all(
            compared.qualified.get(name, False)
            for role, name in zip(roles, names, strict=True)
            if role in needed
        )
        trained = _difference([statistic[name] for name in names])
        add("trained", names, "", trained, qualified)
        for position, place in enumerate(roles):
            exchanged = []
            for null in (
                name for name in compared.untrained.get(names[position], ()) if name in statistic
            ):
                mixed = [*names[:position], null, *names[position + 1 :]]
                exchanged.append(_difference([statistic[name] for name in mixed]))
                add("untrained", mixed, place, exchanged[-1], qualified)
            if exchanged:
                learned = [trained - untrained for untrained in exchanged]
                add(
                    "learned",
                    names,
                    place,
                    min(learned, key=lambda values: _interval(values)[1]),
                    qualified,
                )
    groups = [_by_training(compared, role) for role in roles]
    for trainings in product(*groups):
        seeds = [
            [name for name in group[t] if name in statistic]
            for group, t in zip(groups, trainings, strict=True)
        ]
        if all(len(names) >= LEAST_SEEDS for names in seeds):
            qualified = all(
                compared.qualified.get(name, False)
                for role, names in zip(roles, seeds, strict=True) if role in needed
                for name in names
            )  # fmt: skip
            add(
                "seeds",
                trainings,
                "",
                over_seeds([[statistic[name] for name in names] for names in seeds]),
                qualified,
            )
    return pd.DataFrame(rows, columns=CASES)


def answer(low: float, high: float, threshold: float) -> str:
    """Does the whole interval lie above the threshold?

    >>> answer(0.1, 0.2, 0.05), answer(-0.2, 0.01, 0.05), answer(0.0, 0.1, 0.05)
    ('yes', 'no', 'unclear')
    """
    if low > threshold:
        return "yes"
    return "no" if high < threshold else "unclear"


def together(answers: Iterable[str]) -> str:
    """One word for the answers of several cases.

    >>> together(["yes", "yes"]), together(["yes", "unclear"]), together(["yes", "unclear", "no"]), together([])
    ('yes', 'unclear', 'mixed', 'not testable here')
    """
    found = set(answers)
    if {"yes", "no"} <= found or "mixed" in found:
        return "mixed"
    return found.pop() if len(found) == 1 else "unclear" if found else UNTESTED


def verdict(parts: Mapping[str, str]) -> str:
    """The verdict that follows from the words of the four parts.

    >>> verdict({"effect": "yes", "null": "no", "pairs": "yes", "seeds": "not testable here"})
    'holds, but not by learning'
    """
    if parts["effect"] == UNTESTED:
        return UNTESTED
    found = together({parts[part] for part in ("effect", "pairs", "seeds")} - {UNTESTED})
    if found == "yes" and parts["null"] == "mixed":
        found = "mixed"
    if found == "yes":
        return "holds, but not by learning" if parts["null"] in ("no", "unclear") else "reproduced"
    return {
        "mixed": "depends on the pair or the seed",
        "no": "not reproduced",
        "unclear": "undecided",
    }[found]


def _nearest(rows: pd.DataFrame, threshold: float) -> pd.Series | None:
    """The case whose effect is nearest to turning the answer over: the lowest of those that hold, else the highest."""
    if rows.empty:
        return None
    held = rows[rows["low"] > threshold]
    return rows.loc[rows["effect"].idxmax() if held.empty else rows["effect"].idxmin()]


def judge_one(cases: pd.DataFrame, rule: Mapping) -> pd.DataFrame:
    """The four parts and the verdict of one claim on one data set: five rows, columns ``VERDICT_COLUMNS``.

    - *effect*: does the first qualified case hold?
    - *null*: is it learned? The trained encoder exceeds every random network put in the place that ``rule["untrained"]`` names, in every case (interval of
      the paired difference above 0). ``untrained: holds`` is for claims about any network: there random weights must hold too. Without it: not asked.
    - *pairs*: do all qualified cases hold (at least two)?
    - *seeds*: does the effect over at least three seeds of one length hold?
    """
    threshold, place = rule["threshold"], rule.get("untrained")
    usable = cases[cases["qualified"]]
    trained, seeds = usable[usable["kind"] == "trained"], usable[usable["kind"] == "seeds"]
    above = lambda rows: [
        answer(low, high, threshold) for low, high in zip(rows["low"], rows["high"], strict=True)
    ]
    if place == "holds":
        null = usable[usable["kind"] == "untrained"].drop_duplicates("encoders")
        of_null, level = together(above(null)), threshold
    else:
        null = usable[(usable["kind"] == "learned") & (usable["place"] == place)]
        of_null, level = together("yes" if low > 0 else "no" for low in null["low"]), 0.0
    words = {
        "effect": together(above(trained.head(1))),
        "null": "not asked" if place is None else of_null,
        "pairs": together(above(trained)) if len(trained) > 1 else UNTESTED,
        "seeds": together(above(seeds)),
    }
    if place == "holds" and of_null in (
        "no",
        "mixed",
        "unclear",
    ):  # about any network: random weights are one more case
        words["pairs"] = together({*above(trained), of_null})
    first = trained.iloc[0] if len(trained) else None
    shown = {
        "effect": first, "null": _nearest(null, level), "pairs": _nearest(trained, threshold), "seeds": _nearest(seeds, threshold),
        "verdict": first,
    }  # fmt: skip
    counts = {
        "effect": min(1, len(trained)),
        "null": len(null),
        "pairs": len(trained),
        "seeds": len(seeds),
        "verdict": len(trained),
    }
    words["verdict"] = verdict(words)
    rows = []
    for part, word in words.items():
        row = None if word in (UNTESTED, "not asked") else shown[part]
        numbers = (None,) * 4 if row is None else tuple(row[["effect", "low", "high", "n"]])
        rows.append(
            (cases["claim"].iloc[0], cases["dataset"].iloc[0], part, word, *numbers, counts[part])
        )
    return pd.DataFrame(rows, columns=VERDICT_COLUMNS)


def judge(cases: pd.DataFrame, rules: Mapping[str, Mapping]) -> pd.DataFrame:
    """Verdicts of every claim and data set of a table of cases, in the order of the table; columns ``VERDICT_COLUMNS``.

    Args:
        cases: columns ``CASES``.
        rules: id -> rule, as ``lib.report.claims.load_claims`` returns.

    Raises:
        ValueError: a claim without a rule.
    """
    unknown = sorted(set(cases["claim"]) - set(rules))
    if unknown:
        raise ValueError(f"no rule in book/claims.yaml for {', '.join(unknown)}")
    groups = cases.groupby(["claim", "dataset"], sort=False)
    judged = [judge_one(rows, rules[claim]) for (claim, _), rows in groups]
    return pd.concat(judged, ignore_index=True) if judged else pd.DataFrame(columns=VERDICT_COLUMNS)
