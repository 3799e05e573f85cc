"""Where remote passes run, and how: each list of passes is one request, which is counted.

A request goes to an NDIF server, or, with ``remote="local"``, through nnsight's own simulation of one: it is
written out and read back as for a server, this library hidden, and runs on weights that are loaded here.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import pickle
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import torch
import zstandard
from nnsight import CONFIG, save
from nnsight.intervention.backends.local import LocalSimulationBackend
from nnsight.intervention.backends.remote import RemoteBackend
from nnsight.schema.response import ResponseModel, Status

from interp.errors import InterpError, ModelLoadError, RunError, first_line
from interp.models.remote import program
from interp.models.remote.passes import Pass
from interp.progress import report

NDIF = "https://api.ndif.us"
#: Seconds for which a server may say nothing at all.
PATIENCE = 1800.0
_ASKING = 10.0  # seconds for a question about the server itself
#: What a request goes through, in the order of its life.
_STAGES = (
    *(Status.RECEIVED, Status.QUEUED, Status.PROVISIONING, Status.DEPLOYING),
    *(Status.DISPATCHED, Status.RUNNING, Status.COMPLETED),
)


@dataclass(eq=False)
class Service:
    """Requests of one model. `host` is the server's address, None for nnsight's simulation of one."""

    model: Any  # nnsight's
    name: str
    host: str | None
    n_requests: int = 0

    @classmethod
    def of(cls, model: Any, name: str, remote: bool | str) -> Service:
        """The service that ``remote`` of `interp.load_model` names. `ModelLoadError` where NDIF is meant and
        there is no key. Only the environment names another server, no argument and no file."""
        if remote == "local":
            return cls(model, name, None)
        host = (os.environ.get("NDIF_HOST") or CONFIG.API.HOST).rstrip("/")
        if not host.startswith(("http://", "https://")):
            raise ModelLoadError(f"NDIF_HOST must be an address that begins with https://, not {host!r}.")
        if host == NDIF and not _key():
            raise ModelLoadError(
                "NDIF needs a key, and there is none; get one at https://login.ndif.us and set NDIF_API_KEY."
            )
        return cls(model, name, host)

    @property
    def where(self) -> str:
        """What results call the place: no part of it is secret."""
        return "remote (simulated)" if self.host is None else f"remote ({self.host})"

    def send(self, passes: Sequence[Pass]) -> list[dict[str, Any]]:
        """What each pass reads, by one request. `RunError` where the server gives no result."""
        told = [{"ids": one.ids, "mask": torch.ones_like(one.ids), "asked": one.asked} for one in passes]
        self.n_requests += 1
        if self.host is None:
            with _quiet():
                return _ask(self.model, told, LocalSimulationBackend(self.model))
        try:
            return _ask(self.model, told, self._backend())
        except (InterpError, CancelledError):  # nobody waits for it any more
            raise
        except Exception as error:  # of nnsight, httpx, the websocket and the hub; each becomes one sentence
            raise RunError(self._why_not(error)) from None

    def _backend(self) -> Request:
        backend = Request(
            self.model.to_model_key(),
            host=self.host,
            api_key=_key(),
            env=self.model._remoteable_get_env(),
        )
        backend.display = Queue(self.host or "")
        return backend

    # ---- what goes wrong ----

    def _why_not(self, error: Exception) -> str:
        """One sentence for a request that failed, without the key, whoever repeats it."""
        text = _last_line(error)
        low = text.lower()
        if isinstance(error, OSError) or "failed to send request: [errno" in low or "handshake" in low:
            return f"{self.host} could not be reached ({text}); check the address and the network."
        if "api key" in low or " 401" in low or " 403" in low:
            return (
                f"{self.host} does not take this key ({text}); get one at https://login.ndif.us and set "
                "NDIF_API_KEY."
            )
        if "timeout" in low or "timed out" in low:
            return (
                f"{self.host} ended the request of {self.name} for its time ({text}); ask for fewer "
                "branches, or for shorter prompts."
            )
        skew = self._skew()
        if skew or "version" in low:
            return (
                f"{self.host} and this machine have different versions ({text}){skew and '; ' + skew}; "
                "install those of the server."
            )
        running, asked = self._running(), self._id
        if running is not None and asked not in running:
            some = f"it runs {', '.join(sorted(running)[:5])}" if running else "it runs none"
            return f"{self.host} does not run {asked} ({text}); {some}."
        return f"The request of {self.name} failed at {self.host} ({text})."

    @property
    def _id(self) -> str:
        """What the server calls the model."""
        try:
            return str(json.loads(self.model.to_model_key().split(":", 1)[1])["repo_id"])
        except Exception:  # of the hub, of many kinds
            return str(self.model.repo_id)

    def _running(self) -> set[str] | None:
        """The models that the server runs; None where it does not say."""
        found = self._get("/status")
        if found is None or not isinstance(found.get("deployments"), dict):
            return None
        return {
            str(one.get("repo_id"))
            for one in found["deployments"].values()
            if one.get("application_state") == "RUNNING"
        }

    def _skew(self) -> str:
        """Where the server's nnsight is of another version in its first two numbers; else nothing."""
        found = self._get("/env")
        there = str((found or {}).get("packages", {}).get("nnsight", ""))
        from nnsight import __version__ as here

        if not there or there.split(".")[:2] == here.split(".")[:2]:
            return ""
        return f"nnsight is {here} here and {there} there"

    def _get(self, path: str) -> dict[str, Any] | None:
        try:
            with urlopen(f"{self.host}{path}", timeout=_ASKING) as answer:
                found = json.loads(answer.read(10_000_000))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


