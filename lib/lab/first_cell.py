# Run this first. In a clone of the study it does nothing; elsewhere (Colab, Binder, an empty folder)
# it fetches the study and installs what is missing: a few minutes, once.
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = ""  # address or path of the study
NEEDED = ["matplotlib", "numpy", "pandas", "safetensors", "scipy", "sklearn", "threadpoolctl",
          "timm", "torch", "torchvision", "tqdm", "yaml"]  # fmt: skip

above = [Path.cwd(), *Path.cwd().parents]
study = next((folder for folder in above if (folder / "lib" / "lab").is_dir()), Path("study"))
if not study.is_dir():
    address = os.environ.get("REPOSITORY") or REPOSITORY
    assert address, "write the address of the study between the quotes of REPOSITORY, above"
    subprocess.run(["git", "clone", "-q", "--depth", "1", address, str(study)], check=True)
if any(importlib.util.find_spec(name) is None for name in NEEDED):
    needed = str(study / "notebooks" / "lab" / "requirements.txt")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-r", needed], check=True)
sys.path.insert(0, str(study.resolve()))
