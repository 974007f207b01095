"""Worker processes for a sweep: a local Dask cluster, or one that runs elsewhere."""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec

import dask
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster

from lib.study.errors import StudyError, one_line

PATIENCE = 20  # seconds, for a scheduler or its first worker to answer
SETTINGS = {"distributed.scheduler.worker-saturation": 1.0}  # what waits does so at the scheduler, not at a worker that may die


def default_workers(cores: int = 1) -> int:
    """One for each so many cores, at least one and at most four: each takes one to three gigabytes."""
    return max(1, min(4, CPU_COUNT // cores))


def threads_per_kernel(workers: int) -> str:
    """What each worker's notebooks may use: the cores shared among the workers, or OMP_NUM_THREADS where it is set."""
    return os.environ.get("OMP_NUM_THREADS") or str(max(1, CPU_COUNT // workers))


@contextmanager
def local(workers: int) -> Iterator[Client]:
    """A cluster of this many processes, which ends with the block; one that dies is replaced."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads_per_kernel(workers))
    options = dict(threads_per_worker=1, memory_limit=0, dashboard_address=None, env=threads, silence_logs=logging.CRITICAL)
    with dask.config.set(SETTINGS), LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
        yield client


@contextmanager
def existing(address: str) -> Iterator[Client]:
    """The cluster of a scheduler that runs already, and goes on afterwards.

    Its workers run in a checkout of the same commit, at the same path of a file system that all share, so that they find ``lib``, the encoders and each
    other's results: there, ``python -m distributed.cli.dask_worker tcp://… --nthreads 1``.

    Raises:
        StudyError: nothing answers there, it has no worker, or one that runs elsewhere.
    """
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise StudyError(
            f"no Dask scheduler answers at {address} ({one_line(error, 150).rstrip('.')}); expected an address such as tcp://127.0.0.1:8786. "
            "Start one with `python -m distributed.cli.dask_scheduler`, or leave SCHEDULER out to use this machine."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise StudyError(
                f"the Dask scheduler at {address} has no worker; start one in a checkout of this commit with "
                f"`python -m distributed.cli.dask_worker {address} --nthreads 1`."
            ) from error
        found = client.run(find_spec, "lib.study", on_error="return")
        elsewhere = [worker for worker, spec in found.items() if getattr(spec, "origin", None) != find_spec("lib.study").origin]
        if elsewhere:
            raise StudyError(f"these workers of {address} find no `lib`, or another than this checkout's: {', '.join(elsewhere)}; start them in this folder.")
        yield client


def connect(workers: int, scheduler: str | None = None) -> AbstractContextManager[Client]:
    """A client of the scheduler at that address, or else of a local cluster of this many workers."""
    return existing(scheduler) if scheduler else local(workers)