class Request(RemoteBackend):
    """nnsight's request, which takes from a server tensors and plain values alone: its own would run whatever
    the server has put into the pickle."""

    @staticmethod
    def parse(message: str | bytes) -> ResponseModel:
        if isinstance(message, str):
            return ResponseModel.model_validate_json(message)
        return ResponseModel(**_tensors(bytes(message)))

    def finalize(self, content: bytes) -> Any:
        if self.compress:
            content = zstandard.ZstdDecompressor().decompress(content)
        return _tensors(content)


#: What a server may name in what it sends: how tensors are built, and how a request stands.
_NAMED = {
    ("torch._utils", "_rebuild_tensor_v2"),
    ("collections", "OrderedDict"),
    ("nnsight.schema.response", "Status"),
}


class _Plain(pickle.Unpickler):
    """Tensors, numbers, text, and containers of these."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMED:
            raise RunError(f"The server has sent a {module}.{name}, which is not read; only tensors are.")
        return super().find_class(module, name)


def _tensors(content: bytes) -> Any:
    reader = SimpleNamespace(__name__="plain", Unpickler=_Plain)  # no `load`, by which older formats go
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False, pickle_module=reader)


class Queue:
    """How far a request is, as progress. Takes the place of the line that nnsight prints."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.enabled = True  # nnsight then looks at the clock meanwhile
        self.stage = 0
        self.heard = time.monotonic()

    def update(self, response: ResponseModel) -> None:
        """A message has come. Once the result is there, nnsight shows no bar of its own."""
        self.heard = time.monotonic()
        if response.status in _STAGES:
            self.stage = _STAGES.index(response.status)
        self.enabled = response.status is not Status.COMPLETED
        self.refresh()

    def refresh(self) -> None:
        """Nothing has come for a moment: whoever waits can leave (`interp.progress`), and silence ends."""
        word = "at the server" if self.stage == 0 else _STAGES[self.stage].value.lower()
        report(f"remote, {word}", self.stage, len(_STAGES) - 1)
        if time.monotonic() - self.heard > PATIENCE:
            raise RunError(
                f"{self.host} has said nothing for {PATIENCE:.0f} seconds (the request was last {word}); ask "
                "again later."
            )


def _ask(model: Any, told: list[dict[str, Any]], backend: Any) -> list[dict[str, Any]]:
    """The passes, as one session of nnsight. What is inside is sent as its source, with what it names."""
    run_there: Callable[..., Any] = inspect.unwrap(program.run_there)
    with model.session(backend=backend):
        found: list[Any] = save([])
        for one in told:
            with model.trace(input_ids=one["ids"], attention_mask=one["mask"], use_cache=False):
                found.append(run_there(model, one["asked"]))
    return list(found)


def _key() -> str | None:
    """The key, from the environment or nnsight's own configuration."""
    return os.environ.get("NDIF_API_KEY") or CONFIG.API.APIKEY


def _last_line(error: Exception) -> str:
    """What an error says, without the key: of a traceback the last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (lines[-1] if lines else first_line(error)).rstrip(".")
    key = _key()
    return text.replace(key, "...") if key else text


class _quiet:
    """No bar of transformers while the simulation loads its weights."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self.bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        if self.bars:
            logging.enable_progress_bar()
