"""Verdicts in four parts, from measured effects and the rules of ``book/claims.yaml``; independent
of data set and page.

A page hands over a statistic of each encoder, resampled over images. :func:`measured_cases` makes a
**case** of every encoder, or pair, that a claim speaks of; :func:`judge` turns cases into verdicts.
Both tables are written to ``data/results/PROFILE``, and everything the book says about claims is
computed from them.

``NAME.cases.csv`` has a row a line of the forest plot, columns ``CASES``:

- ``claim``, ``dataset``: id in ``book/claims.yaml``; whose images.
- ``kind``: ``"trained"`` (an encoder or pair), ``"untrained"`` (the same effect with random weights
  in one place), ``"learned"`` (trained minus untrained, paired over images: the smallest over the
  random networks), ``"seeds"`` (trainings of one length from at least three seeds, resampled over
  seeds and images together).
- ``encoders``: names, in the order of the rule's ``compares``, joined by " · "; for ``"seeds"`` what
  the trainings share.
- ``place``: whose place random weights took (a word of ``compares``); empty for other kinds.
- ``effect``, ``low``, ``high``: with its 95 % interval, oriented so that the claim says: effect >
  threshold. ``n``: images behind it.
- ``qualified``: False where the claim needs a better encoder than this one; such a row is shown,
  and plays no part in a verdict.

``NAME.verdicts.csv`` has five rows a claim, columns ``VERDICT_COLUMNS``:

- ``claim``, ``dataset``: as above.
- ``part``: ``"effect"``, ``"null"``, ``"pairs"``, ``"seeds"``, and ``"verdict"``.
- ``word``: one of ``ANSWERS`` for a part, of ``VERDICTS`` for the verdict.
- ``effect``, ``low``, ``high``, ``n``: of the first qualified case for ``"effect"`` and
  ``"verdict"``, of the least trained minus untrained for ``"null"``, of the case nearest to turning
  over for ``"pairs"`` and ``"seeds"``; empty where nothing was tested.
- ``cases``: how many the part rests on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd

from lib.report.intervals import interval

PARTS = ("effect", "null", "pairs", "seeds")
ANSWERS = ("yes", "mixed", "unclear", "no", "not testable here", "not asked")
VERDICTS = (
    "reproduced",
    "holds, but not by learning",
    "depends on the pair or the seed",
    "not reproduced",
    "undecided",
    "not testable here",
)
KINDS = ("trained", "untrained", "learned", "seeds")
CASES = ["claim", "dataset", "kind", "encoders", "place", "effect", "low", "high", "n", "qualified"]
VERDICT_COLUMNS = ["claim", "dataset", "part", "word", "effect", "low", "high", "n", "cases"]
UNTESTED = "not testable here"
JOINT = " · "  # between the encoders of a pair
LEAST_SEEDS = 3
MACHINES = 0.05  # share of an interval's width, for what processors may change in its ends


@dataclass(frozen=True)
class Compared:
    """Who is compared on a page.

    Attributes:
        roles: encoder -> the words of a rule's ``compares`` that fit it, such as ``{"CL", "MoCo
            v3", "encoder"}``; in the order of the page.
        untrained: encoder -> names of random networks of its architecture.
        trainings: encoder -> what all its seeds share (method, size, length); encoders without one
            are left out.
        qualified: encoder -> whether a linear probe reads more from it than from raw pixels and
            random weights; empty if no claim of the page asks.
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


def over_seeds(groups: Sequence[Sequence[np.ndarray]], seed: int = 0) -> np.ndarray:
    """An effect over seeds and images together: every resample of the images also draws seeds,
    with replacement (hierarchical bootstrap).

    Args:
        groups: one or two groups of encoders, each the resampled statistics ``(1 + resamples,)``
            of its seeds.
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


def _by_training(compared: Compared, names: Sequence[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        if name in compared.trainings:
            groups.setdefault(compared.trainings[name], []).append(name)
    return {training: seeds for training, seeds in groups.items() if len(seeds) >= LEAST_SEEDS}


def measured_cases(
    claim: str, rule: Mapping, statistic: Mapping[str, np.ndarray], compared: Compared, n: int
) -> pd.DataFrame:
    """Every case of a claim: encoders or pairs, the same with random weights in each place, their
    paired differences, and seeds.

    Args:
        claim: id of the rule.
        rule: of ``book/claims.yaml``; ``compares`` says what the effect is a difference of.
        statistic: encoder or random network -> ``(1 + resamples,)``, the value over all images and
            then over resamples that all encoders share, as
            ``lib.report.intervals.resampled_mean`` returns. An encoder that is not there was not
            measured, and makes no case.
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
    needed = [role in rule.get("needs", "").split() for role in roles]
    measured = [[name for name in compared.of(role) if name in statistic] for role in roles]

    def effect(names: Sequence[str]) -> np.ndarray:
        return _difference([statistic[name] for name in names])

    def good(position: int, name: str) -> bool:
        return not needed[position] or compared.qualified.get(name, False)

    def add(kind: str, names: Sequence[str], place: str, of: np.ndarray, qualified: bool) -> None:
        numbers = map(float, interval(of))
        row = (claim, compared.dataset, kind, JOINT.join(names), place, *numbers, n, qualified)
        rows.append(row)

    for names in product(*measured):
        qualified, trained = all(map(good, range(len(names)), names)), effect(names)
        add("trained", names, "", trained, qualified)
        for position, place in enumerate(roles):
            networks = [
                null for null in compared.untrained.get(names[position], ()) if null in statistic
            ]
            mixed = [[*names[:position], null, *names[position + 1 :]] for null in networks]
            for pair in mixed:
                add("untrained", pair, place, effect(pair), qualified)
            if mixed:
                learned = [trained - effect(pair) for pair in mixed]
                least = min(learned, key=lambda values: interval(values)[1])
                add("learned", names, place, least, qualified)
    groups = [_by_training(compared, names) for names in measured]
    for trainings in product(*groups):
        seeds = [group[training] for group, training in zip(groups, trainings, strict=True)]
        qualified = all(good(i, name) for i, names in enumerate(seeds) for name in names)
        over = over_seeds([[statistic[name] for name in names] for names in seeds])
        add("seeds", trainings, "", over, qualified)
    return pd.DataFrame(rows, columns=CASES)


