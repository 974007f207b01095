"""An encoder that has learned nothing, in the place of one that has: what was *specific* to learning
must vanish."""

import pytest

from lib.data.dataset import load_images
from lib.encoders.card import CHECKPOINTS, read_card
from lib.encoders.load import random_encoder
from lib.probes.attention_distance import uniform_attention_distance
from lib.probes.measure import measure_now
from lib.report.claims import cases_of, load_claims
from lib.report.compared import load_page
from lib.report.judge import judge
from lib.report.statistics import one_pass_statistics

CL, MIM = "fashion/moco-v3-s", "fashion/simmim-s"


@pytest.fixture(scope="module")
def measured():
    page = load_page([CL, MIM])
    images = load_images("fashion", "test").sample(24, 0).images
    grid, size = page.trained[0].grid(images), page.trained[0].patch_size
    uniform = uniform_attention_distance(grid, size)

    def statistics(encoder):
        return one_pass_statistics(measure_now(encoder, images, grid, size), uniform)

    other = random_encoder(
        read_card(CHECKPOINTS / f"{MIM}.yaml"), seed=11
    )  # of no seed on the page
    return page.compared, {e.name: statistics(e) for e in page.every}, statistics(other)


def words(statistics, compared):
    verdicts = judge(cases_of(statistics, compared), load_claims())
    return verdicts.pivot(index="claim", columns="part", values="word")


def test_what_a_masked_image_model_learned_vanishes_with_random_weights_in_its_place(measured):
    compared, statistics, untrained = measured
    found = words(statistics, compared).loc["B2-local"]
    assert (found["null"], found["verdict"]) == ("yes", "reproduced")
    nulls = [statistics[name] for name in compared.untrained[MIM]]
    for exchanged in (*nulls, untrained):
        found = words(statistics | {MIM: exchanged}, compared).loc["B2-local"]
        assert found["verdict"] != "reproduced"
    for exchanged in nulls:
        assert (words(statistics | {MIM: exchanged}, compared)["null"] != "yes").loc["B2-local"]


def test_no_claim_about_learning_is_reproduced_by_two_networks_that_learned_nothing(measured):
    compared, statistics, _ = measured
    first, second = (statistics[name] for name in compared.untrained[MIM])
    found = words(statistics | {CL: first, MIM: second}, compared)
    rules = load_claims()
    learned = [claim for claim in found.index if rules[claim].get("untrained") in ("CL", "MIM")]
    assert len(learned) == 13
    assert "reproduced" not in set(found.loc[learned, "verdict"])


def test_a_contrastive_encoder_that_never_learned_has_the_same_map_for_all_queries(measured):
    """The verdict that one pair alone called reproduced, for MoCo v3 and for random weights."""
    compared, statistics, untrained = measured
    for cl in (statistics[CL], untrained):
        found = words(statistics | {CL: cl}, compared).loc["B2-same-map"]
        assert found["effect"] == "yes" and found["verdict"] == "holds, but not by learning"
