"""Words that are the same for a picture: singular and plural, trivial synonyms, and words made of one another."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache

from workflows.selection.words import stem

_IRREGULAR = {
    "geese": "goose", "feet": "foot", "teeth": "tooth", "dice": "die", "oxen": "ox", "loave": "loaf", "shelve": "shelf",
    "thieve": "thief", "calve": "calf", "scarve": "scarf",
    "hooves": "hoof", "hoove": "hoof", "dwarve": "dwarf",
    "cacti": "cactus", "octopi": "octopus", "fungi": "fungus", "tomatoe": "tomato", "potatoe": "potato",
    "heroe": "hero",
    "volcanoe": "volcano", "buffaloe": "buffalo", "mosquitoe": "mosquito", "buse": "bus", "halve": "half",
    "firemen": "fireman", "fishermen": "fisherman", "policemen": "policeman", "snowmen": "snowman", "axe": "ax",
    "wolves": "wolf", "knives": "knife", "wive": "wife", "live": "life", "canvase": "canvas", "circuse": "circus",
}  # fmt: skip
_SYNONYMS = """
man guy gentleman male boy1
woman lady female
kid child
baby infant toddler
person people human figure
bike bicycle
motorbike motorcycle
plane airplane aeroplane airliner jet1
car automobile
couch sofa
sea ocean
forest wood woodland
road street
path trail
rock stone boulder
cup mug
hat cap
coat overcoat
photo photograph picture image
tv television
fridge refrigerator
phone smartphone cellphone
lamp light lantern1
boat sailboat
ship vessel
puppy pup
kitten kitty
bunny rabbit
fireman firefighter
policeman police
fisherman fisher
dusk twilight nightfall sunset1
sunset sundown
sunrise daybreak dawn
dawn daybreak sunrise
night nighttime midnight nocturnal moonlit moonlight1
fog mist misty foggy haze
rain rainfall raindrop rainy downpour drizzle
snow snowfall snowy snowflake
autumn fall autumnal
winter wintry wintertime
glasses eyeglasses spectacles
shop store
sneaker trainer
truck lorry
jail prison
sailor seaman
grandma grandmother
grandpa grandfather
mom mother mum
dad father
gown dress
skyscraper highrise
meadow grassland
desert dune1
spaceship spacecraft starship
ufo saucer
robot android
leaf leaves foliage
hair hairdo redhead1 redheaded1 blonde1 brunette1
football soccer
jungle rainforest
subway metro underground1
train carriage1
storm tempest thunderstorm
bee honeybee bumblebee
fire flame blaze
market bazaar marketplace
dinner supper
cliff crag
pub bar tavern
doctor physician
cocoa chocolate1
flower blossom bloom
monster creature1 beast1
couple pair duo
keyboard keys1
firetruck fireengine
home house cottage1
gift present
alley alleyway
beach shore seashore
river stream brook
hill hillside hilltop
mountain peak summit
bag sack
coin coins
soldier trooper
cook chef
teacher instructor
wizard sorcerer mage
"""
_ENDINGS = frozenset("y ly ed en ny my".split())
_SUFFIXES = frozenset(
    "lit light fall like scape side covered clad line man men let work head top tops house yard stone stones field "
    "fields front scapes lights colored coloured made shaped wood wooden ny".split()
)
"""What may follow a word in another that still shows the thing: rainy, moonlit, mountaintop."""
LEAST, LEAST_ENDED = 3, 4
"""Letters of a word from which others are made, and by an ending alone: "many" is not made of man."""


def _unaccented(word: str) -> str:
    """ "café" -> "cafe"; what no accent is taken from stays."""
    letters = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in letters if not "\u0300" <= letter <= "\u036f")


@cache
def root(word: str) -> str:
    """A word to be compared by: lower case, singular."""
    word = word if word.isascii() else _unaccented(word)
    low = stem(word.removesuffix("'s").removesuffix("’s"))
    return _IRREGULAR.get(low, _IRREGULAR.get(word.lower(), low))


@cache
def roots(word: str) -> frozenset[str]:
    """The root of a word, and for a word such as 1girl that of its letters."""
    bare = word.lstrip("0123456789+")
    return frozenset((root(word), root(bare))) if bare else frozenset((root(word),))


def derived(word: str, base: str) -> bool:
    """Whether the word is made of the base: "moonlit" of "moon"."""
    rest = word[len(base) :] if len(base) >= LEAST and word.startswith(base) else ""
    return rest in _SUFFIXES or (rest in _ENDINGS and len(base) >= LEAST_ENDED)


def _groups() -> Mapping[str, frozenset[str]]:
    """Every root with those that mean the same; a word with a 1 behind it stands in for the first, not it for them."""
    found: dict[str, frozenset[str]] = {}
    for line in filter(None, _SYNONYMS.splitlines()):
        words = [root(word.rstrip("1")) for word in line.split()]
        both = frozenset(word for word, text in zip(words, line.split(), strict=True) if not text.endswith("1"))
        for word in words:
            found[word] = found.get(word, frozenset((word,))) | (both if word in both else frozenset())
        found[words[0]] |= frozenset(words)
    return found


SAME = _groups()
"""By its root what counts as the same thing, itself included."""
