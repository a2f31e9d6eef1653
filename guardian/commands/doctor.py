"""`guardian doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from guardian.commands.checks import Check, Verdict
from guardian.core.errors import GuardianError, ModelMissing, Unavailable
from guardian.telemetry.machine import machine, memory_left

CALL_MIB = 350
"""Memory of one call at 640x480 (`guardian bench call`)."""
IMPORT_S = 60.0

# Module -> what stops working without it; the first group is what the main job stands on.
NEEDED = {
    "aiortc": "no call can be joined",
    "av": "no sound or picture can be coded",
    "cv2": "no picture can be covered",
    "onnxruntime": "no network can be run",
    "ai_edge_litert.interpreter": "people are not found",
    "pocketsphinx": "English is not heard without further weights",
}
USEFUL = {
    "vosk": "there is no second opinion on what is said",
    "mediapipe": "benchmarks lack a peer",
    "skimage": "the demo lacks its sample portrait",
}
EXTRAS = {"skimage": "'guardian-sidecar[demo]'", "vosk": "'guardian-sidecar[vosk]'"}
"""Modules that only an extra brings."""
CODECS = (("libvpx", "vp8"), ("libx264", "h264"), ("libopus", "opus"))
"""FFmpeg's encoder and decoder names of what a call is made of."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "firefox")


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port that should be free; default: the set one.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file that `serve` is given.")] = None,
) -> None:
    """Say what works on this machine and what to do; exit 1 only if calls cannot be protected."""
    checks = []
    for check in examine(port, config):
        checks.append(check)
        if not json:
            _show(check)
    if json:
        from json import dumps

        ok = all(check.verdict is not Verdict.FAIL for check in checks)
        typer.echo(dumps({"ok": ok, "checks": [asdict(check) for check in checks]}, indent=2))
    failed = [check.name for check in checks if check.verdict is Verdict.FAIL]
    if failed:
        raise Unavailable(f"Calls cannot be protected on this machine yet: see {', '.join(failed)}.")


def examine(port: int | None, config: Path | None) -> Iterator[Check]:
    """All checks, in the order a newcomer would fix them."""
    yield _python()
    yield _cores()
    yield _memory()
    yield _slots(config)
    for module, loss in NEEDED.items():
        yield _engine(module, Verdict.FAIL, loss)
    for module, loss in USEFUL.items():
        yield _engine(module, Verdict.WARN, loss)
    yield from _codecs()
    yield from _weights()
    yield from _second_opinions(config)
    yield _evidence(config)
    yield from _port(port, config)
    yield from _host(config)
    yield _browser()


def _python() -> Check:
    # An older one never comes this far: the package asks for 3.11 and does not even parse below it.
    return Check("python", Verdict.OK, sys.version.split()[0])


def _cores() -> Check:
    cores = machine().cores
    found = f"{cores.value:g} ({cores.by})"
    if cores.value >= 1:
        return Check("cores", Verdict.OK, found)
    return Check("cores", Verdict.WARN, found, "Allow at least one core; pictures will come late.")


def _memory() -> Check:
    free = memory_left()
    if free is None:
        return Check("memory", Verdict.WARN, "not known on this system", "Give Guardian 1 GiB or more.")
    if free < CALL_MIB:
        advice = f"Free some memory or raise the limit: a call takes up to {CALL_MIB} MiB."
        return Check("memory", Verdict.WARN, f"{free:.0f} MiB free", advice)
    return Check("memory", Verdict.OK, f"{free:.0f} MiB free")


def _slots(config: Path | None) -> Check:
    """How many calls `guardian serve` takes at once here, and by which figures."""
    from guardian.capacity import capacity
    from guardian.settings import load

    try:
        settings = load(config)
        found = capacity(settings)
    except GuardianError as error:
        return Check("calls at once", Verdict.WARN, "not known", str(error))
    limits = settings.limits
    if limits.max_calls != "auto":
        return Check("calls at once", Verdict.OK, f"{found.slots} (`limits.max_calls`)")
    cost = found.budget.costs.of(found.budget.expected)
    by = f"measured {found.measured.measured_at[:10]}" if found.measured else "shipped figures"
    what = f"{found.slots} ({limits.call_size}: {cost.cores:.2f} core, {cost.mb:.0f} MiB each; {by})"
    if not found.budget.room.holds(cost):
        advice = "There is room for less than one: pictures will come late. Allow more cores or memory."
        return Check("calls at once", Verdict.WARN, what, advice)
    return Check("calls at once", Verdict.OK, what)


