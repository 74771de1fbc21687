"""XMP packets: IPTC's mark of what a machine made, what made it, and our own texts where a format has no better place.

Read with expat alone. A packet with a DTD is refused whole, so no entity is ever declared or fetched.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

from utils.metadata.stamps import Texts, clean, record_of

MAX_PACKET = 24_000_000
"""Bytes of a packet that is parsed: our own texts at their longest, escaped."""
MOST_PROPERTIES = 2000
MOST_SHOWN = 30_000
"""Bytes of one property in escaped form, so that the packet without our own texts fits into one JPEG segment."""

NAMESPACES = {
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "atelier": "urn:atelier:metadata:1/",
}
SOURCE_TYPE = "Iptc4xmpExt:DigitalSourceType"
OWN = "atelier:texts"
"""Texts that the format has no place for: a JSON object, text by name."""
EXTENDED = "xmpNote:HasExtendedXMP"
"""The MD5 of the further packet of a JPEG, whose segments end at 64 KB."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()}
_UNTOLD = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""
_OURS = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/[A-Za-z]{3,60}")


def packet(facts: Mapping[str, str], texts: Mapping[str, str]) -> bytes:
    """The packet with `facts` (text by property, such as xmp:CreatorTool) and `texts` of our own, to the letter."""
    told = {name: _told(text) for name, text in facts.items()}
    if texts:  # as JSON in ASCII: XML would change line ends and cannot hold control characters
        told[OWN] = escape(json.dumps(texts))
    uses = " ".join(f'xmlns:{prefix}="{NAMESPACES[prefix]}"' for prefix in sorted({n.partition(":")[0] for n in told}))
    body = "".join(f"<{name}>{text}</{name}>\n" for name, text in told.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about="" {uses}>\n'
        f'{body}</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end="r"?>'
    ).encode()


def properties(content: bytes) -> dict[str, str]:
    """The packet's properties by prefix and name, lists as lines; empty when it is no XML or has a DTD."""
    if len(content) > MAX_PACKET:
        return {}
    reader = _Reader()
    try:
        reader.parser.Parse(content.lstrip(b"\xef\xbb\xbf \r\n\t\0").rstrip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, ValueError):
        return {}
    return reader.found


def own_texts(told: Mapping[str, str], into: Texts) -> None:
    """Put the texts that `packet` was given into `into`."""
    for name, text in (record_of(told.get(OWN)) or {}).items():
        into.take(name, text if isinstance(text, str) else None)


def source_type(told: Mapping[str, str], manifest: bytes) -> str | None:
    """The digital source type of the packet, or else of a C2PA manifest, which holds it as plain text."""
    said = _OURS.fullmatch(told.get(SOURCE_TYPE, "").strip())
    if said:
        return said[0]
    within = {found.decode() for found in re.findall(_OURS.pattern.encode(), manifest[:MAX_PACKET])}
    # A manifest also tells of what it was made from; what a model did is what must not get lost.
    return min(within, key=lambda uri: ("lgorithmic" not in uri, uri), default=None)


class _Reader:
    """Properties of each rdf:Description: attributes, and elements with their text, items or resource."""

    def __init__(self) -> None:
        self.parser: Any = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.found: dict[str, str] = {}
        self._depth = self._within = 0
        """Elements open, and how many were when the innermost rdf:Description began."""
        self._name = ""
        self._lines: list[str] = []

    def _refuse(self, *_: object) -> None:
        raise ValueError("an XMP packet has no DTD")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if name == f"{_RDF} Description" and not self._within:
            self._within = self._depth
            for attribute, value in attributes.items():
                self._keep(attribute, value)
        elif self._within and self._depth == self._within + 1:
            self._name, self._lines = name, [attributes.get(f"{_RDF} resource", "")]
        elif self._name and name == f"{_RDF} li":
            self._lines.append("\n" + attributes.get(f"{_RDF} resource", ""))

    def _text(self, text: str) -> None:
        if self._name:
            self._lines.append(text)

    def _end(self, _: str) -> None:
        if self._within and self._depth == self._within + 1:
            self._keep(self._name, "".join(self._lines).strip())
            self._name = ""
        elif self._depth == self._within:
            self._within = 0
        self._depth -= 1

    def _keep(self, name: str, text: str) -> None:
        space, _, local = name.rpartition(" ")
        if space != _RDF and local and len(self.found) < MOST_PROPERTIES:
            self.found.setdefault(f"{_PREFIXES.get(space, space)}:{local}", text)


def _told(text: str) -> str:
    """The text in escaped form, cut to MOST_SHOWN bytes."""
    shown = escape(_UNTOLD.sub("", clean(text)), {"\r": "&#13;"})
    if len(shown.encode()) <= MOST_SHOWN:
        return shown
    cut = shown.encode()[:MOST_SHOWN].decode(errors="ignore")
    return re.sub(r"&[#\w]*$", "", cut)


def split(content: Mapping[str, str], texts: Mapping[str, str], most: int) -> tuple[bytes, bytes]:
    """The packet, and where it would have more than `most` bytes a further one with our own texts, which it names."""
    whole = packet(content, texts)
    if len(whole) <= most:
        return whole, b""
    further = packet({}, texts)
    return packet({**content, EXTENDED: digest(further)}, {}), further


def digest(further: bytes) -> str:
    """The name by which a packet knows its further one: MD5 in capitals, as Adobe's XMP specification has it."""
    return hashlib.md5(further, usedforsecurity=False).hexdigest().upper()


def cut(further: bytes, most: int) -> list[bytes]:
    """The further packet as bodies of JPEG segments: name, whole length, place, piece."""
    name = digest(further).encode()
    pieces = [(place, further[place : place + most]) for place in range(0, len(further), most)]
    return [name + struct.pack(">II", len(further), place) + piece for place, piece in pieces]


def joined(bodies: list[bytes], name: str) -> bytes:
    """The further packet of that name from the bodies of its segments; nothing when some of it is missing."""
    pieces: dict[int, bytes] = {}
    whole = 0
    for body in bodies:
        if len(body) > 40 and body[:32] == name.encode("ascii", "replace"):
            whole, place = struct.unpack_from(">II", body, 32)
            pieces[place] = body[40:]
    content = b"".join(piece for _, piece in sorted(pieces.items()))
    return content if content and len(content) == whole <= MAX_PACKET and digest(content) == name else b""
