"""Pages on worker processes, one or many, here or on a cluster that runs already."""

import logging
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import dask
import psutil
import torch
from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, Nanny, Scheduler, SpecCluster, as_completed
from filelock import FileLock, Timeout
from tqdm import tqdm

from lib.data.dataset import load_images
from lib.encoders.device import chosen_device
from lib.paths import ROOT
from lib.run.errors import StudyError, one_line
from lib.run.fingerprint import folders_once
from lib.run.layout import executed_notebook, tables_of
from lib.run.page import Page, run_page, said_of_damage, settle

PATIENCE = 20  # seconds, for a scheduler or its first worker to answer
# what waits does so at the scheduler, not at a worker that may die
SETTINGS = {"distributed.scheduler.worker-saturation": 1.0}


@dataclass(frozen=True)
class Run:
    """What became of a page.

    Attributes:
        page: as asked for.
        reused: nothing had changed since the last good run, so nothing was executed.
        why: it failed, in one paragraph; empty where it did not.
        notebook, tables: executed notebook, and files that it wrote.
    """

    page: Page
    reused: bool
    why: str
    notebook: Path
    tables: list[Path]

    @property
    def name(self) -> str:
        return self.page.notebook


def default_workers() -> int:
    """One for each CUDA device; without any, one for each two cores, at most four: each takes one
    to three gigabytes, and on two cores two pages at once take no less time than one after the
    other."""
    return len(gpus()) or max(1, min(4, CPU_COUNT // 2))


def gpus() -> list[str]:
    """The CUDA devices that workers share, as ``CUDA_VISIBLE_DEVICES`` names them; none where
    ``DEVICE`` says CPU, or names one of them for all."""
    if chosen_device() != torch.device("cuda"):
        return []
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return given.split(",") if given else [str(i) for i in range(torch.cuda.device_count())]


def worker_environments(workers: int) -> list[dict[str, str]]:
    """What each worker finds in its environment besides: one CUDA device, in turn, where there are
    any."""
    every = gpus()
    return [
        {"CUDA_VISIBLE_DEVICES": every[i % len(every)]} if every else {} for i in range(workers)
    ]


@contextmanager
def held(profiles: Iterable[str], root: Path = ROOT) -> Iterator[None]:
    """These results folders for this process alone: another run into one of them waits. What runs
    that were killed have left there is put in order first, and again at the end."""
    folder = root / "build" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for profile in sorted(set(profiles)):
            lock = FileLock(folder / f"{profile}.lock", is_singleton=True)
            try:
                lock.acquire(timeout=0.5)
            except Timeout:
                print(f"waiting for another run that writes to data/results/{profile}", flush=True)
                lock.acquire()
            stack.callback(lock.release)
            if lock.lock_counter == 1:
                settle(profile, root)
                stack.callback(settle, profile, root)  # also what a killed worker leaves
        yield


@contextmanager
def local(workers: int) -> Iterator[Client]:
    """A cluster of this many processes, which ends with the block; one that dies is replaced, with
    the environment that it had. What runs when the block is left by an error, such as Ctrl-C, is
    not waited for."""
    quiet = dict(silence_logs=logging.CRITICAL)
    specifications = {
        i: {"cls": Nanny, "options": dict(nthreads=1, memory_limit=0, env=environment, **quiet)}
        for i, environment in enumerate(worker_environments(workers))
    }
    scheduler = {"cls": Scheduler, "options": dict(host="127.0.0.1", dashboard_address=":0")}
    with dask.config.set(SETTINGS):
        cluster = SpecCluster(workers=specifications, scheduler=scheduler, **quiet)
        try:
            with Client(cluster) as client:
                try:
                    client.wait_for_workers(workers)
                    yield client
                except BaseException:
                    for nanny in cluster.workers.values():
                        nanny.auto_restart = False
                        psutil.Process(nanny.pid).kill()  # its kernel sees that, and ends
                    raise
        finally:
            with suppress(TimeoutError, psutil.NoSuchProcess):
                cluster.close()


@contextmanager
def existing(address: str) -> Iterator[Client]:
    """The cluster of a scheduler that runs already, and goes on afterwards.

    Its workers run in a checkout of the same commit, at the same path of a file system that all
    share, so that they find ``lib``, the encoders and each other's results: there,
    ``python -m distributed.cli.dask_worker tcp://… --nthreads 1``.

    Raises:
        StudyError: nothing answers there, it has no worker, or one that runs elsewhere.
    """
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise StudyError(
            f"no Dask scheduler answers at {address} ({one_line(error, 150).rstrip('.')}); expected"
            " an address such as tcp://127.0.0.1:8786. Start one with `python -m"
            " distributed.cli.dask_scheduler`, or leave SCHEDULER out to use this machine."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise StudyError(
                f"the Dask scheduler at {address} has no worker; start one in a checkout of this"
                f" commit with `python -m distributed.cli.dask_worker {address} --nthreads 1`."
            ) from error
        found = client.run(find_spec, "lib.run", on_error="return")
        here = find_spec("lib.run").origin
        elsewhere = [w for w, spec in found.items() if getattr(spec, "origin", None) != here]
        if elsewhere:
            raise StudyError(
                f"these workers of {address} find no `lib`, or another than this checkout's:"
                f" {', '.join(elsewhere)}; start them in this folder."
            )
        yield client


def run_pages(
    pages: Sequence[Page], workers: int | None = None, scheduler: str | None = None,
    force: bool = False, root: Path = ROOT,
) -> list[Run]:  # fmt: skip
    """Run pages in the order given, as workers become free, unless nothing has changed since their
    last good run. One that fails does not stop the others; one whose worker dies is run again.

    Args:
        pages: none of them twice.
        workers: processes on this machine; :func:`default_workers` if not given.
        scheduler: address of a Dask scheduler to use instead; see :func:`existing`.
        force: run even what has not changed.
        root: of the repository.

    Returns:
        what became of each, in order.

    Raises:
        StudyError: a number of workers below 1, or a scheduler or images that cannot be used.
    """
    if workers is not None and workers < 1:
        raise StudyError(f"it takes at least one worker, got workers={workers}.")
    with held({page.profile for page in pages}, root), folders_once():
        found = {page: page.damage(root) for page in pages}
        for page, damage in found.items():
            if damage:
                print(f"{page}: {damage}, computed again", flush=True)
        waiting = [page for page in pages if force or found[page] is not None]
        print(f"{len(waiting)} of {len(pages)} pages are to be run", flush=True)
        failed = _run(waiting, workers or default_workers(), scheduler, root)
        return [
            Run(
                page, page not in waiting, failed.get(page, ""),
                executed_notebook(page.profile, page.notebook, root),
                tables_of(page.profile, page.notebook, root),
            )
            for page in pages
        ]  # fmt: skip


def _run(
    pages: list[Page], workers: int, scheduler: str | None, root: Path
) -> dict[Page, str]:  # fmt: skip
    failed: dict[Page, str] = {}
    if not pages:
        return failed
    fetch({page.parameters.get("dataset", "fashion") for page in pages})
    workers = min(workers, len(pages))
    threads = max(1, CPU_COUNT // workers)
    connection = existing(scheduler) if scheduler else local(workers)
    with connection as client, tqdm(total=len(pages), unit="page", disable=len(pages) == 1) as bar:
        given = threads, root, workers == 1
        futures = {client.submit(run_page, page, *given, pure=False): page for page in pages}
        for future in as_completed(list(futures)):
            page = futures.pop(future)
            why, seconds = outcome(page, future)
            # what has ended is not kept on a worker, and so not computed again should that die
            future.release()
            tqdm.write(f"{page}: {'failed' if why else f'done in {seconds:.0f} s'}")
            if why:
                failed[page] = why
            else:
                tqdm.write("".join(f"{line}\n" for line in said_of_damage(page, root)), end="")
            bar.update()
    return failed


def outcome(page: Page, future: Future) -> tuple[str, float]:
    """Why a page failed, or nothing, and its seconds."""
    try:
        return "", future.result()
    except StudyError as error:
        return str(error), 0.0
    except KilledWorker:
        again = "ended again and again, often for lack of memory; give fewer workers"
        return f"{page}: the processes that ran it {again}.", 0.0
    except Exception as error:  # the workers' own trouble, such as a checkout without lib
        return f"{page}: {one_line(f'{type(error).__name__}: {error}').rstrip('.')}.", 0.0


def fetch(datasets: set[str]) -> None:
    """Download what is not here yet, once, before several processes would.

    Raises:
        StudyError: it is not to be had.
    """
    for dataset in datasets - {"fashion"}:
        try:
            load_images(dataset, "test")
        except (FileNotFoundError, ValueError) as error:
            raise StudyError(f"the images {dataset} cannot be used: {one_line(error)}.") from error


@contextmanager
def stopped_cleanly() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP end what runs as Ctrl-C does: workers and kernels go too."""

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, n) for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
