"""What a message makes of a wish, by rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.prompts.edits import Edit, edited
from workflows.types import Change

EDITS = (
    # added
    ("a cat on a sofa", "add a dog", "a cat on a sofa, a dog"),
    ("a cat on a sofa", "Could you please also add window?", "a cat on a sofa, a window"),
    ("1girl, long hair", "add glasses", "1girl, long hair, glasses"),
    ("a cat on a sofa", "with a red ball", "a cat on a sofa, with a red ball"),
    ("a cat on a sofa", "how about a hat?", "a cat on a sofa, a hat"),
    ("A cat. It sits on a sofa.", "add a window", "A cat. It sits on a sofa, a window."),
    ("a cat", 'add a sign that says "No dogs, please."', 'a cat, a sign that says "No dogs, please."'),
    ("a man on a bench", "give him a hat", "a man with a hat on a bench"),
    ("a wolf in a forest", "draw a bear next to it", "a wolf in a forest, a bear next to it"),
    # removed
    ("a man with a red hat on a bench", "without the hat", "a man on a bench"),
    ("a cat and a dog on a sofa", "remove the dog", "a cat on a sofa"),
    ("a cat and a dog on a sofa", "remove the cat", "a dog on a sofa"),
    ("a cat wearing a hat and a scarf", "no hat", "a cat wearing a scarf"),
    ("1girl, long hair, hat, smile", "no hat please", "1girl, long hair, smile"),
    ("a knight with a sword, castle", "please remove the sword and the castle", "a knight"),
    ("a house with a red door and a blue roof", "remove the blue roof", "a house with a red door"),
    ("a cat on a sofa", "I don't want the sofa", "a cat"),
    ("a street at night in the rain", "no rain", "a street at night"),
    ("three cats", "remove one cat", "two cats"),
    ("a beach", "no people", "a beach, without people"),
    # exchanged
    ("a cat on a sofa", "replace the cat with a dog", "a dog on a sofa"),
    ("a cat on a sofa", "change the sofa to a chair", "a cat on a chair"),
    ("a red car on a street", "blue instead of red", "a blue car on a street"),
    ("a girl in a red dress", "change the dress to blue", "a girl in a blue dress"),
    ("A photo of a dog.", "use an owl instead of the dog", "A photo of an owl."),
    ("a cat", "make it a dog", "a dog"),
    ("a fox under a birch tree", "change the birch to an oak", "a fox under an oak tree"),
    ("a bowl of strawberries on a table", "use blueberries instead", "a bowl of blueberries on a table"),
    ("portrait of a woman in a green dress", "I'd prefer a man instead", "portrait of a man in a green dress"),
    ("a car on a road at sunset", "night instead", "a car on a road at night"),
    ("a robot walking a dog", "no, I want a cat, not a dog", "a robot walking a cat"),
    ('a sign that says "OPEN" in a window', 'change the text to "CLOSED"', 'a sign that says "CLOSED" in a window'),
    ("three cats on a sofa", "only two cats", "two cats on a sofa"),
    ("a castle on a hill", "make it rainy and foggy", "a castle on a hill, in the rain, in fog"),
    ("portrait of a woman", "put her in a library", "portrait of a woman, in a library"),
    # described
    ("a brown dog on grass", "make the dog white", "a white dog on grass"),
    ("a cat on a sofa", "the sofa should be green", "a cat on a green sofa"),
    ("a cat on a sofa", "make the sky purple", "a cat on a sofa, purple sky"),
    ("a woman with brown hair", "make her hair red", "a woman with red hair"),
    ("a man on a bench", "make him smile", "a man smiling on a bench"),
    ("a portrait of a woman", "she should be older", "a portrait of an old woman"),
    ("an old man", "make him younger", "a young man"),
    ("a red apple and a green pear", "make the apple green and the pear red", "a green apple and a red pear"),
    ("a castle", "make it bigger", "a big castle"),
    # counted
    ("one bird on a wire", "two instead of one", "two birds on a wire"),
    ("a bird on a wire", "make it three birds", "three birds on a wire"),
    ("two cats on a sofa", "just one cat", "one cat on a sofa"),
    # times, weathers, media, framing
    ("a cat on a sofa", "make it night", "a cat on a sofa, at night"),
    ("a photo of a cat at noon", "make it night", "a photo of a cat at night"),
    ("a castle, wide shot, sunset", "zoom in, and make it dawn", "a castle, close-up, dawn"),
    ("a wolf in a forest", "I want it to be foggy", "a wolf in a forest, in fog"),
    ("a photo of a cat", "make it a watercolor", "a watercolor painting of a cat"),
    ("a dog in a park, photo", "as an oil painting", "a dog in a park, oil painting"),
    ("a castle", "closer, from above", "a castle, close-up, from above"),
    ("a castle", "in the style of Ansel Adams", "a castle, in the style of Ansel Adams"),
    # looks
    ("a castle", "more dramatic", "a castle, dramatic lighting"),
    ("a castle, dark", "brighter and warmer", "a castle, bright light, warm colors"),
    ("a bright, colorful kitchen", "less colorful", "a bright kitchen"),
    ("a castle", "it's too dark", "a castle, bright light"),
    # several
    ("a cat", "Replace the cat by two dogs, make it snow, and zoom out.", "two dogs, in the snow, wide shot"),
    ("a girl in a red dress with a hat, sunset", "change the dress to blue and remove the hat",
     "a girl in a blue dress, sunset"),
    ("a dragon", "Perfect! Now add a knight", "a dragon, a knight"),
    ("a wolf in a forest", "keep the wolf but change the forest to a desert", "a wolf in a desert"),
    # new descriptions
    ("a cat", "forget that, draw a spaceship over Mars", "a spaceship over Mars"),
    ("a cat", "new idea: a red dragon over a lake", "a red dragon over a lake"),
    ("a cat", "instead draw a fox in the snow", "a fox in the snow"),
    ("a cat", "An old lighthouse on a coast in a storm, oil", "An old lighthouse on a coast in a storm, oil"),
    ("", "draw me a picture of a cat please", "a cat"),
)  # fmt: skip


@pytest.mark.parametrize(("words", "message", "after"), EDITS)
def test_a_message_changes_the_wish(words: str, message: str, after: str) -> None:
    edit = edited(words, message)
    assert (edit.words, edit.understood) == (after, True)
    assert bool(edit.changes) is bool(words)


@pytest.mark.parametrize(
    "message", ["", "thanks!", "Perfect, I love it.", "Why is it so dark?", "What would look better?", "Is this flux?"]
)
def test_thanks_and_questions_change_nothing(message: str) -> None:
    assert edited("a cat on a sofa", message) == Edit("a cat on a sofa", (), understood=False)


def test_what_is_not_understood_is_kept_behind_the_wish() -> None:
    change = Change(what="added: blorp the fnord", why="it is in your message as it stands")
    assert edited("a cat", "blorp the fnord.") == Edit("a cat, blorp the fnord", (change,), understood=False)


def test_what_is_not_there_is_said() -> None:
    edit = edited("a cat on a sofa", "replace the dog with a parrot")
    assert edit.words == "a cat on a sofa, a parrot"
    assert edit.changes == (Change(what="added a parrot", why="there was no dog in your words"),)


def test_what_is_there_is_not_added_again() -> None:
    assert edited("a cat on a sofa", "add a sofa").words == "a cat on a sofa"


def test_a_conversation_goes_on_from_what_was_left() -> None:
    words = ""
    for message in (
        "a knight on a hill",
        "add a dragon",
        "make the dragon green",
        "at sunset",
        "no, at night",
        "without the hill",
    ):
        words = edited(words, message).words
    assert words == "a knight, a green dragon, at night"


@given(st.text(max_size=120), st.text(max_size=120))
@settings(deadline=None)
def test_any_message_leaves_words(words: str, message: str) -> None:
    assert isinstance(edited(words, message).words, str)
    if words.strip():
        assert edited(words, message).words.strip()


@pytest.mark.parametrize(
    "piece",
    ["good job ", "!", "please ", "a ", "and add ", "no ", "replace a with b ", ", ", "instead of ", "(", '"',
     "make the a ", "the x should be y ", "can you please just ", "is it? ", "1", "\ue000",
     "with a with ", "not too ", "a, a and "],
)  # fmt: skip
def test_long_messages_and_wishes_are_read_in_time(piece: str) -> None:
    assert edited("a cat on a sofa, with a hat", (piece * 8000)[:8000]).words
    assert edited(("a " + piece * 8000)[:8000], "remove the cat and make it night and blue instead of red").words
