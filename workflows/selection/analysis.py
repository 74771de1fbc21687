"""What a prompt asks for, read by its words alone: style, content, base model, concepts. No model is asked.

English first; of German, French, Spanish, Japanese and Chinese the commonest words. It never fails: what it does not
understand it leaves out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from utils.content_validator import check_text
from utils.reading import vocabulary as grammar
from utils.reading.atoms import spoken
from workflows.selection.vocabulary import STRONG, Terms, vocabulary
from workflows.selection.words import stems, told_apart, unspaced, words
from workflows.types import PromptAnalysis

MOST_READ = 4000
"""Characters of a prompt that are read: what comes later in so long a text is decoration."""
MOST_CONCEPTS = 24
MOST_LORA_TAGS = 16
MOST_CONCEPT = 60
"""Characters of a concept."""
MOST_PHRASE = 3
"""Words of a concept."""
MOST_PARTICIPLE = 5
"""Letters of words such as "king" and "spring", which are no verbs."""
LONG = 40
"""Words from which a description is long: more than CLIP's 77 tokens take in well, and what T5 and the language models
behind newer families were trained on."""
STYLES = ("pixel art", "anime", "3d", "illustration", "artistic", "realistic")
"""The more special one first: it wins a draw."""
CONTENT_TYPES = (
    "character", "portrait", "scene", "landscape", "object", "animal", "architecture", "text", "abstract"
)  # fmt: skip
_SCORE_TAG = re.compile(r"(?<![^\W_])(?:score_\d+(?:_up)?|rating_\w+|source_\w+)(?![^\W_])", re.IGNORECASE)
_BREAK = re.compile(
    r"(?<![^\W_])(?:BREAK|score_\d+(?:_up)?|rating_\w+|source_\w+)(?![^\W_])|--no\s[^\n]*?(?=--|$)|--\w+(?:\s+[\d.:]+)?"
)
_SOURCE_ANIME = re.compile(r"(?<![^\W_])source_(?:anime|pony|cartoon|furry)(?![^\W_])", re.IGNORECASE)
_CLAUSE = re.compile(r"[,.;:!?|\n()\[\]{}\"“”。、，；：！？「」『』]+")
_QUOTED = re.compile(
    r"\"[^\"\n]{1,120}\"|“[^”\n]{1,120}”|「[^」\n]{1,60}」|『[^』\n]{1,60}』|(?<!\w)'[^'\n]{2,60}'(?!\w)"
)
_STEPS = re.compile(
    r"(?:^|(?<=[,;|\n(]))\s*(\d{1,3}) (?:sampling )?steps\s*(?=$|[,;|\n).])|(?<!\w)steps ?[:=] ?(\d{1,3})(?![\w.])",
    re.IGNORECASE,
)
"""A setting stands alone between commas: "a stair with 20 steps" is none."""
_CFG = re.compile(r"(?<!\w)cfg(?: scale)? ?[:=]? ?(\d{1,2}(?:\.\d+)?)(?!\w)", re.IGNORECASE)
_QUICK = re.compile(r"\b(?:quick|rough) (?:sketch|draft|test|preview|doodle)\b", re.IGNORECASE)
_THOROUGH = re.compile(r"\b(?:ultra|insanely|hyper|super)[ -]?(?:fine[ -]?)?detail(?:ed|s)?\b", re.IGNORECASE)
QUICK_STEPS, THOROUGH_STEPS = 15, 40
"""Our judgement: where a sketch is told from a picture, and where an undistilled model has no more detail to add."""
_NOUNS_IN_ING = frozenset(
    "spring string painting building clothing lighting wedding evening morning ceiling viking".split()
)
_NEGATIONS = frozenset({"no", "not", "without", "never", "non"})


def analyse(prompt: str, style: str | None = None) -> PromptAnalysis:
    """Read a prompt by its words. `style` is what the caller asked for; it stands above what the prompt says."""
    text = _Text(prompt[:MOST_READ])
    look = style_of(style) if style else ""
    look = look or text.style
    concepts = _concepts(text, style or "")
    return PromptAnalysis(
        style=look,
        content_type=text.content_type,
        suggested_base_model=_base_model(text, look),
        key_concepts=concepts,
        recommended_lora_tags=kin_of(concepts),
        suggested_steps=_steps(text.raw),
        suggested_cfg=_cfg(text.raw),
        adult=asks_for_adult(prompt),
    )


def style_of(style: str) -> str:
    """One of STYLES for a style as people name it ("photographic", "studio ghibli"); "" when it is none of them."""
    plain = told_apart(style)[:60]
    if plain in STYLES:
        return plain
    return vocabulary().style_names.get(plain) or _Text(plain).hinted


def asks_for_adult(text: str) -> bool:
    """Whether it asks for adult content in so many words."""
    finding = check_text(text)
    return finding is not None and finding.rule.startswith("adult.")


def kin_of(concepts: Sequence[str]) -> tuple[str, ...]:
    """The concepts that LoRAs are made for, each followed by its kin."""
    known, found = vocabulary().kin, dict[str, None]()
    for concept in concepts:
        for key in grams(stems(concept), MOST_PHRASE):
            if key in known:
                written, kin = known[key]
                found |= dict.fromkeys((written, *kin))
    return tuple(found)[:MOST_LORA_TAGS]


@dataclass(frozen=True)
class _Text:
    """A prompt and what its words are signs of, each looked for once."""

    raw: str

    @cached_property
    def spoken(self) -> str:
        """Without LoRA tags, weights, brackets and settings; underscores as spaces."""
        text = self.raw
        for pattern in (_BREAK, _STEPS, _CFG):
            text = pattern.sub(",", text)
        return spoken(text).replace("_", " ")

    @cached_property
    def clauses(self) -> list[list[str]]:
        parts = (words(part) for part in _CLAUSE.split(self.spoken))
        return [part for part in parts if part]

    @cached_property
    def shown(self) -> list[list[str]]:
        """The clauses without what is to be written."""
        parts = (words(part) for part in _CLAUSE.split(_QUOTED.sub(",", self.spoken) if self.writes else self.spoken))
        return [part for part in parts if part]

    @cached_property
    def found_styles(self) -> Counter[str]:
        counts = Counter[str]()
        for name, weight in _meanings(self.spoken, self.clauses, vocabulary().styles):
            counts[name] += weight  # pyright: ignore[reportArgumentType]
        if self.tagged or _SOURCE_ANIME.search(self.raw):
            counts["anime"] += STRONG + 1  # pyright: ignore[reportArgumentType]
        return counts

    @cached_property
    def hinted(self) -> str:
        """The style that most of the words go with, however few; "" when none does."""
        best = max(STYLES, key=lambda name: (self.found_styles[name], -STYLES.index(name)))
        return best if self.found_styles[best] else ""

    @cached_property
    def style(self) -> str:
        """The style that the words name, or "" when they only hint."""
        if self.found_styles[self.hinted] >= STRONG:
            return self.hinted
        return "anime" if self.scored else ""  # what Pony draws when nothing else is said

    @cached_property
    def scored(self) -> bool:
        """Whether it has Pony's own tags."""
        return _SCORE_TAG.search(self.raw) is not None

    @cached_property
    def tagged(self) -> bool:
        """Whether it is a list of Danbooru tags."""
        counts = Counter(name for name, _ in _meanings(self.spoken, self.clauses, vocabulary().tags))
        brief = sum(len(clause) <= 3 for clause in self.clauses) >= 0.7 * len(self.clauses)
        return brief and len(self.clauses) >= 3 and (counts["sure"] > 0 or counts["anime"] >= 3)

    @cached_property
    def furry(self) -> bool:
        return any(name == "furry" for name, _ in _meanings(self.spoken, self.clauses, vocabulary().tags))

    @cached_property
    def writes(self) -> bool:
        """Whether words are to be written in the picture."""
        signs = {name for name, _ in _meanings(self.spoken, self.clauses, vocabulary().text_signs)}
        return "sure" in signs or ("signs" in signs and _QUOTED.search(self.raw) is not None)

    @cached_property
    def long(self) -> bool:
        """Whether it is a description in sentences."""
        count = sum(map(len, self.clauses))
        return count >= LONG and count >= 5 * len(self.clauses)

    @cached_property
    def foreign(self) -> bool:
        """Whether most of it is of a script without spaces."""
        letters = [letter for letter in self.spoken if letter.isalpha()]
        return sum(map(unspaced, letters)) * 2 > len(letters)

    @cached_property
    def content_type(self) -> str:
        if self.writes:
            return "text"
        kinds = [name for name, _ in _meanings(self.spoken, self.clauses, vocabulary().content)]
        living = (kind for kind in kinds if kind in {"character", "animal"})
        first = next(living, kinds[0] if kinds else "scene")
        return "portrait" if "portrait" in kinds and first == "character" else first


