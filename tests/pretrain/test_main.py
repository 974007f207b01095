"""The command line of the trainings."""

import sys

import pytest

from lib.pretrain.__main__ import free_stem, main, parse


def test_a_finished_encoder_is_not_overwritten(tmp_path):
    assert free_stem(tmp_path, "new") == tmp_path / "new"
    (tmp_path / "done.yaml").touch()
    with pytest.raises(SystemExit, match="done is there already"):
        free_stem(tmp_path, "done")
    (tmp_path / "done.resume.pt").touch()
    assert free_stem(tmp_path, "done") == tmp_path / "done"


def test_the_command_refuses_before_it_trains(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pretrain", "simmim"])
    monkeypatch.setattr("lib.pretrain.__main__.free_stem", lambda *_: sys.exit("refused"))
    monkeypatch.setattr("lib.pretrain.__main__.train", lambda *_: pytest.fail("trained"))
    with pytest.raises(SystemExit, match="refused"):
        main()


@pytest.mark.parametrize("words", [["hybrid"], ["simmim", "--weight", "0.2"], ["mae", "--size", "r"], ["unknown"]])
def test_what_does_not_go_together_is_refused(monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["pretrain", *words])
    with pytest.raises(SystemExit):
        parse()
