"""The words that phrases and atoms go by: lists only, of English and of anime models' tags."""

from __future__ import annotations

NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBERS = {word: number for number, word in enumerate(NUMBER_WORDS, 1)} | {
    "single": 1, "lone": 1, "sole": 1, "solitary": 1, "solo": 1, "dozen": 12, "twenty": 20,
}  # fmt: skip
GROUPS = {"pair": 2, "couple": 2, "duo": 2, "trio": 3, "quartet": 4}
"""Words that count before "of"."""
SEVERAL = frozenset("several many multiple various numerous few".split())
SEVERAL_OF = frozenset("group crowd bunch lot lots number set row flock herd pile stack collection".split())
DETERMINERS = frozenset(
    "a an the this that these those my your his her its our their some any another each every both all".split()
)
BEFORE_NUMBERS = frozenset("exactly just only precisely".split())

STOPS = frozenset(
    "on in at by with without under over above below beneath underneath behind before beside besides near against "
    "inside outside between among amid from of to into onto through across around along toward towards up down upon "
    "for and or but nor while where when who which that is are was were be been being am has have had having do does "
    "not no as than then so if it they he she we i you me him them there here very also too next left-hand "
    "sits sit stands stand runs run walks walk lies lie looks look wears wear holds hold rides ride eats eat flies fly "
    "plays sleeps sleep drinks jumps jump hangs hang floats swims shows contains surrounded covered filled made "
    "wearing holding riding carrying please show draw paint create make generate give render want need would like can "
    "could off out during after against about like's s t i'd i'll i'm let's see try make makes".split()
)
"""Words that end a noun phrase: prepositions, conjunctions, pronouns and the commonest verbs."""

RELATIONS: dict[str, str | None] = {
    "to the left of": "to the right of",
    "to the right of": "to the left of",
    "on the left of": "on the right of",
    "on the right of": "on the left of",
    "on the left side of": "on the right side of",
    "on the right side of": "on the left side of",
    "left of": "right of",
    "right of": "left of",
    "on top of": "under",
    "in front of": "behind",
    "behind": "in front of",
    "above": "below",
    "below": "above",
    "over": "under",
    "under": "on top of",
    "underneath": "on top of",
    "beneath": "on top of",
    "inside": "outside",
    "outside": "inside",
    "next to": "far from",
    "beside": "far from",
    "near": "far from",
    "holding": None,
    "riding": None,
    "carrying": None,
    "chasing": None,
    "eating": None,
    "kissing": None,
    "hugging": None,
}
"""How one thing stands to another, with the opposite where there is one."""
MUTUAL = frozenset(("next to", "beside", "near"))
"""Relations that are the same the other way round."""

COLOUR_FAMILIES: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson", "scarlet", "maroon", "burgundy", "ruby"),
    "orange": ("orange", "tangerine", "amber"),
    "yellow": ("yellow", "golden", "gold", "lemon"),
    "green": ("green", "emerald", "olive", "lime", "mint"),
    "blue": ("blue", "navy", "cyan", "turquoise", "teal", "aqua", "azure", "indigo"),
    "purple": ("purple", "violet", "lavender", "magenta", "lilac"),
    "pink": ("pink", "rose", "fuchsia", "salmon", "peach", "coral"),
    "brown": ("brown", "chocolate", "tan", "bronze", "beige", "khaki"),
    "black": ("black", "ebony"),
    "white": ("white", "ivory", "cream"),
    "gray": ("gray", "grey", "silver", "ash"),
    "blonde": ("blonde", "blond", "ginger", "auburn", "brunette"),
}
"""Colour words by the colour that they are a shade of; the first one is its name."""
NAMED_AFTER_THINGS = frozenset(
    "orange rose gold lemon lime mint olive peach coral salmon chocolate violet lavender cream ash silver bronze ruby "
    "amber tangerine emerald ginger brunette blonde blond ivory turquoise".split()
)
"""Colours that are things too: a colour only where a thing follows."""
SHADES = frozenset("light dark bright pale deep vivid pastel neon sky royal navy snow jet plain pure hot".split())
"""Words before a colour that belong to it."""
FOIL_COLOURS = ("blue", "red", "green", "yellow", "black", "white", "purple", "orange", "pink", "brown", "gray")
"""Colours to take the place of others, those that differ most first."""
HAIR_COLOURS = ("black", "brown", "blonde", "red", "white")
"""What hair is told apart by."""
NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "red": ("orange", "pink"),
    "orange": ("red", "yellow", "brown"),
    "yellow": ("orange", "blonde"),
    "pink": ("red", "purple"),
    "purple": ("pink", "blue"),
    "blue": ("purple",),
    "brown": ("orange", "black"),
    "black": ("gray", "brown"),
    "white": ("gray",),
    "gray": ("white", "black"),
    "blonde": ("yellow", "brown"),
}
"""Colours that pass into one another: no foils for each other."""