def _base_model(text: _Text, style: str) -> str:
    """What a practitioner would reach for; "" where any model of the style will do."""
    if text.scored:
        return "Pony"
    if text.tagged and style in {"anime", ""}:
        return "NoobAI" if text.furry else "Illustrious"
    if text.writes or text.foreign:
        return "Qwen-Image"
    if style == "anime":
        return "Illustrious"
    return "Flux.1" if text.long else ""


def _meanings(text: str, clauses: Iterable[Sequence[str]], terms: Terms) -> Iterator[tuple[str, float]]:
    """What the terms in a text stand for, in its order; the longest at each place, and none that "no" rules out."""
    for clause in clauses:
        place, keys = 0, [stems(word) for word in clause]
        while place < len(keys):
            taken = _term_at(keys, place, terms)
            if taken and not any(word.lower() in _NEGATIONS for word in clause[max(0, place - 2) : place]):
                yield from terms.spelled[taken]
            place += max(1, len(taken))
    if unspaced(text):
        for term, meanings in terms.anywhere.items():
            if term in text:
                yield from meanings


def _term_at(keys: Sequence[tuple[str, ...]], place: int, terms: Terms) -> tuple[str, ...]:
    for length in range(min(terms.longest, len(keys) - place), 0, -1):
        key = tuple(stem for word in keys[place : place + length] for stem in word)
        if key in terms.spelled:
            return key
    return ()


