"""Training what is missing."""

import sys

import pytest

from lib.encoders.card import CHECKPOINTS, read_card
from lib.pretrain import __main__ as pretrain
from lib.pretrain import zoo
from lib.pretrain.zoo import ZOO, images_of, missing


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group, names in ZOO.items() for name in names]
)
@pytest.mark.parametrize("data", ["imagenette", "/a/folder"])
def test_the_command_of_every_encoder_is_accepted(monkeypatch, group, name, data):
    place = [] if group == "fashion" else ["--data", data]
    words = ZOO[group][name].split()
    monkeypatch.setattr(sys, "argv", ["pretrain", *words, *place, "--name", name, "--group", group])
    arguments = pretrain.parse()
    assert arguments.images == images_of(ZOO[group][name]) and arguments.arch is None


def test_every_carried_encoder_is_in_the_zoo_with_what_its_card_says():
    for group in ZOO:
        for path in (CHECKPOINTS / group).glob("*.yaml"):
            words, card = ZOO[group][path.stem].split(), read_card(path)
            assert (
                f"METHOD={words[0]} " in card.command
                and f"IMAGES={images_of(' '.join(words))}" in card.command
            )


def test_finished_encoders_are_left_alone_and_unfinished_are_missing(tmp_path):
    (tmp_path / "fashion").mkdir()
    card = (CHECKPOINTS / "fashion" / "moco-v3-s.yaml").read_text()
    (tmp_path / "fashion" / "moco-v3-s.yaml").write_text(card)
    (tmp_path / "fashion" / "simmim-s.yaml").write_text(card)  # 360,000 images of 960,000
    left = missing("fashion", tmp_path)
    assert "moco-v3-s" not in left and list(left) == [
        name for name in ZOO["fashion"] if name != "moco-v3-s"
    ]


def test_a_failed_training_stops_no_other_and_is_told(monkeypatch, capsys):
    ran = []

    def run(command):
        ran.append(command[command.index("--name") + 1])
        return type("Done", (), {"returncode": int(ran[-1] == "a")})

    monkeypatch.setattr(
        zoo, "missing", lambda group: {"a": "mae --images 1", "b": "mae --images 1"}
    )
    monkeypatch.setattr(zoo.subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["zoo", "fashion"])
    assert zoo.main() == 1 and ran == ["a", "b"]
    assert "1 of 2 missing encoders are trained; failed: a" in capsys.readouterr().out