KINDS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (
        ("circle", "disc", "disk", "dot", "ball", "sphere"),
        ("square", "box", "block", "cube", "rectangle"),
        ("triangle", "pyramid"),
        ("star",),
        ("heart",),
        ("cross", "plus"),
        ("diamond", "rhombus"),
        ("ring", "donut", "hoop"),
    ),
    (
        ("dog", "puppy", "wolf", "fox"),
        ("cat", "kitten", "tiger", "lion", "leopard"),
        ("horse", "donkey", "zebra", "pony", "unicorn"),
        ("bird", "eagle", "owl", "parrot", "chicken", "duck", "swan", "penguin"),
        ("fish", "shark", "whale", "dolphin"),
        ("elephant", "rhino", "hippo"),
        ("rabbit", "mouse", "squirrel", "hamster", "bunny"),
        ("snake", "lizard", "frog", "turtle", "dragon", "dinosaur"),
        ("bear", "panda", "monkey", "gorilla", "koala"),
        ("cow", "sheep", "goat", "pig", "bull"),
        ("butterfly", "bee", "spider", "insect", "ant"),
    ),
    (
        ("car", "truck", "van", "taxi", "jeep"),
        ("bicycle", "bike", "motorcycle", "scooter", "motorbike"),
        ("boat", "ship", "sailboat", "yacht", "canoe", "submarine"),
        ("airplane", "plane", "jet", "aircraft", "helicopter"),
        ("train", "locomotive", "tram"),
        ("bus",),
        ("spaceship", "rocket", "spacecraft"),
    ),
    (
        ("woman", "girl", "lady", "queen", "princess", "witch", "mother", "actress"),
        ("man", "boy", "guy", "king", "wizard", "father", "gentleman"),
        ("robot", "alien"),
    ),
    (
        ("astronaut", "cosmonaut"),
        ("chef", "cook", "baker"),
        ("firefighter", "fireman"),
        ("doctor", "nurse", "surgeon", "dentist", "paramedic"),
        ("knight", "soldier", "warrior", "samurai", "viking", "gladiator"),
        ("clown", "magician", "acrobat"),
    ),
    (
        ("apple", "pear", "tomato", "peach"),
        ("banana",),
        ("grape", "cherry", "berry", "strawberry"),
        ("pizza", "burger", "sandwich"),
        ("cake", "cookie", "pie"),
        ("bread", "loaf"),
    ),
    (
        ("house", "cottage", "cabin", "hut"),
        ("castle", "palace", "fortress"),
        ("skyscraper", "tower", "lighthouse"),
        ("church", "cathedral", "temple"),
        ("bridge",),
    ),
    (
        ("tree", "palm", "oak"),
        ("flower", "rose", "tulip", "sunflower", "daisy"),
        ("mushroom",),
        ("cactus",),
    ),
    (
        ("mountain", "hill", "volcano"),
        ("forest", "jungle", "woods"),
        ("beach", "ocean", "sea", "coast"),
        ("desert", "dune"),
        ("city", "street", "town", "skyline"),
        ("river", "lake", "waterfall"),
    ),
    (
        ("chair", "stool", "armchair", "bench"),
        ("table", "desk"),
        ("bed",),
        ("sofa", "couch"),
        ("lamp", "lantern"),
    ),
    (
        ("hat", "cap", "helmet", "crown"),
        ("shirt", "jacket", "coat", "sweater", "hoodie", "suit"),
        ("dress", "skirt", "gown", "kimono"),
        ("scarf", "tie"),
        ("umbrella",),
        ("bag", "backpack", "suitcase"),
    ),
)
"""Things by kind, near ones together: what may be taken for what. The first word of a group stands for it, and is
neither the general word for a thing of another group of its kind nor an example of it: a nurse may be a man."""
ANYTHING: dict[str, frozenset[str]] = {
    "umbrella": frozenset("parasol canopy accessory gear".split()),
    "banana": frozenset("plantain fruit food snack dessert breakfast lunch meal dinner produce".split()),
    "teapot": frozenset("pot kettle samovar vessel dish pottery ceramic crockery tableware utensil".split()),
    "ladder": frozenset("stepladder step tool equipment".split()),
    "violin": frozenset("fiddle viola cello stradivarius instrument".split()),
    "hammer": frozenset("mallet sledgehammer gavel tool weapon equipment".split()),
}
"""Other things, for a thing of no known kind, each with what it is an example of, is nearly, or has as an example.

No dog, car or person: a poodle, a sedan and a friend are these too."""
UNTOLD = frozenset(
    "thing object item something anything stuff product prop gift present toy decoration antique".split()
)
"""Of which any thing may be an example."""

