"""How review goes, in numbers. Pure; from counts of decisions and appeals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from guardian.core.cases import Choice, Finding


def precision(counts: Iterable[tuple[str, Finding, int]]) -> list[dict[str, Any]]:
    """Of settled cases the share that was confirmed, by name; the most frequent first.

    counts: (rule or whatever else, finding, cases).
    """
    by_name: dict[str, Counter[Finding]] = defaultdict(Counter)
    for name, finding, cases in counts:
        if name:
            by_name[name][finding] += cases
    rows = [
        {
            "name": name,
            "confirmed": found[Finding.CONFIRMED],
            "dismissed": found[Finding.DISMISSED],
            "precision": _share(found[Finding.CONFIRMED], found.total()),
        }
        for name, found in by_name.items()
    ]
    return sorted(rows, key=lambda row: (-row["confirmed"] - row["dismissed"], row["name"]))


def agreement(pairs: Mapping[tuple[Choice, Choice], int]) -> dict[str, Any]:
    """How often second reviews said the same as the first, and Cohen's kappa of the two.

    pairs: (first, second) -> cases. Cohen, J. (1960), A coefficient of agreement for nominal scales; null
    while chance explains all.
    """
    total = sum(pairs.values())
    same = sum(cases for (first, second), cases in pairs.items() if first is second)
    kappa = None
    if total:
        chance = sum(_said(pairs, 0, choice) * _said(pairs, 1, choice) for choice in Choice) / total**2
        kappa = round((same / total - chance) / (1 - chance), 3) if chance < 1 else None
    return {"pairs": total, "agreement": _share(same, total), "kappa": kappa}


def _said(pairs: Mapping[tuple[Choice, Choice], int], side: int, choice: Choice) -> int:
    return sum(cases for pair, cases in pairs.items() if pair[side] is choice)


def waits(seconds: Iterable[float]) -> dict[str, Any]:
    """How long cases waited for the first decision in them."""
    ordered = sorted(seconds)
    return {"cases": len(ordered), "p50_s": _quantile(ordered, 0.5), "p95_s": _quantile(ordered, 0.95)}


def overturned(outcomes: Mapping[str, int], settled: int) -> dict[str, Any]:
    """Of appeals, and of all decisions, how many were overturned. Both, as either alone flatters."""
    over, kept = outcomes.get("overturned", 0), outcomes.get("upheld", 0)
    return {
        "appeals_decided": over + kept,
        "overturned": over,
        "of_appeals": _share(over, over + kept),
        "of_decisions": _share(over, settled),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank quantile."""
    return round(ordered[max(0, ceil(share * len(ordered)) - 1)], 1) if ordered else None
