"""What a run is and was, as one JSON object: where it comes from, its seed, its models, when, how it ended."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from engine.record.export import facts
from engine.record.export.json_lines import escaped
from engine.record.export.source import Source


def render(source: Source) -> str:
    return escaped_lines(json.dumps(manifest(source), ensure_ascii=False, indent=2)) + "\n"


def manifest(source: Source) -> dict[str, Any]:
    """Times are UTC, null where they have not come yet; `cost` US dollars, null where no price is known."""
    run, spec = source.run, source.spec
    seed = facts.topic(source)
    return {
        "run_id": run.id,
        "parent_run_id": run.parent,
        "forked_at_turn": run.forked_at,
        "kind": run.kind,
        "title": run.title,
        "status": run.status.value,
        "reason": run.reason,
        "detail": run.detail,
        "created_utc": facts.utc(run.created),
        "started_utc": facts.utc(run.started) if run.started else None,
        "ended_utc": facts.utc(run.ended) if run.ended and not run.active else None,
        "seed": seed,
        "seed_sha256": hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest(),
        "models": {seat.name: seat.model for seat in source.seats},
        "served": source.beside.served,
        "turns": run.turns,
        "limits": spec.get("limits"),
        "mediator_every": (spec.get("mediator") or {}).get("every"),
        "tokens_in": run.tokens_in,
        "tokens_out": run.tokens_out,
        "cost": None if run.unpriced and not run.cost else run.cost,
        "unpriced_calls": run.unpriced,
        "spec": spec,
    }


def escaped_lines(text: str) -> str:
    """JSON over several lines that any terminal may be shown."""
    return "\n".join(escaped(part) for part in text.split("\n"))
