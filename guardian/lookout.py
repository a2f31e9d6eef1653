"""Looks out for contacts: a finder put together from the weights and rules that are there."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from guardian.core.config import Allowance, ContactConfig
from guardian.core.contacts import Allowed, Contact, ContactKind
from guardian.core.errors import ConfigError, ModelMissing
from guardian.core.notes import PrintKind
from guardian.core.policy import gravest
from guardian.core.rules import RuleSet
from guardian.core.violations import Level, Role
from guardian.models import ModelStore
from guardian.vision.shown import LIVE, Judge, Looking, ShownFinder, TextSense
from guardian.vision.text_lines import TextLines
from guardian.vision.text_reader import TextReader

_CATEGORIES = ("contact_exchange", "offplatform_payment", "offplatform_trade")
"""What is judged in writing: threats on a poster are not those of who shows it."""
_MARKS = re.compile(
    r"(?:微信支付|微信|支付宝|云闪付|银联|wechat\s?pay|alipay|union\s?pay|apple\s?pay|visa|mastercard|\W|_)+",
    re.IGNORECASE,
)
"""Marks of means of payment, as they stand on doors and boxes: nobody asks for anything."""
_SAYS = re.compile(r"[\u3400-\u9fff]{2}|[a-z]{2,}\W+[a-z]{2,}", re.IGNORECASE)
"""Text that may be a sentence."""


@dataclass(slots=True)
class WrittenWords:
    """What a line of text is by the rules of speech, as if who shows it had said it. `rules` may be changed
    at any time."""

    rules: RuleSet
    speaker: Role
    shadow_hits: Counter[str] = field(default_factory=Counter)

    def __call__(self, text: str) -> Contact | None:
        """None where no rule matches that raises a violation."""
        if not _SAYS.search(text) or _MARKS.fullmatch(text):
            return None
        # The dictionaries of Chinese take 30 MB: only where something is written.
        from guardian.speech.text import units_of_text

        hits = [
            hit
            for hit in self.rules.match_words(units_of_text(text), self.speaker)
            if hit.rule.category.startswith(_CATEGORIES)
        ]
        found = gravest(hits, self.speaker)
        if found is None or not found[1].raised:
            return None
        hit = found[0]
        # What is written may have been there for long: it is never urgent.
        return Contact(ContactKind.TEXT, text, Level.REVIEW, hit.rule.id, hit.rule.category, hit.score)


@dataclass(frozen=True, slots=True)
class Lookout:
    """A finder, what it works with by role, and what would be better, in plain sentences."""

    finder: ShownFinder
    models: dict[str, str]
    notes: tuple[str, ...]


def open_lookout(
    store: ModelStore, config: ContactConfig, words: WrittenWords, merchant: str = "", looking: Looking = LIVE
) -> Lookout:
    """A finder for one leg's pictures, or for files. merchant: whose allowances hold besides all merchants'.

    Text is not looked for where weights are missing: a note says so. ConfigError for a pattern that is none.
    """
    models = {"codes": "zxing-cpp"} if PrintKind.CODE in config.kinds else {}
    notes: list[str] = []
    text = None
    if PrintKind.TEXT in config.kinds:
        try:
            lines, reading = store.find("text"), store.find("reading")
            text = _sense(lines.files["model"], reading.files["model"])
            models |= {"text": lines.model_id, "reading": reading.model_id}
        except ModelMissing as error:
            notes.append(str(error))
    judge = Judge(allowed(config, merchant), words)
    return Lookout(ShownFinder(text, judge, looking), models, tuple(notes))


def load_ahead(store: ModelStore, config: ContactConfig) -> None:
    """Loads the networks that all legs of a process share."""
    if config.watch and PrintKind.TEXT in config.kinds:
        with suppress(ModelMissing):
            _sense(store.find("text").files["model"], store.find("reading").files["model"])


def allowed(config: ContactConfig, merchant: str) -> Allowed:
    """What a merchant may show. ConfigError."""
    own = config.merchants.get(merchant, Allowance())
    try:
        return Allowed(
            (*config.allow.domains, *own.domains),
            (*config.allow.patterns, *own.patterns),
        )
    except ValueError as error:
        raise ConfigError(f"What may be shown cannot be used: {error}.") from error


@lru_cache(maxsize=1)
def _sense(lines: Path, reading: Path) -> TextSense:
    # Both legs' threads may run a network of onnxruntime at the same time; it is loaded once.
    return TextSense(TextLines(lines), TextReader(reading))