SETTINGS = frozenset("background backdrop canvas".split())
"""What a picture stands on: it has a colour, and is no subject."""
MEDIA = frozenset(
    "photo photograph picture image drawing illustration painting portrait render rendering sketch closeup close-up "
    "shot view scene artwork icon graphic card poster logo selfie snapshot watercolor watercolour cartoon anime manga "
    "photography design style art artist concept wallpaper version".split()
)
"""What kind of picture it is, rather than what it shows."""
PARTS = frozenset(
    "left right top bottom center centre middle side corner edge foreground distance front back rear sunset sunrise "
    "dusk dawn night day daytime evening morning light lighting lights shadow shadows air focus mood atmosphere "
    "color colors colour colours tone tones palette angle perspective composition detail details texture textures "
    "lines edges shape frame arms hands".split()
)
"""Places in the picture, times and looks: no things to look for."""
QUALITIES = frozenset(
    "masterpiece best high highest quality highly ultra super extremely very detailed detail details intricate sharp "
    "focus hd uhd fhd hdr 4k 8k 16k 2k 1080p absurdres highres lowres hires resolution res professional award winning "
    "award-winning photorealistic realistic hyperrealistic hyper-realistic realism cinematic dramatic lighting depth "
    "of field bokeh unreal engine octane vray trending on artstation deviantart pixiv raw dslr 35mm 50mm 85mm f1.8 "
    "film grain amazing stunning beautiful gorgeous perfect good great aesthetic newest official art simple clean "
    "minimalist minimal flat design vector digital illustration clip icon logo crisp clear bold geometric plain "
    "well defined color colors colour colours solid style lines edges shape a an the in and 3d 2d cg unity wallpaper "
    "volumetric soft studio natural light ray tracing vibrant vivid elegant nice pretty lovely polished "
    "professional-quality high-quality nsfw sfw safe rating general please watermark".split()
)
"""A clause of these words alone speaks of the quality of the picture, and is read over."""
ADJECTIVES = frozenset(
    "old young happy sad angry sleepy tall short long wide small big large huge tiny little giant fat thin beautiful "
    "pretty cute ugly dirty clean wet dry hot cold new modern ancient vintage rusty shiny broken wooden metal stone "
    "furry fluffy colorful colourful dark bright light blurry outdoors indoors outside inside upper lower close full "
    "smiling standing sitting walking running alone together open closed medium nice simple plain perfect lovely solid "
    "good great fine bold lonely neat round abstract surreal detailed realistic cinematic nude naked minimalist sharp "
    "raised outstretched spread upright lowered centered centred side looking".split()
)
"""Words that no noun phrase ends with."""
TAILS = frozenset("shape sign symbol icon logo".split())
"""Words that add nothing to the thing before them: "ring shape"."""
ADVERBS = frozenset("wide high low far away down apart together alone quietly happily slowly side upright".split())
"""Words after which a participle is a verb: "arms stretched wide"."""
TAG_PEOPLE = {"girl": "girl", "boy": "boy", "other": "person", "man": "man", "woman": "woman", "cat": "cat"}
MASS = frozenset(
    "hair water snow rain fog smoke fire grass sand ice light sky food rice bread milk coffee tea wood gold silver "
    "armor armour clothing clothes skin fur money music traffic furniture luggage crowd people scenery nature "
    "fruit wine wheat mist steam dust cloth silk cotton leather steel glass jewelry makeup".split()
)
"""Things that are not counted one by one, so that no article "a" is put before them."""
