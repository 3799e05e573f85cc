"""A run on a real cluster of Ray, several raylets on this machine, of which some are killed.

`make test-ray` runs these; pytest by itself leaves them out where Ray is not installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

import interp
from crews import Logged
from interp.errors import InputError, RunError
from interp.progress import listening
from interp.resume import resuming
from interp.runs import read_run

with pytest.MonkeyPatch.context() as _patched:  # while Ray is imported, and where it is, alone
    if find_spec("ray") is not None:
        _patched.setitem(sys.modules, "rfc3987_syntax", None)  # of Jupyter's; up to 8 seconds
    ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray

COUNTRIES = ["France", "Italy", "Spain", "Germany"]
PAIRS: dict[str, Any] = {
    "clean": [f"The capital of {country} is" for country in COUNTRIES],
    "corrupted": ["The capital of Japan is"] * 4,
    "answer": [" Paris", " Rome", " Madrid", " Berlin"],
    "foil": " Tokyo",
}


class Machines:
    """A cluster: a head that computes nothing, and two nodes of a core each, raylets of their own."""

    def __init__(self) -> None:
        from ray._private import ray_constants
        from ray.cluster_utils import Cluster

        ray_constants.ENABLE_RAY_CLUSTER = False  # as `on_ray` has it: 127.0.0.1 is this machine
        head = {"num_cpus": 0, "include_dashboard": False, "node_ip_address": "127.0.0.1"}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self.add() for _ in range(2)]
        self.cluster.wait_for_nodes()
        self.address = f"127.0.0.1:{self.cluster.address.rsplit(':', 1)[1]}"

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1")

    def kill(self, node: Any) -> None:
        """SIGKILL to a raylet: the machine is gone, with all that ran on it."""
        from ray._private import ray_constants

        (info,) = node.all_processes[ray_constants.PROCESS_TYPE_RAYLET]
        os.kill(info.process.pid, signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def _quick_imports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The processes of Ray leave out that package, too: what takes too long to start, Ray gives up."""
    folder = tmp_path_factory.mktemp("left-out")
    (folder / "rfc3987_syntax.py").write_text("raise ImportError\n")
    with pytest.MonkeyPatch.context() as patched:
        here = [str(folder), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        patched.setenv("PYTHONPATH", os.pathsep.join(here))  # with the job of these tests, in crews.py
        yield


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    found = Machines()
    yield found
    ray.shutdown()
    found.cluster.shutdown()


@pytest.fixture(autouse=True)
def _disconnected() -> Iterator[None]:
    yield
    ray.shutdown()


# ---- nothing is lost ----


def test_a_worker_that_is_killed_costs_the_part_in_flight(machines: Machines, tmp_path: Path) -> None:
    """The worker that is at the third part, which waits there until its worker is dead."""
    job = Logged(str(tmp_path / "log"), held=2)
    killed: list[int] = []

    def kill_one() -> None:
        killed.append(job.holder())
        os.kill(killed[0], signal.SIGKILL)
        job.let_go()

    with interp.on_ray(machines.address, workers=2) as cluster, resuming(tmp_path / "parts"):
        assert len({node for node, _ in cluster.places()}) == 2, "a worker on each node"
        killing = threading.Thread(target=kill_one, daemon=True)
        killing.start()
        assert cluster.do(job) == [float(i**2) for i in range(job.n)]
        killing.join()
    begun = job.begun()
    times = Counter(index for index, _ in begun)
    assert times == {index: 1 + (index == job.held) for index in range(job.n)}, (
        f"that in flight twice, and no other: {begun}"
    )
    assert begun[-1][1] != killed[0]


def test_a_node_that_is_gone_costs_the_part_in_flight(machines: Machines, tmp_path: Path) -> None:
    """One raylet is killed; then there is one core less, and its worker has no place until a node joins."""
    job = Logged(str(tmp_path / "log"), n=10, seconds=0.5)
    lost = machines.nodes.pop()

    def kill_node(task: str, done: int, total: int) -> None:
        if done == 2:
            machines.kill(lost)
        if done == 6:
            machines.nodes.append(machines.add())

    with interp.on_ray(machines.address, workers=2) as cluster, resuming(tmp_path / "parts"):
        cluster.places()
        with listening(kill_node):
            assert cluster.do(job) == [float(i**2) for i in range(job.n)]
    assert len(job.begun()) <= job.n + 1, f"no part twice but that in flight: {job.begun()}"
    machines.cluster.remove_node(lost, allow_graceful=False)  # what is left of it


#: The command, in a process that notes each part that it keeps, and kills itself when it has kept so many.
_NOTED = """
import os, signal
from interp.resume import Folder
keep, most = Folder.keep, int(os.environ["KILLED_AFTER"])
def noted(self, digest, arrays):
    keep(self, digest, arrays)
    with open(os.environ["KEPT"], "a") as file:
        file.write(digest + "\\n")
    if len(open(os.environ["KEPT"]).readlines()) == most:
        os.kill(os.getpid(), signal.SIGKILL)
Folder.keep = noted
from interp.cli import main
main()
"""


def test_a_driver_that_is_killed_goes_on(machines: Machines, tmp_path: Path) -> None:
    """The command is killed by SIGKILL as it has kept two pairs, and given again."""
    options = ["run", "path_patching", "--set", "n=8", "--set", "self_check=false", "--set", "pairs=all"]
    on_ray = [*options, "--tag", "one", "--on", machines.address, "--workers", "2"]

    def kept(name: str, killed_after: int) -> list[str]:
        environment = os.environ | {"KEPT": str(tmp_path / name), "KILLED_AFTER": str(killed_after)}
        command = [sys.executable, "-c", _NOTED, *on_ray]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ended.returncode == (-signal.SIGKILL if killed_after else 0), ended.stderr
        return (tmp_path / name).read_text().split()

    first = kept("first", 2)
    parts = tmp_path / "outputs" / "path_patching" / ".one.parts"
    assert len(first) == 2 == len(list(parts.glob("*.npz")))
    second = kept("second", 0)
    assert len(second) == 6, "the pairs that were not there yet"
    assert not set(first) & set(second), "no pair is computed again"
    one = read_run(parts.parent / "one")
    here = [sys.executable, "-m", "interp", *options, "--tag", "here"]
    ended = subprocess.run(here, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert read_run(parts.parent / "here").result.equals(one.result), "to the last bit"


def test_a_part_that_fails_everywhere_is_named_and_the_others_are_kept(
    machines: Machines, tmp_path: Path
) -> None:
    job = Logged(str(tmp_path / "log"), n=5, fails=3)
    with interp.on_ray(machines.address, workers=2) as cluster, resuming(tmp_path / "parts"):
        with pytest.raises(
            RunError, match=r"numbers 4 of 5, the number 3: ValueError: this one never works\."
        ):
            cluster.do(job)
        assert len(list((tmp_path / "parts").glob("*.npz"))) == 4
        right = Logged(job.log, n=5)
        assert cluster.do(right) == [0.0, 1.0, 4.0, 9.0, 16.0]
    begun = Counter(index for index, _ in job.begun())
    assert begun == {0: 1, 1: 1, 2: 1, 3: 3, 4: 1}, (
        "tried on both workers, then once more, and no other again"
    )


# ---- as many workers a GPU as fit its memory ----


def test_as_many_workers_a_gpu_as_fit() -> None:
    """Nodes of a GPU each, as they claim: a worker of demo-gpt2 needs a little more than 1 GB."""
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster as Nodes

    ray_constants.ENABLE_RAY_CLUSTER = False
    head = {"num_cpus": 0, "include_dashboard": False, "node_ip_address": "127.0.0.1"}
    nodes = Nodes(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            nodes.add_node(num_cpus=8, num_gpus=1, node_ip_address="127.0.0.1")
        nodes.wait_for_nodes()
        address = f"127.0.0.1:{nodes.address.rsplit(':', 1)[1]}"
        model = interp.load_model("demo-gpt2", device="cpu")
        whole = interp.activation_patching(model, **PAIRS)
        with interp.on_ray(address, gpu_memory=3.0) as cluster:
            assert cluster.run(interp.activation_patching, model, **PAIRS).equals(whole)
            assert (cluster.gpus, cluster.n) == (0.5, 4)
            assert sorted(Counter(node for node, _ in cluster.places()).values()) == [2, 2]
        with interp.on_ray(address, gpus_per_worker=1) as cluster:
            assert sorted(Counter(node for node, _ in cluster.places()).values()) == [1, 1]
        with (
            interp.on_ray(address, gpu_memory=0.5) as cluster,
            pytest.raises(RunError, match=r"needs about .* GB, and a GPU of the cluster has 0.5 GB"),
        ):
            cluster.run(interp.activation_patching, model, **PAIRS)
        with interp.on_ray(address) as cluster:  # a GPU that is claimed says nothing of its memory
            assert len(cluster.places()) == 2
    finally:
        ray.shutdown()
        nodes.shutdown()


def test_from_outside_by_rays_client(tmp_path: Path) -> None:
    """``ray://host:port``: the driver is no machine of the cluster."""
    pytest.importorskip("grpc", reason="needs ray[client], which is not installed")
    port, client = (_free_port() for _ in range(2))
    start = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2"]
    start += [f"--ray-client-server-port={client}", "--include-dashboard=false"]
    head = subprocess.Popen([sys.executable, "-m", "ray.scripts.scripts", *start], stdout=subprocess.DEVNULL)
    try:
        _wait_for_port(client)
        options = ["-m", "interp", "run", "activation_patching", "--set", "self_check=false", "--tag"]
        on = ["--on", f"ray://127.0.0.1:{client}", "--workers", "2"]
        for command in (["one", *on], ["here"]):
            ended = subprocess.run(
                [sys.executable, *options, *command],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert ended.returncode == 0, ended.stderr
        folder = tmp_path / "outputs" / "activation_patching"
        assert read_run(folder / "here").result.equals(read_run(folder / "one").result)
    finally:
        head.terminate()  # and with it the processes that it waits for
        head.wait(timeout=60)


def _wait_for_port(port: int, seconds: float = 90.0) -> None:
    for _ in range(int(seconds * 5)):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise AssertionError(f"nobody listens at {port}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# ---- the same numbers, on a cluster that is started here ----


def test_a_cluster_of_this_machine(tmp_path: Path) -> None:
    """One worker, then two; a model by its name, and one in memory; ports on loopback alone."""
    model = interp.load_model("demo-gpt2", device="cpu")
    whole = interp.activation_patching(model, **PAIRS)
    with interp.on_ray("local", workers=2) as cluster:
        assert cluster.run(interp.activation_patching, model, **PAIRS).equals(whole)
        in_memory = interp.load_model(model.hf_model, model.tokenizer, name="mine")
        mine = interp.activation_patching(in_memory, **PAIRS)
        assert cluster.run(interp.activation_patching, in_memory, **PAIRS).equals(mine)
        with pytest.raises(InputError, match="Unknown direction"):
            cluster.run(interp.activation_patching, model, **PAIRS, direction="sideways")
        open_to_all = _listening_beyond_loopback()
    assert not open_to_all, f"these listen on all interfaces: {open_to_all}"


def _listening_beyond_loopback() -> set[tuple[str, str]]:
    """What processes of Ray listen on, that others can reach: the program and the address."""
    session = json.loads(json.dumps(ray._private.worker._global_node.get_session_dir_path()))
    found = set()
    for process in psutil.process_iter(["cmdline", "name"]):
        line = " ".join(process.info["cmdline"] or [])
        if session not in line and not line.startswith("ray::"):
            continue
        try:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN and not connection.laddr.ip.startswith(
                    ("127.", "::1", "::ffff:127.")
                ):
                    found.add((process.info["name"], connection.laddr.ip))
        except psutil.Error:
            continue
    return found


def test_what_no_cluster_is_said() -> None:
    with pytest.raises(RunError, match=r"There is no Ray cluster at '127\.0\.0\.1:1'"):
        interp.on_ray("127.0.0.1:1")
    with pytest.raises(InputError, match="workers must be a whole number"):
        interp.on_ray(workers=0)
