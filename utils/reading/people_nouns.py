"""The words with which English prompts name people, count them, and name what only looks like people."""

from __future__ import annotations

Amount = tuple[int, int | None]
"""From so many to so many; None: no upper end."""

COUNTABLE = 12
"""Larger numbers are crowds: no detector counts them one by one."""

_MEN = """
    man guy gentleman dude lad father dad daddy son brother husband grandfather grandpa uncle nephew groom bridegroom
    king prince emperor monk priest waiter cowboy businessman policeman fireman fisherman salesman swordsman craftsman
    actor wizard sorcerer boy schoolboy
"""
_WOMEN = """
    woman gal lady mother mom mum mommy daughter sister wife grandmother grandma aunt niece bride queen princess empress
    nun waitress cowgirl businesswoman policewoman firewoman actress ballerina witch sorceress geisha housewife heroine
    superheroine girl schoolgirl
"""
_ANYONE = """
    person human adult someone somebody stranger astronaut cosmonaut nurse doctor surgeon dentist teacher professor
    student scientist researcher chemist firefighter officer cop detective soldier guard knight warrior viking gladiator
    samurai ninja pirate sailor captain pilot driver rider farmer gardener hunter archer shepherd blacksmith baker
    butcher chef barista bartender carpenter mechanic plumber electrician engineer architect programmer worker miner
    lawyer politician president journalist reporter photographer painter artist sculptor musician guitarist pianist
    violinist drummer singer rapper dancer magician clown acrobat athlete runner jogger swimmer diver surfer skater
    skateboarder skier snowboarder cyclist biker hiker climber mountaineer gymnast footballer golfer tourist traveler
    traveller passenger pedestrian passerby commuter shopper customer patient librarian secretary accountant monarch
    villager peasant lumberjack wanderer nomad superhero cosplayer influencer parent grandparent friend lover sibling
    cousin neighbor neighbour spouse boyfriend girlfriend elder youth teen teenager lifeguard paramedic spectator
    protester civilian graduate colleague coworker child kid baby toddler infant newborn
"""
_UNLIKE = {
    "person": "people", "child": "children", "gentleman": "gentlemen", "wife": "wives", "housewife": "housewives",
    "passerby": "passersby", "samurai": "samurai", "human": "humans", "baby": "babies", "lady": "ladies",
    "secretary": "secretaries",
}  # fmt: skip


def _plural(noun: str) -> str:
    if noun in _UNLIKE:
        return _UNLIKE[noun]
    if noun.endswith("man"):
        return noun.removesuffix("man") + "men"
    return noun + ("es" if noun.endswith(("ch", "s", "x")) else "s")


def _forms() -> dict[str, tuple[str, str, bool]]:
    named = [(sex, noun) for sex, nouns in (("", _ANYONE), ("m", _MEN), ("f", _WOMEN)) for noun in nouns.split()]
    plurals = {_plural(noun): (noun, sex, True) for sex, noun in named}
    others = {word: ("person", "", True) for word in ("persons", "folks", "folk")}
    return plurals | others | {noun: (noun, sex, False) for sex, noun in named}


FORMS = _forms()
"""Each form of a noun for people: the noun, m or f or neither, and whether it is a plural."""
TWO_WORDS = frozenset({
    ("stick", "figure"), ("human", "figure"), ("human", "being"), ("fashion", "model"), ("female", "model"),
    ("male", "model"), ("police", "officer"),
})  # fmt: skip
GENERIC = frozenset("person human man woman girl boy guy lady child kid".split())
"""Nouns by which somebody who was named already is named again."""
CHILDREN = frozenset("child kid baby toddler infant newborn".split())
KIN = frozenset("mother father mom mum dad baby child parent king queen prince princess son daughter".split())
"""Animals have these too."""
ON_BOARDS_AND_CARDS = frozenset("king queen knight prince".split())
GAMES = frozenset("chess chessboard card cards poker tarot solitaire".split())

