"""Workers on a Ray cluster, https://docs.ray.io: parts of a run on many processes and machines.

    with interp.on_ray() as cluster:  # a cluster that is there, else one of this machine
        cluster.run(interp.activation_patching, model, clean=..., corrupted=..., answer=...)

Each worker is an actor that holds the model, loaded once: from the same folder or hub, which each machine
must have; or, of a model in memory, from Ray's object store. Parts go to the driver, this process, and are
kept where `interp.resuming` says, on this machine: a cluster that is lost costs the parts in flight, and a
driver that is killed goes on from what is there.

A cluster that is started here listens on loopback alone, without a dashboard, and reports no usage to Ray's
makers. Whoever can reach the ports of any Ray cluster can run programs on it: see docs/scale-out.md.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from interp.errors import InputError, InterpError, RunError, first_line, how_to_install
from interp.on_ray.actor import Actor
from interp.on_ray.gpus import gpus_for, least_memory, worker_bytes
from interp.workers.coordinator import Lost
from interp.workers.crew import Workers
from interp.workers.messages import Begin, GoOn, Said

PATIENCE = 120.0  # seconds for the first worker to be placed
SLOW = 600.0  # seconds, where workers may have places and be slow to begin
#: No usage statistics; more patience than Ray has with itself on a busy machine. What the user sets stays.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_agent_register_timeout_ms": "120000",
}


def on_ray(
    address: str | None = None,
    *,
    workers: int | None = None,
    threads: int = 1,
    gpus_per_worker: float | None = None,
    gpu_memory: float | None = None,
) -> Cluster:
    """Workers on a Ray cluster; a context, at whose end they are gone.

    Args:
        address: of a cluster: ``ray://host:10001``, or ``host:6379`` on one of its machines. None: the one
            that this machine or ``RAY_ADDRESS`` knows of; where there is none, one of this machine alone.
        workers: how many; by default as many as the cluster has cores (or GPUs) for.
        threads: that each computes with, and the cores that it takes. Sums of floating-point numbers may
            depend on it in their last bits; on the number of workers nothing depends.
        gpus_per_worker: GPUs for each, or the share of one; by default, where the cluster has any, the share
            that the model needs of a GPU's memory (`interp.on_ray.gpus`), so that as many share it as fit.
        gpu_memory: GB of each GPU; by default the machines are asked.

    Raises `InterpError` where Ray is not installed, and where there is no cluster at the address.
    """
    return Cluster(
        address, workers=workers, threads=threads, gpus_per_worker=gpus_per_worker, gpu_memory=gpu_memory
    )


class Cluster(Workers):
    """A crew of Ray actors."""

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int | None = None,
        threads: int = 1,
        gpus_per_worker: float | None = None,
        gpu_memory: float | None = None,
    ) -> None:
        super().__init__(workers, threads)
        if gpus_per_worker is not None and gpus_per_worker < 0:
            raise InputError(f"gpus_per_worker is a number of GPUs, not {gpus_per_worker!r}.")
        if gpu_memory is not None and not gpu_memory > 0:
            raise InputError(f"gpu_memory is a number of GB above 0, not {gpu_memory!r}.")
        self._ray = _import_ray()
        self._own = _connect(self._ray, address)
        self._asked = workers, gpus_per_worker
        self._memory = None if gpu_memory is None else gpu_memory * 1e9
        self.gpus = self._gpus(gpus_per_worker)
        self.n = workers or self._most()
        self._actors: dict[int, Any] = {}
        self._saying: dict[Any, int] = {}  # what workers are about to say, by its reference
        self._parts: tuple[Any, Any] = None, None  # those of the last stage, and where they are in the store
        self._job: tuple[Any, Any] = None, None
        self._placed = False
        self._since = time.monotonic()

    def places(self) -> list[tuple[str, int]]:
        """The node and the process of each worker, once all are started; not while a job runs."""
        while len(self._actors) < self.n:
            self._start()
        return self._ray.get([actor.place.remote() for actor in self._actors.values()])

    # ---- a `Crew` ----

    def begin(self, begin: Begin) -> Sequence[int]:
        self._saying.clear()
        self._share_gpus(begin.what)
        self._placed, self._since = False, time.monotonic()
        while len(self._actors) < self.n:
            self._start()
        for number in self._actors:
            self.send(number, begin)
        return list(self._actors)

    def send(self, worker: int, answer: Any) -> None:
        """Large things that all workers get go through the object store, once."""
        if isinstance(answer, Begin):
            self._job = self._stored(self._job, answer)
            answer = self._job[1]
        elif isinstance(answer, GoOn):
            self._parts = self._stored(self._parts, answer)
            answer = self._parts[1]
        self._saying[self._actors[worker].talk.remote(answer)] = worker

    def wait(self, seconds: float) -> Sequence[tuple[int, Said | Lost]]:
        ready, _ = self._ray.wait(list(self._saying), num_returns=1, timeout=seconds)
        if not ready:
            self._check_placed()
            return []
        more, _ = self._ray.wait(list(self._saying), num_returns=len(self._saying), timeout=0)
        self._placed = True
        return [self._heard(reference) for reference in dict.fromkeys([*ready, *more])]

    def _heard(self, reference: Any) -> tuple[int, Said | Lost]:
        number = self._saying.pop(reference)
        try:
            return number, self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            actor = self._actors.pop(number, None)
            if actor is not None:
                self._ray.kill(actor)
            return number, Lost(_why_lost(error))

    def _start(self) -> int:
        self._started += 1
        options = {"num_cpus": self.threads, "num_gpus": self.gpus, "max_restarts": 0}
        remote = self._ray.remote(Actor).options(scheduling_strategy="SPREAD", **options)
        self._actors[self._started] = remote.remote(self.setting)
        return self._started

    def _stored(self, before: tuple[Any, Any], value: Any) -> tuple[Any, Any]:
        """A value, and its reference in the object store; that of the last one where it is the same."""
        same = before[0] is not None and _contents(before[0]) == _contents(value)
        return before if same else (value, self._ray.put(value))

    def _gpus(self, asked: float | None) -> float:
        there = self._ray.cluster_resources().get("GPU", 0)
        if asked is not None and asked > there:
            raise RunError(f"Each worker shall have {asked:g} GPUs, and the cluster has {there:g}.")
        return (1.0 if there else 0.0) if asked is None else asked

    def _share_gpus(self, job: Any) -> None:
        """Give each worker the share of a GPU that the job's model needs, where none was asked for; workers
        with less than that end."""
        workers, asked = self._asked
        if asked is not None or not self.gpus:
            return
        if self._memory is None:
            self._memory = least_memory(self._ray)
        share = gpus_for(worker_bytes(job), self._memory)
        if self._actors and share <= self.gpus:
            return
        self._end_actors()
        self.gpus = share
        self.n = workers or self._most()

    def _most(self) -> int:
        """How many workers the nodes have cores for, and GPUs: a worker is on one node, and its share on one
        GPU."""
        n = 0
        for node in self._ray.nodes():
            there = node["Resources"] if node["Alive"] else {}
            cores = int(there.get("CPU", 0) / self.threads)
            n += min(cores, self._on_gpus(there.get("GPU", 0))) if self.gpus else cores
        return max(1, n)

    def _on_gpus(self, there: float) -> int:
        """How many workers the GPUs of a node have room for."""
        if self.gpus >= 1:
            return int(there / self.gpus)
        return int(there) * int(1 / self.gpus + 1e-9)

    def _check_placed(self) -> None:
        """`RunError` where no worker has a place. One that has a place may be slow to begin: what is taken of
        the cluster, by these workers or by others, says that it may be so."""
        if self._placed:
            return
        there, free = self._ray.cluster_resources(), self._ray.available_resources()
        cores, gpus = free.get("CPU", 0), free.get("GPU", 0)
        enough = cores >= self.threads and gpus >= self.gpus
        taken = there.get("CPU", 0) - cores >= self.threads and there.get("GPU", 0) - gpus >= self.gpus
        patience = SLOW if taken else PATIENCE
        if not enough and time.monotonic() - self._since > patience:
            raise RunError(
                f"No worker could be placed within {patience:.0f} seconds: each takes {self.threads} "
                f"cores and {self.gpus:g} GPUs, and {cores:g} and {gpus:g} are free."
            )

    def _end_actors(self) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        self._saying.clear()

    def close(self) -> None:
        """End all workers, and the cluster where it was started here."""
        self._end_actors()
        if self._own:
            self._ray.shutdown()


def _contents(value: Any) -> tuple[int, ...]:
    """What tells that two messages hold the same things, which are alive."""
    if isinstance(value, GoOn):
        return tuple(map(id, value.parts))
    return value.job, id(value.what)


def _import_ray() -> Any:
    for name, value in _SETTINGS.items():  # before it is imported
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise InterpError(f"Ray is not installed; run: {how_to_install('ray')}.") from None
    return ray


def _connect(ray: Any, address: str | None) -> bool:
    """Be connected; whether that is to be ended here, as nobody was connected before."""
    if ray.is_initialized():
        return False
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        address = "auto" if _known_cluster() else "local"
    if address == "local":
        _stay_on_loopback(ray)
        options |= {"include_dashboard": False}
    elif address.startswith(("127.", "localhost")):
        _stay_on_loopback(ray)
    elif address.startswith("ray://"):
        options = {}  # Ray's client takes none of these
    if ":" in address:
        _check_reachable(address)
    expected = (ImportError, ConnectionError, ValueError, RuntimeError, OSError, ray.exceptions.RayError)
    try:
        ray.init(address=address, **options)
    except expected as error:  # ImportError: ray:// needs ray[client]
        raise RunError(
            f"There is no Ray cluster at {address!r} that can be used ({first_line(error)})."
        ) from None
    return True


def _check_reachable(address: str) -> None:
    """`RunError` where nobody listens at an address; Ray itself would try for two minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=10):
            return
    except (OSError, ValueError, OverflowError) as error:
        raise RunError(f"There is no Ray cluster at {address!r} ({first_line(error)}).") from None


def _stay_on_loopback(ray: Any) -> None:
    """Take 127.0.0.1 for this machine, as Ray does by itself on macOS and Windows; on Linux it puts an
    address in its place that others can reach."""
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = False


def _known_cluster() -> bool:
    """Whether there is a cluster that this machine knows of."""
    if os.environ.get("RAY_ADDRESS"):
        return True
    from ray._private import services

    return bool(services.find_gcs_addresses())


def _why_lost(error: BaseException) -> str:
    kind = type(error).__name__
    if "Task" in kind:  # it lives, and cannot read what it was sent
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"it fails with {lines[-1] if lines else kind}"
    return "its node is gone" if "Node" in kind else f"its process has ended, {kind}"
