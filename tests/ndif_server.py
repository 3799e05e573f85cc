"""A server that speaks NDIF's protocol, with one model, for `test_remote.py`: a program of its own.

    python ndif_server.py FOLDER ID

It prints its port. What is sent runs as on NDIF: read back by nnsight against the model that is loaded
here, without `interp`. The key chooses what else happens: "wrong" is refused, "old" is told that it is too
old, with "slow" the request ends for its time, with "mute" nothing is ever said.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import sys
import uuid

sys.modules["interp"] = None  # type: ignore[assignment]  # it is not on NDIF

import torch
import uvicorn
import zstandard
from nnsight.modeling.transformers import TransformersModel
from nnsight.schema.request import RequestModel
from nnsight.schema.response import ResponseModel, Status
from nnsight.tracing.tracer import _saves, dec, inc
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from transformers import AutoTokenizer

FOLDER, ID = sys.argv[1:]
REFUSED = {
    "wrong": (403, "Invalid API key."),
    "old": (400, "Client nnsight version 0.8.1 is below the minimum supported 9.0."),
    "echo": (400, "Invalid API key format: 'echo'."),
}
sessions: dict[str, WebSocket] = {}
tasks: set[asyncio.Task] = set()
model = TransformersModel(
    FOLDER, task="text-generation", tokenizer=AutoTokenizer.from_pretrained(FOLDER), dispatch=True
)


async def subscribe(websocket: WebSocket) -> None:
    await websocket.accept()
    session = uuid.uuid4().hex
    sessions[session] = websocket
    await websocket.send_text(json.dumps({"session_id": session}))
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def request(asked: Request) -> Response:
    key = asked.headers.get("ndif-api-key", "")
    if key in REFUSED:
        code, detail = REFUSED[key]
        return JSONResponse({"detail": detail}, status_code=code)
    form = await asked.form()
    envelope = RequestModel.model_validate_json(str(form["data"]))
    blob = await form["blob"].read()  # type: ignore[union-attr]
    number = uuid.uuid4().hex
    task = asyncio.create_task(answer(sessions[envelope.session_id], number, envelope, blob, key))
    tasks.add(task)
    return Response(
        ResponseModel(id=number, status=Status.RECEIVED).model_dump_json(), media_type="application/json"
    )


async def answer(to: WebSocket, number: str, envelope: RequestModel, blob: bytes, key: str) -> None:
    async def say(status: Status, description: str = "") -> None:
        await to.send_text(ResponseModel(id=number, status=status, description=description).model_dump_json())

    if key == "mute":
        return
    repository = json.loads(envelope.model_key.split(":", 1)[1])["repo_id"]
    await say(Status.QUEUED, "moved to position 1 in the queue")
    if repository != ID:
        await say(Status.ERROR, f"Could not deploy this model. {repository} is not available.")
        return
    await say(Status.RUNNING)
    if key == "slow":
        await say(Status.ERROR, "Your job exceeded the execution timeout of 60.0s.")
        return
    try:
        model._remoteable_set_env(envelope.env)
        result = run(blob, envelope.compress)
    except Exception as error:
        await say(Status.ERROR, f"Traceback\n{type(error).__name__}: {error}")
        return
    await to.send_bytes(ResponseModel(id=number, status=Status.COMPLETED, data=result).pickle())


def run(blob: bytes, compress: bool) -> bytes:
    tracer = RequestModel.deserialize(blob, model._remoteable_persistent_objects(), compress=compress)
    inc()
    try:
        tracer.execute(tracer.info.code)
        saves = _saves()
        saved = {name: value for name, value in tracer.info.frame.f_locals.items() if id(value) in saves}
    finally:
        dec()
    written = io.BytesIO()
    torch.save(saved, written)
    return zstandard.ZstdCompressor().compress(written.getvalue()) if compress else written.getvalue()


async def status(_: Request) -> Response:
    return JSONResponse({"deployments": {"one": {"repo_id": ID, "application_state": "RUNNING"}}})


async def environment(_: Request) -> Response:
    return JSONResponse({"python_version": sys.version, "packages": {}})


application = Starlette(
    routes=[
        Route("/request", request, methods=["POST"]),
        Route("/status", status),
        Route("/env", environment),
        WebSocketRoute("/subscribe", subscribe),
    ]
)
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(application, log_level="error")).run(sockets=[listening])
