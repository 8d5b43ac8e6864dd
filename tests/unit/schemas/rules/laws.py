"""Profiles of `law/1` as raw JSON, for tests of the rules."""

from typing import Any

ABOUT = ("kinds", "themes", "regions", "counterparts", "counterparts_except", "nominal", "tlp", "purpose")


def law_condition(
    id_: str,
    type_: str,
    effect: str,
    parameters: dict[str, Any] | None = None,
    *,
    applies_to: dict[str, Any] | None = None,
    inputs: str = "label",
    explanation: dict[str, str | None] | None = None,
    valid_from: str | None = None,
    valid_to: str | None = None,
) -> dict[str, Any]:
    return {
        "id": id_,
        "type": type_,
        "instrument": "An act",
        "article": "1",
        "applies_to": {"direction": "both", **dict.fromkeys((*ABOUT, "classification")), **(applies_to or {})},
        "effect": effect,
        "parameters": dict(sorted((parameters or {}).items())),
        "explanation": explanation,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "inputs": inputs,
    }


def law(state: str, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "v": 1,
        "form": "law/1",
        "state": state,
        "version": "1",
        "adopted": "2026-01-01",
        "illustration": True,
        "baseline": None,
        "source": None,
        "simulation": None,
        "conditions": sorted(conditions, key=lambda item: (item["id"], item["valid_from"] or "")),
    }