def answer(low: float, high: float, threshold: float) -> str:
    """Does the whole interval, widened by ``MACHINES`` of its width on each side, lie above the
    threshold?

    >>> answer(0.1, 0.2, 0.05), answer(-0.2, 0.01, 0.05), answer(0.0, 0.1, 0.05)
    ('yes', 'no', 'unclear')
    >>> answer(0.0501, 0.2, 0.05)  # another processor could turn this over
    'unclear'
    """
    margin = MACHINES * (high - low)
    if low - margin > threshold:
        return "yes"
    return "no" if high + margin < threshold else "unclear"


def together(answers: Iterable[str]) -> str:
    """One word for the answers of several cases.

    >>> together(["yes", "yes"]), together(["yes", "unclear"]), together(["yes", "unclear", "no"])
    ('yes', 'unclear', 'mixed')
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
    if found == "yes":
        return {
            "no": "holds, but not by learning",
            "mixed": "depends on the pair or the seed",
            UNTESTED: "undecided",  # about learning, and no random network was measured
        }.get(parts["null"], "reproduced")
    return {
        "mixed": "depends on the pair or the seed",
        "no": "not reproduced",
        "unclear": "undecided",
    }[found]


def _answers(rows: pd.DataFrame, threshold: float) -> list[str]:
    ends = zip(rows["low"], rows["high"], strict=True)
    return [answer(low, high, threshold) for low, high in ends]


def _nearest(rows: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The case nearest to turning the answer over: the lowest, or the highest where none holds."""
    held = (rows["low"] > threshold).any()
    return rows.sort_values("effect", ascending=held, kind="stable").head(1)


def judge_one(cases: pd.DataFrame, rule: Mapping) -> pd.DataFrame:
    """The four parts and the verdict of one claim on one data set: five rows, columns
    ``VERDICT_COLUMNS``.

    - *effect*: does the first qualified case hold?
    - *null*: is it learned? The trained encoder exceeds every random network put in the place that
      ``rule["untrained"]`` names, in every case (interval of
      the paired difference above 0). ``untrained: holds`` is for claims about any network: there
      random weights must hold too. Without it: not asked.
    - *pairs*: do all qualified cases hold (at least two)?
    - *seeds*: does the effect over at least three seeds of one length hold?
    """
    threshold, place = rule["threshold"], rule.get("untrained")
    usable = cases[cases["qualified"]]
    of_kind = {kind: usable[usable["kind"] == kind] for kind in KINDS}
    trained, seeds = of_kind["trained"], of_kind["seeds"]
    if place == "holds":
        null, level = of_kind["untrained"].drop_duplicates("encoders"), threshold
        of_null = together(_answers(null, threshold))
    else:
        null, level = of_kind["learned"][of_kind["learned"]["place"] == place], 0.0
        of_null = together("yes" if word == "yes" else "no" for word in _answers(null, level))
    words = {
        "effect": together(_answers(trained.head(1), threshold)),
        "null": "not asked" if place is None else of_null,
        "pairs": together(_answers(trained, threshold)) if len(trained) > 1 else UNTESTED,
        "seeds": together(_answers(seeds, threshold)),
    }
    if place == "holds" and len(null):  # random weights are one more case
        words["pairs"] = together([*_answers(trained, threshold), of_null])
    words["verdict"] = verdict(words)
    behind = {"effect": trained.head(1), "null": null, "pairs": trained, "seeds": seeds}
    rows = []
    for part, word in words.items():
        of = behind.get(part, trained)
        one = (
            of.head(1)
            if part == "verdict"
            else _nearest(of, level if part == "null" else threshold)
        )
        tested = len(one) > 0 and word not in (UNTESTED, "not asked")
        numbers = one[["effect", "low", "high", "n"]].iloc[0] if tested else (None,) * 4
        rows.append((*cases[["claim", "dataset"]].iloc[0], part, word, *numbers, len(of)))
    return pd.DataFrame(rows, columns=VERDICT_COLUMNS)


def judge(cases: pd.DataFrame, rules: Mapping[str, Mapping]) -> pd.DataFrame:
    """Verdicts of every claim and data set of a table of cases, in the order of the table; columns
    ``VERDICT_COLUMNS``.

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
