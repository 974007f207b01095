"""What a kernel finds around it: ours, not the shell's, so that a page is the same from everywhere."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from traitlets.config import Config

from lib.paths import TABLES

# what a program needs to run and to fetch files at all; nothing here changes a figure or a number
PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT", "XDG_CACHE_HOME",
    "HF_HOME", "HF_HUB_OFFLINE", "TORCH_HOME", "CUDA_VISIBLE_DEVICES", "DEVICE",
    "PRECISION", "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "no_proxy", "COVERAGE_PROCESS_START",
)  # fmt: skip
OURS = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUTF8": "1",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextmanager
def kernel_environment(folder: Path, threads: int) -> Iterator[Config]:
    """The environment of this process, and so of a kernel that it starts, until the block ends.

    Settings of matplotlib, IPython and Jupyter are looked for in an empty folder, and the kernel's
    sockets are files there: kernels that start at once may draw the same TCP port.

    Args:
        folder: of the run's tables.
        threads: of each numeric library.

    Yields:
        settings of the kernel manager.
    """
    before = dict(os.environ)
    # a socket's path has at most 103 characters
    short = Path(tempfile.gettempdir() if os.name == "nt" else "/tmp")
    for left in short.glob("study-*-*"):  # of a process that was killed
        owner = left.name.split("-")[1]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=short, prefix=f"study-{os.getpid()}-") as empty:
        homes = ("MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")
        jupyter = {"JUPYTER_DATA_DIR": f"{sys.prefix}/share/jupyter", "JUPYTER_NO_CONFIG": "1"}
        ours = OURS | dict.fromkeys(homes, empty) | jupyter | {TABLES: str(folder)}
        ours |= dict.fromkeys(THREADS, str(threads))
        passed = {name: before[name] for name in PASSED_ON if name in before}
        _replace(passed | ours)
        try:
            sockets = {"transport": "ipc", "connection_file": f"{empty}/kernel.json"}
            yield Config() if os.name == "nt" else Config(KernelManager=sockets)
        finally:
            _replace(before)


def _replace(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
