import lib.study.plan
from lib.study.__main__ import main
from lib.study.execute import run_profile
from lib.study.plan import plan


def test_a_plan_says_what_would_run_and_runs_nothing(root, executions):
    before = plan("fashion", root=root)
    assert "first: would run, never run before (fashion/a)" in before and "first_second: would run" in before and "2 notebooks of unknown length" in before
    assert executions == []
    run_profile("fashion", only="first", root=root)
    after = plan("fashion", root=root)
    assert "first: unchanged, nothing to run (fashion/a)" in after and "1 notebooks of unknown length" in after
    (root / "lib" / "tools" / "base.py").write_text("two = 3\n")
    assert " s last time (fashion/a)" in plan("fashion", root=root)


def test_other_encoders_are_planned_where_they_would_run(root, executions):
    text = plan("fashion", ["encoders=fashion/b"], root)
    assert "results in data/results/custom" in text and "first: would run, never run before (fashion/b)" in text and executions == []


def test_the_command_prints_it(monkeypatch, capsys):
    monkeypatch.setattr(lib.study.plan, "plan", lambda profile, assignments: f"{profile} {assignments}")
    assert main(["book", "--dry", "--encoders", "a b"]) == 0
    assert capsys.readouterr().out == "fashion ['encoders=a b']\n"
