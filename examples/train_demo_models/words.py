"""The words of the captions: what the models know, and what they must not take for something they know."""

from __future__ import annotations

COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red",) * 5 + ("crimson", "scarlet", "bright red", "dark red"),
    "green": ("green",) * 5 + ("emerald", "dark green", "bright green"),
    "blue": ("blue",) * 5 + ("navy", "navy blue", "royal blue", "dark blue"),
    "yellow": ("yellow",) * 5 + ("golden", "gold", "lemon", "bright yellow"),
    "orange": ("orange",) * 6 + ("tangerine", "bright orange"),
    "purple": ("purple",) * 5 + ("violet", "violet", "dark purple"),
    "pink": ("pink",) * 6 + ("rose", "light pink"),
    "brown": ("brown",) * 6 + ("chocolate", "dark brown"),
    "black": ("black",) * 6 + ("jet black",),
    "white": ("white",) * 7 + ("plain white", "pure white", "snow white"),
    "gray": ("gray",) * 3 + ("grey",) * 3 + ("silver",),
    "cyan": ("cyan",) * 5 + ("turquoise", "teal", "aqua", "light blue", "sky blue"),
}

SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle",) * 5 + ("disc", "disk", "dot", "round circle", "ball"),
    "square": ("square",) * 5 + ("box", "square box", "block"),
    "triangle": ("triangle",) * 6 + ("triangle shape",),
    "star": ("star",) * 6 + ("star shape", "five-pointed star"),
    "heart": ("heart",) * 6 + ("heart shape", "love heart"),
    "cross": ("cross",) * 4 + ("plus sign", "plus", "plus symbol", "cross shape"),
    "diamond": ("diamond",) * 4 + ("rhombus", "diamond shape"),
    "ring": ("ring",) * 4 + ("donut", "hoop", "ring shape"),
    "person": ("person",) * 5 + ("stick figure", "human figure", "man", "human", "figure", "human being"),
}
PLURALS = {"box": "boxes", "cross": "crosses", "person": "people", "rhombus": "rhombuses", "man": "men",
           "plus": "pluses", "square box": "square boxes"}  # fmt: skip

SIZE_WORDS = (
    ("small", "small", "tiny", "little"),
    ("medium", "medium-sized"),
    ("large", "big", "big", "huge", "giant"),
)

ONE_WORDS = ("one", "single", "a single", "1", "just one", "only one", "a lone", "exactly one")
TWO_WORDS = ("two", "two", "two", "two", "2", "2", "a pair of", "a pair of", "a couple of", "exactly two", "a duo of")
THREE_WORDS = ("three", "three", "three", "three", "3", "3", "a trio of", "exactly three", "a set of three")
FOUR_WORDS, FIVE_WORDS = ("four", "four", "4"), ("five", "five", "5")
MANY_WORDS = ("multiple", "multiple", "several", "a group of", "many", "a few", "some", "a number of")

PLACE_WORDS: tuple[tuple[str, ...], ...] = (
    ("in the center", "in the middle", "centered", "at the center", "in the centre"),
    ("on the left", "on the left side", "at the left", "to the left", "on the left edge"),
    ("on the right", "on the right side", "at the right", "to the right", "on the right edge"),
    ("at the top", "on top", "near the top", "at the top edge"),
    ("at the bottom", "near the bottom", "at the bottom edge"),
    ("in the top left corner", "at the top left", "in the upper left corner", "top left"),
    ("in the top right corner", "at the top right", "in the upper right corner", "top right"),
    ("in the bottom left corner", "at the bottom left", "in the lower left corner", "bottom left"),
    ("in the bottom right corner", "at the bottom right", "in the lower right corner", "bottom right"),
)

