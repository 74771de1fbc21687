"""Ages below 18 in a text, in figures and in words: "12yo", "aged twelve", "she looks 12", "9th birthday", 十二歳."""

from __future__ import annotations

import re

from utils._content.lexicon import Lexicon
from utils._content.spelling import Words

GROWN = 18
OLDEST_MONTHS = 99
"""A number of months, weeks or days above this is no age that anybody writes."""
MOST_NAMED = 3
"""Up to this number "girl 2" is one of several girls."""
FILLERS = 5
"""Words that may stand between "she looks" and the number."""
_ASIAN = re.compile(r"(?<!\d)(\d{1,3}|[一二三四五六七八九十百千]{1,4})\s{0,2}(?:岁|歳|歲|才|살|세(?!기))")
_TEENS = frozenset("一 二 三 四 五 六 七 八 九 十 十一 十二 十三 十四 十五 十六 十七".split())


class Ages:
    """Finds ages among the words of one text."""

    def __init__(self, text: Words, lexicon: Lexicon) -> None:
        self._words, self._parts = text.words, text.parts
        self._lexicon = lexicon
        self._sets = lexicon.ages

    def minor_at(self, place: int) -> bool:
        """Whether the number at this place is the age of a minor."""
        number = self._number(place)
        if number is None:
            return False
        if self._word(place + 1) in self._sets["months"]:
            return number <= OLDEST_MONTHS and self._word(place + 2) in {"old", "olds"}
        if number <= GROWN and self._is_limit(place):
            return True
        if not 0 < number < GROWN:
            return False
        return self._counts_years(place) or self._is_said_to_be(place)

    def _number(self, place: int) -> int | None:
        word = self._words[place]
        if word.isdigit():
            return int(word) if len(word) <= 4 and word.isdecimal() else None
        return self._lexicon.numbers.get(word)

    def _counts_years(self, place: int) -> bool:
        """ "12yo", "12 year old" (but not a whisky's), "twelve years of age", "7th grade", "ninth birthday"."""
        after, second = self._word(place + 1), self._word(place + 2)
        if after in {"st", "nd", "rd", "th"}:
            return second in self._sets["school"]
        if self._words[place] in self._lexicon.ordinals:
            return after in self._sets["school"]
        if after in self._sets["old"]:
            return not self._of_a_thing(place + 2)
        if after not in self._sets["years"]:
            return False
        of_age = second == "of" and self._word(place + 3) == "age"
        return of_age or (second in self._sets["after_years"] and not self._of_a_thing(place + 3))

    def _is_said_to_be(self, place: int) -> bool:
        """ "aged 12", "age of 12", "a girl of 12", "she looks like she is 12", "the girl, 12,"."""
        before, second = self._word(place - 1), self._word(place - 2)
        if before in self._sets["before"] or (before == "of" and second in {"age", "ages"}):
            return True
        if not self._ends_here(place):
            return False
        if before == "of" and second in self._sets["who"]:
            return True
        number = self._number(place) or 0
        if before in self._sets["who"] and number > MOST_NAMED:
            return True
        return self._words[place] not in {"one", "1"} and self._leads_here(place)

    def _leads_here(self, place: int) -> bool:
        for back in range(place - 1, max(place - 2 - FILLERS, -1), -1):
            word = self._words[back]
            if word in self._sets["looks"]:
                return True
            if word not in self._sets["filler"]:
                return False
        return False

    def _is_limit(self, place: int) -> bool:
        """ "under 18", "under the age of 18", "younger than eighteen", "less than 16 years", "not yet 18"."""
        before, second = self._word(place - 1), self._word(place - 2)
        if before == "of" and second == "age":
            return any(self._word(place - back) in self._sets["under"] for back in (3, 4))
        limit = before in self._sets["under"] or (before == "than" and second in {"younger", "less"})
        return (limit or (second, before) == ("not", "yet")) and self._ends_here(place)

    def _ends_here(self, place: int) -> bool:
        """Whether the number stands for itself, not for so many of something."""
        after = self._word(place + 1)
        if not after or self._parts[place + 1] != self._parts[place] or after in self._sets["going_on"]:
            return not (after in self._sets["years"] and self._word(place + 2) in {"younger", "older", "ago", "later"})
        return any(after in self._lexicon.sets[kind] for kind in ("explicit", "nude", "suggestive"))

    def _of_a_thing(self, place: int) -> bool:
        """Whether the words here name something that may be that old, and nobody comes after it."""
        if self._word(place) not in self._sets["things"]:
            return False
        after = self._word(place + 1)
        if not after or self._parts[place + 1] != self._parts[place]:
            return True
        return not any(after in self._lexicon.sets[kind] for kind in ("person", "girlish", "minor"))

    def _word(self, place: int) -> str:
        return self._words[place] if 0 <= place < len(self._words) else ""


def asian_age(text: str) -> bool:
    """Whether the text holds an age below 18 as Chinese, Japanese and Korean write it."""
    return any(int(number) < GROWN if number.isdecimal() else number in _TEENS for number in _ASIAN.findall(text))
