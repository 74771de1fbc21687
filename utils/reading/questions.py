"""Questions about a picture, made from what its prompt states, and what the answers to them mean.

The way of TIFA (arXiv 2303.11897) and of the Davidsonian scene graph (arXiv 2310.18235): a prompt is split into facts,
each is asked about alone, and a fact about a thing that is not there is not met. Pure: nothing here asks anybody.

The first call imports inflect, as utils.reading.atoms does: a caller with an event loop puts it on a thread.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from utils.model_replies import CANNOT_TELL, answer_keys
from utils.reading import vocabulary as words
from utils.reading.answers import Said, read_colour, read_number, read_side, read_yes_no
from utils.reading.atoms import SEVERAL, Atom, atoms_of
from utils.reading.phrases import plural, singular

MOST_QUESTIONS = 8
"""Of one picture. Small models answer about so many in one call; later ones they leave out or mix up."""
LONGEST = 300
"""Characters of a prompt that is asked about as a whole."""
SEVERAL_IS = 2
"""The least that counts as several."""
DESCRIBE = (
    "Describe this picture in two or three sentences: what there is and how many of each, in which colours, "
    "where it stands, and in which style it is made. Say only what can be seen."
)
_ASK = (
    "Look closely at the picture and answer the questions about it by what is really there, not by what would be "
    "usual. Answer briefly: yes or no, a number, or a few words. Where the picture does not show it, answer: "
    f"{CANNOT_TELL}."
)
_FORM = "Reply with one JSON object and nothing else, with a short text under each of the keys {keys}."

_NUMBER_BEFORE = re.compile(
    rf"^(?:(?:an?|the|{'|'.join([*words.BEFORE_NUMBERS, *words.GROUPS, *words.NUMBERS, *words.SEVERAL])}|of|\d+)\s+)+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Question:
    """What is asked about one atom.

    `wish` is the fact in words that make it plain, such as "exactly three stars"; always positive. `thing`: what a
    count counts, as the prompt calls it, in the plural.
    """

    atom: Atom
    text: str
    wish: str
    thing: str = ""


@dataclass(frozen=True)
class Finding:
    """What an answer says of its atom. `met` None: it cannot be told.

    `seen` is what was seen instead, such as "2 stars instead of 3", or why it is unknown. `follows`: it is not met
    only because the thing itself is not there. `number` and `colour`: what was seen, where that was told.
    """

    atom: Atom
    met: bool | None
    seen: str = ""
    follows: bool = False
    number: int | None = None
    colour: str | None = None


def questions_of(prompt: str) -> tuple[Question, ...]:
    """At most eight questions, in the prompt's order: numbers and colours before things that these imply.

    A prompt in which no fact was understood is asked about as a whole, which is what VQAScore (arXiv 2404.01291) does.
    """
    atoms = atoms_of(prompt)
    if not atoms:
        return _whole(prompt)
    chosen = sorted(range(len(atoms)), key=lambda place: (_rank(atoms[place], atoms), place))[:MOST_QUESTIONS]
    return tuple(_question(atoms[place], atoms) for place in sorted(chosen))


def asking(questions: Sequence[str]) -> str:
    """The words that ask a vision language model all questions in one call; utils.model_replies reads its reply."""
    keys = answer_keys(questions)
    lines = [f"{key}: {question}" for key, question in zip(keys, questions, strict=True)]
    return "\n".join([_ASK, *lines, _FORM.format(keys=", ".join(keys))])


def read_findings(questions: Sequence[Question], answers: Sequence[str]) -> tuple[Finding, ...]:
    """What the answers say of their atoms; answers that are missing at the end are unknown."""
    padded = [*answers, *[""] * len(questions)]
    read = [_read(question, answer) for question, answer in zip(questions, padded, strict=False)]
    seen = {finding.atom.noun for finding in read if finding.number}
    found = [_doubted(finding) if finding.atom.noun in seen else finding for finding in read]
    absent = {finding.atom.noun for finding in found if finding.atom.kind == "subject" and finding.met is False}
    return tuple(_without_its_thing(finding, absent) for finding in found)


def _doubted(finding: Finding) -> Finding:
    """A thing that was counted and is said not to be there."""
    if finding.atom.kind != "subject" or finding.met is not False:
        return finding
    return Finding(finding.atom, None, "the answers contradict each other")


def unwanted(question: Question, finding: Finding) -> tuple[str, ...]:
    """What was seen that should not be, in words for a negative prompt.

    Of numbers only doubles of a single thing: "two stars" in a negative prompt keeps all stars away.
    """
    atom = question.atom
    if atom.kind == "count" and atom.value == "one" and finding.number != 0:
        return (f"multiple {question.thing}",)
    return (f"{finding.colour} {atom.noun}",) if finding.colour else ()


def _whole(prompt: str) -> tuple[Question, ...]:
    said = " ".join(prompt.split())[:LONGEST]
    if not said:
        return ()
    atom = Atom(kind="subject", text=said, phrase=said, noun=said, value=said, foils=())
    return (Question(atom, f'Does the picture show this: "{said}"? Answer yes or no.', said),)


def _rank(atom: Atom, atoms: Sequence[Atom]) -> int:
    """Lower is asked first: a thing that is counted or has a colour is asked about anyway."""
    implied = any(other.noun == atom.noun and other.kind in {"count", "colour"} for other in atoms)
    return {"count": 0, "colour": 1, "subject": 4 if implied else 2, "relation": 3}[atom.kind]


def _question(atom: Atom, atoms: Sequence[Atom]) -> Question:
    alike = [other for other in atoms if other.kind == atom.kind and singular(other.noun) == singular(atom.noun)]
    be = "Are" if _is_many(atom) else "Is"
    match atom.kind:
        case "count":
            return _count_question(atom, ambiguous=len(alike) > 1)
        case "colour" if len(alike) > 1:
            asked, wish = f"{be} there {atom.text} in the picture?", atom.text
            return Question(atom, f"{asked} Answer yes, or no and the colour that is there instead.", wish)
        case "colour":
            asked, wish = f"{be} the {atom.noun} {atom.value}?", f"the {atom.noun} {be.lower()} {atom.value}"
            return Question(atom, f"{asked} Answer yes, or no and the colour that is there instead.", wish)
        case "subject":
            asked, wish = f"{be} there {atom.text} in the picture?", f"{atom.text} in plain view"
            return Question(atom, f"{asked} Answer yes or no.", wish)
        case "relation":
            return Question(atom, f"{be} {atom.text}? Answer yes, or no and how it is instead.", atom.text)


def _count_question(atom: Atom, ambiguous: bool) -> Question:
    """`ambiguous`: with circles of two colours, the number of all circles would be the answer to neither."""
    named = _NUMBER_BEFORE.sub("", atom.phrase) if ambiguous else atom.noun
    thing = counted(named, 2)
    wish = f"{atom.value} {counted(named, 1 if atom.value == 'one' else 2)}"
    asked = f"How many {thing} are in the picture? Answer with a number."
    return Question(atom, asked, wish if atom.value == SEVERAL else f"exactly {wish}", thing)


def _is_many(atom: Atom) -> bool:
    """Whether an atom speaks of more than one; a relation, by its first thing."""
    first = atom.text.split(" ", 1)[0].lower()
    if atom.kind == "relation":
        return first not in {"a", "an", "the", "one"} and singular(atom.noun) != atom.noun
    return singular(atom.noun) != atom.noun


def _read(question: Question, answer: str) -> Finding:
    atom = question.atom
    match atom.kind:
        case "count":
            return _count(question, answer)
        case "colour":
            return _colour(atom, answer)
        case "subject":
            said = read_yes_no(answer, atom.noun)
            return Finding(atom, said.yes, said.why or ("" if said.yes else f"no {atom.noun}"))
        case "relation":
            said = read_side(answer, atom.text)
            return Finding(atom, said.yes, said.why or ("" if said.yes else f"not {atom.text}{_instead(said)}"))


def _count(question: Question, answer: str) -> Finding:
    atom, thing = question.atom, question.thing
    least, most = read_number(answer, thing)
    if least is None:
        return Finding(atom, None, _unread(answer))
    asked = None if atom.value == SEVERAL else _number(atom.value)
    wanted = atom.value if asked is None else str(asked)
    if asked is None:
        met = True if least >= SEVERAL_IS else False if most is not None and most < SEVERAL_IS else None
    else:
        met = least == most == asked if most is not None else (False if least > asked else None)
    if met is None:
        return Finding(atom, None, _unread(answer))
    number = least if least == most else None
    shown = "no" if number == 0 else str(number) if number is not None else SEVERAL
    seen = f"{shown} {counted(thing, 2 if number is None else number)} instead of {wanted}"
    return Finding(atom, met, "" if met else seen, number=number)


def counted(thing: str, number: int) -> str:
    """The thing, of which the last word is the noun, in the number: "red stars", 1 -> "red star"."""
    *described, noun = thing.split(" ")
    one = singular(noun)
    return " ".join([*described, one if number == 1 else plural(one)])


def _number(word: str) -> int:
    return int(word) if word.isdecimal() else words.NUMBERS[word]


def _colour(atom: Atom, answer: str) -> Finding:
    said, colour = read_colour(answer, atom.value, atom.noun)
    if said.yes is not False:
        return Finding(atom, said.yes, said.why)
    seen = f"{colour} {atom.noun} instead of {atom.value}" if colour else f"{atom.noun} not {atom.value}"
    return Finding(atom, False, seen, colour=colour)


def _without_its_thing(finding: Finding, absent: set[str]) -> Finding:
    """What is said of a thing that is not there is not met, whatever the answer was."""
    atom = finding.atom
    things = (atom.noun, atom.value) if atom.kind == "relation" else (atom.noun,)
    gone = next((thing for thing in things if thing in absent), None)
    if atom.kind == "subject" or gone is None:
        return finding
    return replace(finding, met=False, seen=f"no {gone}", follows=True)


def _instead(said: Said) -> str:
    return f" ({said.rest})" if said.rest else ""


def _unread(answer: str) -> str:
    return f'the answer was "{answer[:60]}"' if answer else "no answer"
