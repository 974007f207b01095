"""Every function of probes and attributions on another device than the CPU, by a stand-in that
raises when tensors of two devices meet; and that none of them makes a tensor elsewhere."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from lib.attribution.mask_and_attack import Attack
from lib.attribution.table_one import reading
from lib.data.mosaic import Mosaic
from lib.encoders.architecture import build_resnet, resnet_arguments
from lib.encoders.encoder import Encoder
from tests.stand_in import StandIn, stand_in

FOLDERS = ("probes", "attribution")
LIB = Path(__file__).resolve().parents[1] / "lib"


def public(folder: str) -> dict[str, object]:
    """Public functions of a folder that take an encoder or tensors, by ``module.name``."""
    found = {}
    for path in sorted((LIB / folder).glob("*.py")):
        module = import_module(f"lib.{folder}.{path.stem}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            kinds = [str(p.annotation) for p in inspect.signature(function).parameters.values()]
            takes = any(k in kind for kind in kinds for k in ("Tensor", "Encoder", "Observed"))
            if function.__module__ == module.__name__ and not name.startswith("_") and takes:
                found[f"{path.stem}.{name}"] = function
    return found


@pytest.fixture
def resnet():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        small = dict(layers=[1, 1, 1, 1], channels=[8, 12, 16, 20])
        model = build_resnet(resnet_arguments() | small)
    return Encoder(model, [0.3], [0.35], "global_average", name="resnet")


@pytest.fixture
def given(encoder, resnet, images, make_vit):
    """What the functions are called with, on the CPU; encoders and tensors by name."""
    n, generator = len(images), Generator().manual_seed(0)
    rand = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    attention = rand(n, 3, 49, 49).mul(4).softmax(-1)
    tokens, after = rand(n, 49, 24), rand(n, 49, 24)
    return dict(
        encoder=encoder,
        resnet=resnet,
        other=Encoder(make_vit(1), [0.3], [0.35], "patch_mean", name="other"),
        images=images,
        index=torch.arange(n) + 3,
        z=rand(n, 24) / 4,
        z_resnet=rand(n, 20) / 4,
        maps=rand(n, 1, 28, 28) - 0.3,
        more=rand(n, 1, 28, 28) - 0.3,
        mask=images > 0.4,
        tokens=tokens,
        after=after,
        attention=attention,
        logits=attention.log(),
        padded=rand(n, 3, 50, 50).softmax(-1),
        labels=torch.tensor([0, 1, 2, 0, 1]),
        patches=(rand(n, 7, 7) * 3).long(),
        views=rand(n, 2, 1, 28, 28),
        hidden=torch.zeros(n, 49, dtype=torch.bool).index_fill(1, torch.arange(20), True),
        noise=rand(n, 1, 28, 28),
    )


GRID = (7, 7)
STEPS = Attack(2, 0.01)
# module.name -> a call, of what is given
CALLS = {
    "attention_distance.attention_distance": lambda f, g: f(g.attention, GRID, 4),
    "attention_distance.patch_distances": lambda f, g: f(GRID, 4, g.attention),
    "attention_map.attention_maps": lambda f, g: f(g.encoder, g.images[0], [(0, 1), (3, 3)]),
    "cosine.pairwise_cosine": lambda f, g: f(g.tokens),
    "fine_tune.fine_tune": lambda f, g: f(
        g.encoder, g.images, g.labels, g.images, g.labels, least_steps=2, epochs=1, batch_size=4
    ),
    "fine_tune.fit_fine_tuned": lambda f, g: f(
        g.encoder, g.images, g.patches, least_steps=2, epochs=1, batch_size=4
    ).predict(g.images),
    "fine_tune.flip": lambda f, g: f(g.images, g.labels, Generator().manual_seed(0))[0],
    "fine_tune.shift": lambda f, g: f(g.images, Generator().manual_seed(0)),
    "fourier.relative_log_amplitude": lambda f, g: f(g.tokens, GRID, "nyquist"),
    "key_entropy.key_entropy": lambda f, g: f(g.attention),
    "knn.knn_accuracy": lambda f, g: f(g.z, g.labels, g.z + 0.1, g.labels, k=2),
    "knn.nearest_neighbours": lambda f, g: f(g.z, g.z + 0.1, 2),
    "layers.around_self_attention": lambda f, g: f(g.encoder, g.images),
    "layers.layer_representations": lambda f, g: f(g.encoder, g.images, 2),
    "layers.tokens_after": lambda f, g: f(g.encoder, g.images, 1),
    "linear_probe.fit_linear_probe": lambda f, g: f(g.z, g.labels).predict(g.z.numpy(force=True)),
    "linear_probe.linear_probe": lambda f, g: f(g.z, g.labels, g.z, g.labels),
    "local_attention.local_attention": lambda f, g: f(g.attention, GRID),
    "local_attention.neighbourhood": lambda f, g: f(GRID, 1, g.attention),
    "measure.measure_now": lambda f, g: f(g.encoder, g.images, GRID, 4),
    "noisy_representations.noisy_representations": lambda f, g: f(g.encoder, g.images, g.noise, 2),
    "normalized_mutual_information.normalized_mutual_information": lambda f, g: (
        f(g.attention),
        f(g.attention, g.logits),
    ),
    "patch_attention.check_attention": lambda f, g: f(g.attention),
    "patch_attention.patch_attention": lambda f, g: f(g.padded, 1),
    "patch_attention.patch_shares": lambda f, g: f(g.padded, 1)[0],
    "query_similarity.query_similarity": lambda f, g: f(g.attention),
    "segmentation.fine_tuned_segmentation": lambda f, g: f(
        g.other, g.mosaic, g.mosaic, 3, least_steps=2, epochs=1, batch_size=4
    ),
    "segmentation.frozen_segmentation": lambda f, g: f(g.other, g.mosaic, g.mosaic, 3),
    "similarity.head_similarity": lambda f, g: f(g.attention),
    "similarity.step_similarity": lambda f, g: f(g.tokens, g.after),
    "spectrum.image_spectrum": lambda f, g: f(g.z),
    "spectrum.token_spectrum": lambda f, g: f(g.tokens),
    "stream.block_statistics": lambda f, g: f(
        g.encoder, g.images, {"mean": lambda b: b.attention.mean((1, 2))}, batch_size=2
    ),
    "raw_pixels.centred": lambda f, g: f(g.z, g.z + 1),
    "received_attention.received_attention": lambda f, g: f(g.attention),
    "token_clusters.image_precision": lambda f, g: f(g.tokens),
    "token_clusters.token_map": lambda f, g: f(g.tokens[:2], 5),
    "token_shift.common_shift": lambda f, g: f(g.tokens, g.after),
    "token_shift.log_spread": lambda f, g: f(g.tokens, g.after),
    "token_shift.principal_axes": lambda f, g: tuple(t.abs() for t in f(g.tokens[0], g.after[0])),
    "attention_rollout.attention_rollout": lambda f, g: f(g.encoder, g.images, None, 2),
    "blur_range.blur_range": lambda f, g: f(g.images),
    "checks.check_attribution": lambda f, g: f(g.maps, g.images),
    "checks.check_images": lambda f, g: f(g.images, g.z),
    "checks.warn_zero_maps": lambda f, g: f(g.maps, "a method"),
    "concentration.effective_area": lambda f, g: f(g.maps, 4),
    "controls.centre_prior": lambda f, g: f(None, g.images),
    "controls.edge_magnitude": lambda f, g: f(None, g.images),
    "controls.pixel_value": lambda f, g: f(None, g.images),
    "controls.random_map": lambda f, g: f(None, g.images),
    "cost.cost": lambda f, g: f(g.encoder, lambda: g.encoder(g.images), 5)["evaluations per image"],
    "grad_cam.grad_cam": lambda f, g: f(g.resnet, g.images, g.z_resnet, "layer2", 2),
    "gradient_methods.input_x_gradient": lambda f, g: f(g.encoder, g.images, g.z, 2),
    "gradient_methods.integrated_gradients": lambda f, g: f(
        g.encoder, g.images, g.z, steps=3, batch_size=2
    ),
    "gradient_methods.saliency": lambda f, g: f(g.encoder, g.images, g.z, 2),
    "gradient_methods.score_function": lambda f, g: f(g.encoder)(g.images, g.z),
    "gradient_methods.smoothgrad": lambda f, g: f(g.encoder, g.images, g.z, 3, batch_size=6),
    "insertion_deletion.insertion_deletion": lambda f, g: (
        f(g.encoder, g.images, g.maps, g.index, steps=3, batch_size=4).insertion
    ),
    "insertion_deletion.substrate_image": lambda f, g: f(g.images, "blurred"),
    "invariance_score.invariance_score": lambda f, g: f(g.encoder, g.images, g.z),
    "invariance_score.mean_view": lambda f, g: f(g.encoder, g.views, 3),
    "map_similarity.rank_correlation": lambda f, g: f(g.maps, g.more, g.mask),
    "map_similarity.structural_similarity": lambda f, g: f(g.maps, g.more),
    "mask_and_attack.mask_and_attack": lambda f, g: f(
        g.encoder, g.images, g.maps, (0.0, 0.5), "important", STEPS, g.index, batch_size=3
    ),
    "mask_and_attack.perturb": lambda f, g: f(g.encoder, g.images, g.z, g.mask, STEPS, g.noise),
    "mask_and_attack.protection_order": lambda f, g: f(g.images, g.maps, "important", g.index),
    "mean_frequency.mean_frequency": lambda f, g: f(g.maps),
    "occlusion.occlusion": lambda f, g: f(g.encoder, g.images, g.z, 14, 7, batch_size=4),
    "outline_share.outline": lambda f, g: f(g.mask),
    "outline_share.outline_share": lambda f, g: f(g.maps, g.mask),
    "pointing_game.pointing_game": lambda f, g: f(g.maps, g.mask),
    "ranking.importance_rank": lambda f, g: f(g.maps, g.index),
    "relax.relax": lambda f, g: f(g.encoder, g.images, g.z, 4, batch_size=6),
    "relevance_mass.relative_relevance_mass": lambda f, g: f(g.maps, g.mask),
    "relevance_mass.relevance_mass_accuracy": lambda f, g: f(g.maps, g.mask),
    "separation.separation": lambda f, g: f(
        g.encoder, g.images, g.maps, 0.05, g.index, gradient_encoder=g.other
    ),
    "ssla.ssla": lambda f, g: f(g.encoder, g.images, g.z, 2, "gradient", batch_size=2).attribution,
    "ssla.walk": lambda f, g: [t for point in f(g.encoder, g.images, g.z, 2) for t in point],
    "table_one.attacked": lambda f, g: f(
        g.encoder,
        g.images[:2],
        g.index[:2],
        reading("R2", "SimCLR"),
        views=2,
        kind="augmentations",
        blur=(0.1, 0.5),
        random_masks=1,
        seed=0,
        rates=(0.5,),
    ),
    "table_one.attack_of_strength": lambda f, g: (
        f(g.encoder, g.images[:2], g.index[:2], "SimCLR", 0.9)[0].epsilon
    ),
    "unclipped.ssla_unclipped": lambda f, g: f(g.encoder, g.images, g.z, 2).attribution,
    "views.augmented_views": lambda f, g: f(g.images, g.index, 2),
    "views.draw_mean_views": lambda f, g: torch.stack(
        [f(g.encoder, g.images, g.index, 2, variation=v) for v in ("augmentations", "masks")]
    ),
    "views.masked_representations": lambda f, g: f(g.encoder, g.images, g.hidden),
}
# what keeps results on disk: calls functions above on batches of images that lie on the CPU
KEEPING = {
    "both_readings.both_readings",
    "fine_tuned.both_readings",
    "fine_tuned.tuned_confusion",
    "fine_tuned.tuned_correct",
    "measure.measure",
    "measure.representations",
    "probe_correct._probe",
    "probe_correct.probe_correct",
    "table_one.protected_similarity",
}
FUNCTIONS = {name: f for folder in FOLDERS for name, f in public(folder).items()}
FUNCTIONS |= {name: f for name, f in public("encoders").items() if name.startswith("knn.")}


class Given:
    """Values by name, each on one device or the other."""

    def __init__(self, values: dict, move_encoders, move_tensors):
        for name, value in values.items():
            if isinstance(value, Encoder):
                move_encoders(value)
            setattr(self, name, value if isinstance(value, Encoder) else move_tensors(value))
        self.mosaic = Mosaic(self.images, None, self.patches)


def on_cpu(found):
    """Tensors on the CPU, in what a function returns."""
    if isinstance(found, dict):
        return {name: on_cpu(value) for name, value in found.items()}
    if isinstance(found, tuple | list):
        return [on_cpu(value) for value in found]
    return found.held.detach() if isinstance(found, StandIn) else found


def where(found) -> set[bool]:
    """Whether tensors are on the stand-in, in what a function returns."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, tuple | list):
        return set().union(*map(where, found)) if found else set()
    return {isinstance(found, StandIn)} if isinstance(found, Tensor) else set()