def _engine(module: str, verdict: Verdict, loss: str) -> Check:
    # In a process of its own: a native library that does not fit this processor kills whoever loads it.
    name = f"import {module.partition('.')[0]}"
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"], capture_output=True, timeout=IMPORT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Check(name, verdict, f"takes over {IMPORT_S:.0f} s", f"Without it {loss}.")
    if done.returncode == 0:
        return Check(name, Verdict.OK, "works")
    if done.returncode < 0:
        advice = f"Without it {loss}; this processor may lack what the package was built for."
        return Check(name, verdict, f"dies of signal {-done.returncode}", advice)
    package = EXTRAS.get(module, "--force-reinstall guardian-sidecar")
    return Check(name, verdict, "does not load", f"Without it {loss}; run `pip install {package}`.")


def _codecs() -> Iterator[Check]:
    try:
        from av.codec import Codec
        from av.error import FFmpegError
    except ImportError:
        return  # said already
    for encoder, decoder in CODECS:
        name = f"codec {decoder}"
        try:
            Codec(encoder, "w")
            Codec(decoder, "r")
        except (FFmpegError, ValueError):
            optional = decoder == "h264"
            advice = (
                "Peers that offer only H.264 cannot join; use the PyAV wheel or an FFmpeg with libx264."
                if optional
                else f"Use the PyAV wheel, or build FFmpeg with {encoder}."
            )
            yield Check(name, Verdict.WARN if optional else Verdict.FAIL, "not in this FFmpeg", advice)
        else:
            yield Check(name, Verdict.OK, f"{encoder} writes, {decoder} reads")


def _weights() -> Iterator[Check]:
    from guardian.models import ModelStore

    try:
        store = ModelStore.default()
    except GuardianError as error:
        yield Check("weights", Verdict.FAIL, "cannot be looked for", str(error))
        return
    for role in store.manifest.roles:
        if role.on_request:
            continue
        name = f"weights {role.name}"
        try:
            found = store.find(role.name)
        except ModelMissing as error:
            yield Check(name, Verdict.FAIL if role.required else Verdict.WARN, "missing", str(error))
            continue
        if found.preferred:
            yield Check(name, Verdict.OK, found.model_id)
        else:
            yield Check(name, Verdict.WARN, found.model_id, found.note)


def _second_opinions(config: Path | None) -> Iterator[Check]:
    """Vosk's models: nobody has to have them, and one that is set and cannot be used should be known."""
    from guardian.ears import LANGUAGES, vosk_model
    from guardian.models import ModelStore
    from guardian.settings import load

    try:
        store, speech = ModelStore.default(), load(config).speech_config()
    except GuardianError:
        return  # said already
    for language in LANGUAGES:
        name = f"second opinion {language}"
        if speech.second_opinion == "off":
            yield Check(name, Verdict.OK, "switched off")
            continue
        try:
            yield Check(name, Verdict.OK, str(vosk_model(store, speech, language)))
        except ModelMissing:
            yield Check(name, Verdict.OK, f"none (`guardian models pull transcript-{language}` brings one)")
        except GuardianError as error:
            yield Check(name, Verdict.WARN, "cannot be used", str(error))


def _evidence(config: Path | None) -> Check:
    from guardian.evidence_keys import EvidenceKeys
    from guardian.settings import load

    try:
        settings = load(config)
        ring = EvidenceKeys(settings.evidence, settings.evidence_key_path).present()
    except GuardianError as error:
        return Check("evidence", Verdict.WARN, "no key", str(error))
    if ring is None:
        advice = "To keep clips of violations, make a key with `guardian keys init`."
        return Check("evidence", Verdict.WARN, "not kept", advice)
    return Check("evidence", Verdict.OK, f"sealed to {ring.sealing.id}")


def _port(wanted: int | None, config: Path | None) -> Iterator[Check]:
    from guardian.settings import load

    try:
        port = load(config).server.port if wanted is None else wanted
    except GuardianError:
        return  # What is wrong with the settings is told as a check of its own.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            other = port + 1 if port < 65535 else port - 1
            advice = f"Another program uses it: stop that, or run `guardian serve --port {other}`."
            yield Check("port", Verdict.WARN, f"{port} is taken", advice)
            return
    yield Check("port", Verdict.OK, f"{port} is free")


def _host(config: Path | None) -> Iterator[Check]:
    from guardian.capacity import capacity
    from guardian.commands.doctor_host import examine_host
    from guardian.settings import load

    try:
        settings = load(config)
        slots = capacity(settings).slots
    except GuardianError as error:
        yield Check("settings", Verdict.FAIL, "cannot be used", str(error))
        return
    yield from examine_host(settings, slots)


def _browser() -> Check:
    for program in BROWSERS:
        path = shutil.which(program)
        if path:
            return Check("browser", Verdict.OK, path)
    advice = "The demo page opens in a browser on another machine just as well; browser tests are skipped."
    return Check("browser", Verdict.WARN, "none found", advice)


def _show(check: Check) -> None:
    colour = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}[check.verdict]
    typer.secho(f"{check.verdict:5}", fg=colour, nl=False)
    typer.echo(f"{check.name:24} {check.found}")
    if check.advice:
        typer.echo(f"     {check.advice}")
