"""A WHIP and WHEP server of stock aiortc, in a process of its own: `python whip_server.py TOKEN`.

Streams have names: POST /whip/NAME publishes, POST /whep/NAME plays, DELETE on the Location ends either.
/moved/whip/NAME is sent on with 307. What has happened is read at GET /sessions.
"""

from __future__ import annotations

import socket
import sys
from contextlib import asynccontextmanager

import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

TOKEN = sys.argv[1] if len(sys.argv) > 1 else ""
relay = MediaRelay()
streams: dict[str, dict[str, object]] = {}
sessions: dict[str, RTCPeerConnection] = {}
deleted: list[str] = []


@asynccontextmanager
async def lifespan(_: FastAPI):
    yield
    for pc in sessions.values():
        await pc.close()


app = FastAPI(lifespan=lifespan)


async def answer(pc: RTCPeerConnection, path: str, offer: str) -> Response:
    await pc.setLocalDescription(await pc.createAnswer())
    name = f"{path}/{len(sessions)}"
    sessions[name] = pc
    headers = {"Location": f"/session/{name}", "ETag": '"1"'}
    return Response(pc.localDescription.sdp, 201, headers, "application/sdp")


def allowed(request: Request) -> bool:
    return request.headers.get("authorization") == f"Bearer {TOKEN}"


@app.post("/whip/{name}")
async def publish(name: str, request: Request) -> Response:
    if not allowed(request):
        return Response(status_code=401)
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tracks = streams[name] = {}

    @pc.on("track")
    def keep(track):
        tracks[track.kind] = track

    offer = (await request.body()).decode()
    await pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    return await answer(pc, f"whip/{name}", offer)


@app.post("/whep/{name}")
async def play(name: str, request: Request) -> Response:
    if not allowed(request):
        return Response(status_code=401)
    if name not in streams:
        return Response(status_code=404)
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    offer = (await request.body()).decode()
    await pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    for transceiver in pc.getTransceivers():
        track = streams[name].get(transceiver.kind)
        if track is not None:
            transceiver.sender.replaceTrack(relay.subscribe(track))
            transceiver.direction = "sendonly"
    return await answer(pc, f"whep/{name}", offer)


@app.post("/moved/{way}/{name}")
async def moved(way: str, name: str) -> Response:
    return RedirectResponse(f"/{way}/{name}", 307)


@app.post("/astray/{way}/{name}")
async def astray(way: str, name: str) -> Response:
    return RedirectResponse(f"http://127.0.0.1:9/{way}/{name}", 307)


@app.delete("/session/{path:path}")
async def end(path: str) -> Response:
    deleted.append(path)
    if path in sessions:
        await sessions[path].close()
    return Response(status_code=200)


@app.get("/sessions")
async def told() -> dict:
    return {"deleted": deleted}


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    sys.stdout.write(f"listening on http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