def test_there_is_a_call_of_every_function():
    assert set(FUNCTIONS) - KEEPING == set(CALLS)


@pytest.mark.parametrize("images_too", [False, True], ids=["images on the CPU", "all there"])
@pytest.mark.parametrize("name", sorted(CALLS))
def test_another_device_gives_the_same_where_the_images_are(name, images_too, given):
    function, call = FUNCTIONS[name], CALLS[name]
    expected = call(function, Given(given, lambda e: e, lambda t: t))
    with stand_in() as device:
        there = (lambda t: t.to(device)) if images_too else (lambda t: t)
        found = call(function, Given(given, lambda e: e.model.to(device), there))
        assert where(found) <= {images_too}
        torch.testing.assert_close(on_cpu(found), on_cpu(expected), atol=1e-4, rtol=1e-3)


def test_the_stand_in_tells_devices_apart(encoder, images):
    with stand_in() as device:
        there = images.to(device)
        with pytest.raises(RuntimeError, match="two devices meet"):
            there + images
        with pytest.raises(RuntimeError, match="generator of the CPU"):
            torch.rand(3, generator=Generator(), device=device)
        with pytest.raises(TypeError, match="no NumPy array"):
            there.numpy()
        assert (there + 1).cpu().equal(images + 1) and (there + torch.tensor(1.0)).device == device


