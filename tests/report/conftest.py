"""Shared by tests of figures."""

import matplotlib.pyplot as plt
import pytest

from lib.report import style


@pytest.fixture
def book_style(monkeypatch):
    """The book's style inside a test, the former style after it, no figure left open."""
    # needs a running notebook
    monkeypatch.setattr(style, "set_matplotlib_formats", lambda *formats: None)
    with plt.rc_context():
        plt.switch_backend("agg")
        style.use_style()
        yield
    plt.close("all")
