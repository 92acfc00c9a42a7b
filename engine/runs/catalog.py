"""What can be chosen, as plain data for front ends: pipelines, personas, models. Providers and kinds by name."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from engine.runs import pipelines as files
from engine.settings import yaml_file
from engine.settings.errors import UsageError

PATIENCE = 5.0
"""Seconds a provider has to say what it offers."""


def pipelines() -> list[dict[str, Any]]:
    """Pipelines by name: name, path, kind, title, error (why it cannot run, or None)."""
    listed = []
    for name, path in files.available().items():
        entry: dict[str, Any] = {"name": name, "path": str(path), "kind": None, "title": name, "error": None}
        try:
            data = yaml_file.load_mapping(path)
            entry |= {"kind": data.get("kind"), "title": data.get("title", data.get("question", name))}
            files.resolve(path)
        except UsageError as error:
            entry["error"] = str(error)
        listed.append(entry)
    return listed


def personas() -> list[dict[str, Any]]:
    """Guests by name: slug, name, description, language, gender, model (preferred), own, error."""
    module = importlib.import_module("engine.talk.personas")
    listed = []
    for item in module.available():
        guest = item.persona
        entry = {"slug": item.slug, "own": item.own, "path": str(item.path), "error": item.error or None}
        for key in ("name", "description", "language", "gender", "model"):
            entry[key] = getattr(guest, key) if guest else None
        listed.append(entry)
    return listed


def roles() -> list[dict[str, Any]]:
    """Roles of a loop by name: slug, name, about, place (talk, minutes, aside), plan (it has one), path, error."""
    module = importlib.import_module("engine.talk.roles")
    listed = []
    for slug, path in module.available().items():
        entry = {"slug": slug, "name": slug, "about": "", "place": "talk", "plan": False, "error": None}
        entry["path"] = str(path)
        try:
            role = module.Role.model_validate(module.read(slug))
            entry |= {"name": role.name, "about": role.about, "place": role.place, "plan": bool(role.plan)}
        except UsageError as error:
            entry["error"] = str(error)
        except ValueError as error:  # what pydantic raises
            entry["error"] = f"{path}: {' '.join(str(error).split())}"
        listed.append(entry)
    return listed


def measures() -> list[dict[str, Any]]:
    """How the health of a conversation is measured, in the order shown: name, label, definition, highest."""
    module = importlib.import_module("engine.talk.health")
    fields = ("name", "label", "definition", "highest")
    return [{field: getattr(item, field) for field in fields} for item in module.MEASURES.values()]


def models() -> list[dict[str, Any]]:
    """What each provider offers now, scripts left out.

    Each entry has endpoint, name (ENDPOINT/MODEL), window and note, or endpoint and error. Asks every provider at once
    and waits for at most PATIENCE seconds.
    """
    return asyncio.run(_models())


async def _models() -> list[dict[str, Any]]:
    registry = importlib.import_module("engine.providers.registry")
    protocol = importlib.import_module("engine.providers.protocol")

    async def offered(name: str) -> list[dict[str, Any]]:
        adapter = registry.open_adapter(name)
        try:
            found = await asyncio.wait_for(adapter.models(), PATIENCE)
        except protocol.ProviderError as error:
            return [{"endpoint": name, "name": None, "window": None, "note": "", "error": str(error)}]
        except TimeoutError:
            text = f"{name} has not answered within {PATIENCE:.0f} s"
            return [{"endpoint": name, "name": None, "window": None, "note": "", "error": text}]
        finally:
            await adapter.close()
        return [
            {"endpoint": name, "name": f"{name}/{item.name}", "window": item.window, "note": item.note, "error": None}
            for item in found
        ]

    places = registry.endpoints().items()
    groups = await asyncio.gather(*(offered(name) for name, place in places if place.adapter != "scripted"))
    return [entry for group in groups for entry in group]