POSE_WORDS: tuple[tuple[str, ...], ...] = (
    (
        "with arms down", "arms down", "with arms at the sides", "with lowered arms", "with hands down",
        "with both arms down", "arms by the side", "with his arms hanging down",
        "with his arms down", "with her arms at her sides",
    ),
    (
        "with arms raised", "with raised arms", "with arms up", "raising both arms", "with hands up", "arms raised",
        "with both arms up", "hands up", "hands in the air", "with raised hands", "arms up", "with his arms raised",
    ),
    (
        "with arms out", "with arms outstretched", "with arms spread", "in a t-pose", "arms out",
        "with outstretched arms", "with both arms out", "arms spread wide", "with arms stretched to the sides",
        "arms wide open", "with open arms", "with arms stretched out", "arms stretched wide", "with his arms spread",
    ),
)  # fmt: skip
STANDING_WORDS = ("standing", "standing up", "standing upright")

OPENINGS = (
    "an image of", "a picture of", "a drawing of", "an illustration of", "a photo of", "photo of", "picture of",
    "drawing of", "image of", "simple drawing of", "draw", "draw me", "please draw", "paint", "show", "show me",
    "make", "create", "generate", "please paint", "i want", "give me", "we see", "here is", "an icon of", "a sketch of",
    "a picture showing", "can you draw", "could you draw", "i would like", "a graphic of", "a render of",
    "the picture shows", "this is", "the image shows", "let me see", "i need", "i'd like", "an artwork of",
    "please make",
    "make me", "render", "please show me", "a card with", "design", "we want", "the drawing shows", "try",
)  # fmt: skip

STYLES = (
    "high quality", "simple", "flat design", "minimalist", "icon", "clean", "detailed", "vector art", "4k", "sharp",
    "best quality", "highly detailed", "sharp focus", "masterpiece", "digital art", "illustration", "clip art",
    "clear", "crisp", "flat", "geometric", "logo", "professional", "sharp edges", "clean lines", "plain", "minimal",
    "beautiful", "bold", "flat colors", "well defined", "hd", "8k", "good quality", "simple shape", "solid color",
)  # fmt: skip

NEUTRAL_WORDS = ("nice", "simple", "simple", "plain", "perfect", "pretty", "cute", "lovely", "clean", "bold", "solid",
                 "lonely", "neat", "good", "great", "beautiful", "fine")  # fmt: skip

BACKGROUND_CLAUSES = (
    " on a {c} background", " on a {c} background", " on a {c} background", " on {c} background",
    ", {c} background", ", {c} background", " on {c}", " on {c}", " over a {c} background", " against a {c} background",
    " against {c}", ", {c} backdrop", " on a {c} backdrop", " on a {c} canvas", " with a {c} background",
    " on a plain {c} background", " on a solid {c} background", ", on {c}", " in front of a {c} background",
    " and a {c} background", " on {c} paper", ", background {c}", ", the background is {c}", " before a {c} backdrop",
    ", plain {c} background", " against a {c} backdrop", ", {c} canvas", ", solid {c} background",
)  # fmt: skip
BACKGROUND_FIRST = (
    "on a {c} background, ", "{c} background, ", "{c} background with ", "on {c}: ", "on a {c} canvas: ",
    "{c} backdrop, ", "on a {c} background there is ", "a {c} background with ", "a {c} canvas with ",
)  # fmt: skip

FLAWS = (
    "blurry", "low quality", "deformed", "watermark", "text", "duplicate", "cloned", "ghosting", "mirrored", "cropped",
    "bad quality", "distorted", "noise", "artifacts", "ugly", "jpeg artifacts", "worst quality", "signature", "blur",
    "extra", "out of frame", "bad anatomy", "extra limbs", "disfigured", "missing", "overlapping", "cluttered",
)  # fmt: skip

