"""Where the repository is, and its results."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "data" / "results"
TABLES = "STUDY_TABLES"  # variable of a run: the folder of its own that its tables go to
