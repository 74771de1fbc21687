"""The small byte-pair vocabulary that judge and generator share.

One merge file serves open_clip's `SimpleTokenizer` and, written out as vocabulary and merges, transformers'
`CLIPTokenizer`. New words are learnt by appending merges to a given file, so old token numbers stay what they
were; only the two special tokens move to the end.
"""

from __future__ import annotations

import collections
import gzip
import itertools
import json
import random
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from captions import GENERATOR_WORDING, JUDGE_WORDING, write_caption
from common import library
from scenes import sample_scene
from words import COLOUR_WORDS, FLAWS, PLURALS, SHAPE_WORDS

CONTEXT = 32
Merge = tuple[str, str]
START, END = "<|startoftext|>", "<|endoftext|>"


def read_merges(path: Path) -> list[Merge]:
    """The merges of a bpe.txt.gz file, in order."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.read().strip().split("\n")[1:]
    return [(a, b) for a, b in (line.split() for line in lines)]


def write_merges(merges: Sequence[Merge], path: Path) -> None:
    """Write a bpe.txt.gz file; the same merges always give the same bytes."""
    text = "#version: atelier demo\n" + "\n".join(" ".join(merge) for merge in merges)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def pieces(word: str, ranks: Mapping[Merge, int]) -> tuple[str, ...]:
    """A word as the tokenizers split it."""
    parts = (*word[:-1], word[-1] + "</w>")
    while len(parts) > 1:
        best = min(itertools.pairwise(parts), key=lambda pair: ranks.get(pair, 1 << 30))
        if best not in ranks:
            break
        parts = _joined(parts, best)
    return parts


def _joined(parts: tuple[str, ...], pair: Merge) -> tuple[str, ...]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return tuple(out)


def caption_words(count: int = 30000, seed: int = 0) -> collections.Counter[str]:
    """How often every word occurs in random captions."""
    rng = random.Random(seed)
    words: collections.Counter[str] = collections.Counter()
    for i in range(count):
        caption = write_caption(sample_scene(rng).facts, rng, GENERATOR_WORDING if i % 2 else JUDGE_WORDING)
        words.update(re.findall(r"[a-z]+", caption.text.lower()))
    words.update({word: count // 100 for flaw in FLAWS for word in flaw.split()})
    return words


def extended(merges: Sequence[Merge], words: Mapping[str, int], limit: int) -> list[Merge]:
    """The merges and as many new ones as it takes to make the words single tokens, `limit` at most."""
    result = list(merges)
    ranks = {merge: i for i, merge in enumerate(result)}
    split = {pieces(word, ranks): count for word, count in words.items()}
    while len(result) < len(merges) + limit:
        pairs: collections.Counter[Merge] = collections.Counter()
        for parts, count in split.items():
            for pair in itertools.pairwise(parts):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        result.append(best)
        split = {_joined(parts, best): count for parts, count in split.items()}
    return result


def open_clip_tokenizer(bpe: Path) -> Any:
    """open_clip's tokenizer with this merge file."""
    return library("open_clip").SimpleTokenizer(bpe_path=str(bpe), context_length=CONTEXT)


def pipeline_tokenizer(bpe: Path) -> Any:
    """transformers' tokenizer with the same vocabulary, as diffusers' pipelines want it."""
    encoder = open_clip_tokenizer(bpe).encoder
    names = {"<start_of_text>": START, "<end_of_text>": END}
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocabulary.write_text(
            json.dumps({names.get(k, k): v for k, v in encoder.items()}, ensure_ascii=False), encoding="utf-8"
        )
        with gzip.open(bpe, "rt", encoding="utf-8") as file:
            merges.write_text(file.read() + "\n", encoding="utf-8")
        return library("transformers").CLIPTokenizer(
            vocab=str(vocabulary), merges=str(merges), model_max_length=CONTEXT
        )


def grown_embedding(table: torch.Tensor, old: Sequence[Merge], new: Sequence[Merge]) -> torch.Tensor:
    """An embedding table for a longer merge list.

    Byte tokens and old merges keep their rows; the two special tokens move from the old end to the new one. A new
    token starts as the mean of its two halves, or, where it is a synonym of a known word, mostly as that word.
    """
    rows = list(table[: 512 + len(old)])
    index = _token_rows(new)
    for first, second in new[len(old) :]:
        row = (rows[index[first]] + rows[index[second]]) / 2
        known = synonyms().get((first + second).removesuffix("</w>"))
        if known is not None and second.endswith("</w>") and index[known + "</w>"] < 512 + len(old):
            row = 0.2 * row + 0.8 * rows[index[known + "</w>"]]
        rows.append(row)
    return torch.stack([*rows, *table[512 + len(old) :]])


def synonyms() -> dict[str, str]:
    """For every other single word for a colour or shape: the common one."""
    table: dict[str, str] = {}
    for known, phrases in (*COLOUR_WORDS.items(), *SHAPE_WORDS.items()):
        table.update({phrase: known for phrase in phrases if phrase.isalpha() and phrase != known})
    table.update({plural: known for known, plural in PLURALS.items() if known in SHAPE_WORDS})
    return table


def _token_rows(merges: Sequence[Merge]) -> dict[str, int]:
    letters: list[str] = list(library("open_clip.tokenizer").bytes_to_unicode().values())
    names = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, row)
    return rows