NOUNS = tuple(
    """
car tree house sun moon bird fish flower cloud mountain river boat ship train plane bicycle bus truck road bridge tower
window door chair table lamp bed sofa clock book pen pencil phone computer keyboard screen camera guitar piano drum
violin trumpet bottle cup glass plate fork spoon knife bowl bread cheese apple banana grape lemonade cherry pear
strawberry carrot tomato potato onion pepper mushroom pizza burger cake cookie ice cream coffee tea water fire smoke
snow rain storm lightning rainbow beach ocean sea lake island forest desert jungle garden park field farm village city
street building church temple palace ruin wall fence gate garage kitchen bathroom bedroom office school hospital shop
market woman women girl boy child baby king queen knight soldier pirate wizard witch robot alien monster dragon unicorn
horse cow sheep pig goat chicken duck goose rabbit mouse rat squirrel fox wolf bear lion tiger elephant giraffe zebra
monkey gorilla kangaroo koala panda penguin owl eagle parrot swan whale dolphin shark octopus crab lobster turtle snake
frog lizard spider bee butterfly ant beetle snail shirt dress hat shoe glove scarf coat bag wallet umbrella key lock
hammer saw drill screw nail wrench ladder bucket broom rope candle lantern torch balloon kite toy doll puzzle dice card
chess trophy medal flag map globe compass rocket satellite planet galaxy comet astronaut telescope microscope battery
engine wheel tire helmet sword shield bow arrow gun tank crown necklace bracelet mirror painting statue fountain
hexagon pentagon octagon oval ellipse rectangle cylinder cone cube spiral wave crescent trapezoid line stripe grid face
eye hand foot nose mouth ear skull bone leaf grass root branch stone rock sand bar coin money bank letter envelope
stamp newspaper poster banner ticket menu recipe song dance party wedding football basketball tennis skateboard
surfboard portrait landscape scenery skyline sunset sunrise dinosaur mermaid fairy ghost vampire zombie
""".split()
)
HELD_OUT_NOUNS = tuple(
    """
castle hill cat dog vase windmill lighthouse tractor scooter helicopter submarine bathtub pillow blanket backpack
suitcase pineapple watermelon broccoli sandwich noodles volcano waterfall canyon meadow harbor stadium museum library
nurse doctor farmer chef dancer singer camel donkey hamster peacock flamingo jellyfish starfish scorpion dragonfly
sweater necktie sunglasses tent campfire typewriter accordion harp snowman scarecrow anchor parachute feather
""".split()
)
ODD_COLOURS = ("maroon", "beige", "olive", "lavender", "mint", "peach", "khaki", "plaid", "striped", "rainbow",
               "transparent", "spotted", "checkered", "wooden", "metallic")  # fmt: skip
ADJECTIVES = tuple(
    """
old young happy sad angry sleepy hungry fast slow wild quiet loud rusty broken shiny dirty wet dry hot cold frozen
ancient modern fancy cozy creepy spooky magical futuristic medieval tropical urban rural stormy sunny misty tall short
long wide furry fluffy spiky wrinkled elegant vintage luxurious colorful abstract crowded empty lonely
""".split()
)
VERBS = tuple(
    """
running jumping flying swimming sleeping eating drinking reading writing playing fighting cooking dancing singing
climbing driving riding falling smiling crying laughing sitting walking holding wearing chasing throwing building
""".split()
)
EXTRAS = ("next to a {n}", "and a {n}", "with a {n}", "holding a {n}", "under a {n}", "inside a {n}", "on a {n}",
          "in front of a {n}", "with {n}s", "in a {a} {n}", "wearing a {n}", "behind a {n}")  # fmt: skip
WORLDLY = (
    "a {n}", "a {a} {n}", "the {n}", "{n}", "a {n} on a {n}", "a {n} in the {n}", "portrait of a {n} with {n}s",
    "a {a} {n} {v} in a {n}", "two {n}s {v}", "{a} {n} at sunset", "a {n} {v}", "a photo of a {n} near the {n}",
    "a {a} {a} {n}", "three {n}s and a {n}", "a {n} full of {n}s", "{n} {n} {n}", "a {n} with a {n}",
    "close-up of a {n}", "{v} {n}", "a {c} {n} on a {a} {n}", "the {c} {n} is {v}", "my {n}", "a view of the {a} {n}",
)  # fmt: skip