COLLECTIVES: dict[str, Amount] = {
    "couple": (2, 2), "couples": (4, None), "newlyweds": (2, 2), "twins": (2, 2), "triplets": (3, 3),
    "family": (2, 8), "families": (4, None), "crowd": (4, None), "crowds": (4, None), "audience": (3, None),
    "mob": (4, None), "choir": (3, None),
}  # fmt: skip
"""Nouns for several people; how many is our judgement where the word does not say."""
ENSEMBLES: dict[str, Amount] = {
    "duo": (2, 2), "trio": (3, 3), "quartet": (4, 4), "quintet": (5, 5), "band": (2, None),
}  # fmt: skip
"""People only with one of PERFORMING beside them: a trio may be of desserts, a band of rubber."""
PERFORMING = frozenset("""
    rock jazz punk marching mariachi pop folk blues barbershop string vocal acoustic comedy playing plays performing
    performs rehearsing singing sings dancing dances
""".split())  # fmt: skip
QUANTITIES: dict[str, Amount] = {
    **dict.fromkeys("a an one single lone lonely solitary another".split(), (1, 1)),
    **{
        word: (number, number)
        for number, word in enumerate("two three four five six seven eight nine ten eleven twelve".split(), 2)
    },
    "both": (2, 2),
    **dict.fromkeys(
        "several some many multiple few various numerous countless other all these those".split(), (2, None)
    ),
}
AMOUNTS: dict[str, Amount] = {
    **dict.fromkeys("couple pair duo".split(), (2, 2)),
    "trio": (3, 3), "quartet": (4, 4), "quintet": (5, 5), "family": (2, 8),
    **dict.fromkeys("group bunch team gang band set number line row circle handful".split(), (2, None)),
    **dict.fromkeys("crowd mob sea army mass horde dozens hundreds thousands crowds throng".split(), (4, None)),
}  # fmt: skip
"""What stands before "of people"."""

NOBODY = frozenset("nobody no-one unpopulated uninhabited people-free unpeopled".split())
ANYBODY = frozenset("person people persons human humans crowd crowds anyone anybody".split())
"""Without these there is nobody; without men there may be women."""
NOT = frozenset("no without zero 0 not never avoid excluding exclude except don't devoid nor isn't aren't".split())
AFTER_NOT = frozenset("any a an the of single draw show include add visible".split())
"""Words that may stand between NOT and what is ruled out."""
NOT_SHOWN = frozenset("by for as like than from about named called versus".split())
"""Before somebody who is not in the picture: "painted by a child", "a toy for kids"."""
UNREAL = frozenset("""
    gingerbread snow straw stick lego iron tin wicker sand paper wooden marble bronze stone toy plastic clay robot
    robotic mechanical statue mannequin porcelain rag cardboard inflatable stuffed knitted vitruvian ant spider michelin
    invisible chess origami metal carved
""".split())  # fmt: skip
"""Before a noun: not, or perhaps not, a human being."""
LIKENESSES = frozenset("""
    statue statues sculpture sculptures bust figurine figurines doll dolls mannequin puppet puppets toy toys scarecrow
    shadow shadows reflection skeleton skull bones relief carving monument effigy clothes costume outfit dress uniform
    hat mask ghost figure figures
""".split())  # fmt: skip
"""Before "of a man"."""
PICTURES = frozenset("painting poster photo photograph picture portrait drawing print mural selfie".split())
JOINERS = frozenset({"and", "&", "+", "plus", "with"})
STOPS = frozenset("and or of with in on at to by from near beside behind between the while & + is are".split())
"""No phrase goes back beyond these."""
POSSESSIVES = frozenset("his her their my your our its".split())
BREAKS = frozenset(',.;:!?|/\n()"')
GOES_ON = frozenset("""
    and or of with in on at to by from near beside behind between under over above below inside outside around against
    through along across next who that which whose is are was were has have having while as during after before
    without wearing holding both all alone together only visible up down out off into onto toward towards play plays
    sit sits stand stands walk walks run runs dance dances ride rides hold holds look looks smile smiles hug hugs kiss
    kisses sing sings talk talks eat eats drink drinks read reads jump jumps sleep sleeps wear wears fight fights work
    works laugh laughs hike hikes swim swims sat stood wore & + - full head close
""".split())  # fmt: skip
"""What may follow a noun that stands for people; any other noun makes it a part of its own name (cowboy hat)."""
BODY = frozenset("face faces head portrait body torso silhouette figure".split())
"""Whose these are is shown: a woman's face."""
ANIMALS = frozenset("""
    cat cats dog dogs bear bears duck ducks lion lions lioness tiger wolf wolves elephant elephants horse horses bird
    birds penguin penguins fox foxes owl monkey animal animals cub cubs kitten kittens puppy puppies cow sheep bee deer
    rabbit panda koala swan whale dolphin hen chicken goose seal
""".split())  # fmt: skip
LIMBS = frozenset("arms hands legs".split())
HELD = frozenset("up down out in raised wide by at spread stretched outstretched crossed behind above".split())
SAID_TO_BE = frozenset("is was being becomes became".split())
"""Before what somebody is said to be: "a woman who is a nurse" is one person."""
POINTING = frozenset("there here this it that".split())
FAR = frozenset("blurred blurry distant".split())