def _concepts(text: _Text, style: str) -> tuple[str, ...]:
    """Things and looks that matter, as they are written, in their order; those that LoRAs are known for kept whole."""
    found: dict[str, None] = {}
    for clause in [*text.shown, *([words(style)] if style else [])]:
        low = [word.lower() for word in clause]
        for phrase in _phrases(low):
            found |= dict.fromkeys(part[:MOST_CONCEPT] for part in _cut(phrase))
    return tuple(found)[:MOST_CONCEPTS]


def _phrases(clause: Sequence[str]) -> Iterator[list[str]]:
    """Runs of words between those that end a phrase, such as "on", "the" and "wearing"."""
    run: list[str] = []
    for word in [*clause, "the"]:
        verb = bool(run) and word.endswith("ing") and len(word) > MOST_PARTICIPLE and word not in _NOUNS_IN_ING
        if (verb or _ends(word)) and run:
            yield run
            run = []
        if not _ends(word) and not set(stems(word)) & vocabulary().boosters:
            run.append(word)


def _ends(word: str) -> bool:
    if word in grammar.STOPS or word in grammar.DETERMINERS or word in grammar.NUMBERS or word.isdigit():
        return True
    return set(stems(word)) <= vocabulary().breaks


def _cut(run: Sequence[str]) -> Iterator[str]:
    """Concepts of at most three words: known ones whole, the rest from the end, where the noun is."""
    known = vocabulary().kin
    for length in range(min(MOST_PHRASE, len(run)), 1, -1):
        for place in range(len(run) - length + 1):
            if stems(" ".join(run[place : place + length])) in known:
                yield from _cut(run[:place])
                yield " ".join(run[place : place + length])
                yield from _cut(run[place + length :])
                return
    if len(run) > MOST_PHRASE:
        yield from _cut(run[:-MOST_PHRASE])
    if run:
        yield " ".join(run[-MOST_PHRASE:])


def grams(key: tuple[str, ...], longest: int) -> Iterator[tuple[str, ...]]:
    """Every run of words of it, the longest first."""
    for length in range(min(longest, len(key)), 0, -1):
        for place in range(len(key) - length + 1):
            yield key[place : place + length]


def _steps(prompt: str) -> int | None:
    if said := _STEPS.search(prompt):
        steps = int(said[1] or said[2])
        return steps if 1 <= steps <= 150 else None
    if _QUICK.search(prompt):
        return QUICK_STEPS
    return THOROUGH_STEPS if _THOROUGH.search(prompt) else None


def _cfg(prompt: str) -> float | None:
    said = _CFG.search(prompt)
    return cfg if said and (cfg := float(said[1])) <= 30.0 else None
