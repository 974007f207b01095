import pytest
import torch

from lib.attribution import table_one
from lib.attribution.mask_and_attack import PAPER_ATTACKS, RATES, Attack, mask_and_attack
from lib.attribution.ssla import ssla
from lib.attribution.table_one import attack_of_strength, protected_similarity, reading, variation
from lib.attribution.views import draw_mean_views
from lib.encoders.architecture import build_vit, vit_arguments
from lib.encoders.encoder import Encoder

METHOD = "SimCLR"


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch):
    monkeypatch.setattr(table_one, "IMAGES_AT_ONCE", 2)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(
        build_vit(vit_arguments("ti") | {"depth": 1}),
        [0.3],
        [0.35],
        "patch_mean",
        name="fashion/tiny",
    )


def images(n):
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(7))


def test_both_readings_use_the_papers_settings():
    first, second = reading("R1", "BYOL"), reading("R2", "BYOL")
    assert first.attack == PAPER_ATTACKS["BYOL"] and first.path == dict(steps=10, step_rule="pixel")
    assert second.path == dict(
        steps=70, step_rule="sign", step_size=0.001, epsilon=16 / 255
    ) and second.attack == Attack(1, 16 / 255, 16 / 255)
    assert variation("MAE") == "masks" and variation("BYOL") == "augmentations"


@pytest.mark.parametrize("name", ["R1", "R2"])
def test_values_are_those_of_the_parts_and_do_not_depend_on_batches(results, encoder, name):
    x, index = images(5), torch.tensor([4, 9, 2, 7, 1])
    found = protected_similarity(
        "custom", encoder, x, index, METHOD, name, views=2, random_masks=2, seed=3
    )
    setting = reading(name, METHOD)
    attribution = ssla(
        encoder, x, draw_mean_views(encoder, x, index, 2, 3), **setting.path
    ).attribution
    attacked = lambda strategy, seed: mask_and_attack(
        encoder, x, attribution, RATES, strategy, setting.attack, index, seed
    )  # noqa: E731
    assert found["random"].shape == (5, 2, 11)
    for strategy, values in (
        ("important", found["important"]),
        ("unimportant", found["unimportant"]),
    ):
        # single precision, and a sign of nearly nothing
        assert torch.allclose(values, attacked(strategy, 3), atol=2e-3)
    for draw in range(2):
        assert torch.allclose(found["random"][:, draw], attacked("random", 3 + draw), atol=2e-3)
    assert (
        torch.allclose(found["important"][:, [0, -1]], found["unimportant"][:, [0, -1]], atol=1e-5)
        and (found["important"][:, -1] > 0.9999).all()
    )


def test_a_run_with_more_images_adds_to_what_is_there(results, encoder, monkeypatch):
    x, index = images(6), torch.arange(6)
    first = protected_similarity("custom", encoder, x[:4], index[:4], METHOD, "R2", 1, 1)
    kept = {path: path.stat().st_mtime_ns for path in (results / "custom" / "attacked").iterdir()}
    assert len(kept) == 2 and all(path.name.startswith("tiny-R2-") for path in kept)
    more = protected_similarity("custom", encoder, x, index, METHOD, "R2", 1, 1)
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    assert torch.equal(more["random"][:4], first["random"]) and len(more["random"]) == 6
    monkeypatch.setattr(
        table_one, "mask_and_attack", lambda *_, **__: pytest.fail("computed again")
    )
    protected_similarity("custom", encoder, x, index, METHOD, "R2", 1, 1)


def test_other_weights_compute_it_again(results, encoder):
    x, index = images(2), torch.arange(2)
    protected_similarity("custom", encoder, x, index, METHOD, "R2", 1, 1)
    with torch.no_grad():
        encoder.model.norm.bias += 0.1
    protected_similarity("custom", encoder, x, index, METHOD, "R2", 1, 1)
    assert len(list((results / "custom" / "attacked").iterdir())) == 2


@pytest.mark.parametrize(("side", "largest"), [(28, 0.5), (112, 1.0)])
def test_larger_images_get_views_of_more_blur(results, encoder, monkeypatch, side, largest):
    x, seen = torch.nn.functional.interpolate(images(2), (side, side)), []
    views = table_one.draw_mean_views
    monkeypatch.setattr(
        table_one,
        "draw_mean_views",
        lambda *given, **named: seen.append(named["blur"]) or views(*given, **named),
    )
    protected_similarity("custom", encoder, x, torch.arange(2), METHOD, "R2", 1, 1)
    assert seen == [(0.1, largest)]


def test_what_the_paper_does_not_have_is_refused():
    with pytest.raises(
        ValueError, match="settings for SimCLR, MoCo v3, MAE, BYOL, SimSiam; got 'DINO'"
    ):
        reading("R1", "DINO")
    with pytest.raises(ValueError, match="'R1' or 'R2', got 'R3'"):
        reading("R3", "MAE")


@pytest.mark.parametrize("wanted", [0.9, 0.98])
def test_an_attack_of_a_strength_leaves_the_wanted_similarity(encoder, wanted):
    x, index = images(3), torch.arange(3)
    attack, left = attack_of_strength(encoder, x, index, METHOD, wanted)
    found = mask_and_attack(encoder, x, None, [0.0], "random", attack, index).mean().item()
    assert left == pytest.approx(found, abs=1e-6)
    settings = PAPER_ATTACKS[METHOD]
    times = attack.step_size / settings.step_size
    assert (
        attack.epsilon / settings.epsilon == pytest.approx(times) and attack.steps == settings.steps
    )
    strongest = left_by(encoder, x, index, 64)
    reachable = min(max(wanted, strongest), left_by(encoder, x, index, 1))
    assert left == pytest.approx(reachable, abs=0.03)


def left_by(encoder, x, index, times):
    settings = PAPER_ATTACKS[METHOD]
    attack = Attack(settings.steps, settings.step_size * times, settings.epsilon * times)
    return mask_and_attack(encoder, x, None, [0.0], "random", attack, index).mean().item()


def test_other_rates_and_attacks_are_kept_apart(results, encoder):
    x, index = images(2), torch.arange(2)
    options = dict(views=2, random_masks=1, rates=(0.5,))
    weak = protected_similarity("p", encoder, x, index, METHOD, "R1", **options)
    strong = protected_similarity(
        "p", encoder, x, index, METHOD, "R1", attack=Attack(2, 0.2, 0.4), **options
    )
    assert weak["important"].shape == (2, 1) and weak["random"].shape == (2, 1, 1)
    assert strong["important"].mean() < weak["important"].mean()
    assert len(list((results / "p" / "attacked").glob("*.safetensors"))) == 2