FACTORIES = set("arange zeros ones full eye linspace logspace empty rand randn randint randperm"
                " tensor as_tensor from_numpy fftfreq rfftfreq hann_window normal".split())  # fmt: skip


TAKES = ("Tensor", "Encoder", "Observed", "Block", "Images", "Mosaic")


def made_elsewhere(path: Path) -> list[str]:
    """Calls that make a tensor without naming its device, and are not moved at once, in functions
    that take tensors; what a function without any makes is on the CPU by its nature."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    takes = [
        function
        for function in functions
        if f"{path.stem}.{function.name}" not in KEEPING
        and any(
            name in ast.unparse(a.annotation)
            for a in (*function.args.args, *function.args.kwonlyargs)
            if a.annotation is not None
            for name in TAKES
        )
    ]
    moved = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "to"
        for part in ast.walk(node.func.value)
    }
    made = {
        (node.lineno, ast.unparse(node))
        for function in takes
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in FACTORIES
        and ast.unparse(node.func).startswith("torch.")
        and id(node) not in moved
        and "device" not in {keyword.arg for keyword in node.keywords}
    }
    return [f"{path.name}:{line}: {call}" for line, call in sorted(made)]


def test_the_rule_finds_what_is_made_elsewhere(tmp_path):
    path = tmp_path / "probe.py"
    path.write_text(
        "def f(x: Tensor):\n a = torch.arange(3)\n b = torch.zeros(2, device=x.device)\n"
        " return a + b + torch.rand(3, generator=g).to(x) + torch.fft.fftfreq(4)\n"
        "def g(n: int):\n return torch.ones(n)\n"
    )
    assert made_elsewhere(path) == [
        "probe.py:2: torch.arange(3)",
        "probe.py:4: torch.fft.fftfreq(4)",
    ]


def test_no_tensor_is_made_elsewhere():
    files = [path for folder in FOLDERS for path in sorted((LIB / folder).glob("*.py"))]
    assert len(files) > 40
    assert [line for path in files for line in made_elsewhere(path)] == []


def test_no_probe_or_attribution_names_a_device():
    for folder in FOLDERS:
        for path in (LIB / folder).glob("*.py"):
            assert ".cuda(" not in path.read_text(encoding="utf-8"), path
    for name, function in FUNCTIONS.items():
        assert "device" not in inspect.signature(function).parameters, name
