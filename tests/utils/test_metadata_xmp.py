"""The XMP packet: valid XML in the form of Adobe's specification, read by other readers than ours."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.utils.metadata_kit import PNG, encoded
from utils.metadata import XMP, SourceType, read, stamped, stripped
from utils.metadata.xmp import properties

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
TOOL = "{http://ns.adobe.com/xap/1.0/}CreatorTool"


def written(**record: Any) -> bytes:
    return stamped(
        PNG, "image/png", parameters="p", record=record, source_type=SourceType.TRAINED, creator="Atelier 1.2"
    )


def told(content: bytes) -> dict[str, str]:
    """By the standard library's reader, from the packet as it lies in the file."""
    packet = read(content).texts[XMP]
    assert packet.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert packet.endswith('<?xpacket end="r"?>')
    described = ElementTree.fromstring(packet).findall(f"{RDF}RDF/{RDF}Description")
    assert [one.get(f"{RDF}about") for one in described] == [""]
    return {element.tag: element.text or "" for element in described[0]}


def test_the_packet_holds_iptcs_mark_and_its_fields_for_ai() -> None:
    assert told(written(prompt='<b>&"猫"]]>', model="demo", model_hash="67ab2fd8ec")) == {
        f"{EXT}DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        TOOL: "Atelier 1.2",
        f"{EXT}AISystemUsed": "demo",
        f"{EXT}AISystemVersionUsed": "67ab2fd8ec",
        f"{EXT}AIPromptInformation": '<b>&"猫"]]>',
    }


def test_what_is_unknown_is_not_in_it() -> None:
    assert told(written(model_hash=None)).keys() == {f"{EXT}DigitalSourceType", TOOL}


@settings(max_examples=200, deadline=None)
@given(prompt=st.text(st.characters(exclude_categories=[]), min_size=1, max_size=80))
def test_whatever_the_prompt_is_the_packet_is_xml_and_tells_it(prompt: str) -> None:
    allowed = [one for one in prompt if one in "\t\n\r" or " " <= one <= "\ud7ff" or one >= "\ue000"]
    kept = "".join(one for one in allowed if one not in "\ufffe\uffff")
    halves = "".join("?" if "\ud800" <= one <= "\udfff" else one for one in prompt)
    expected = "".join(one for one in halves if one in kept or one == "?")

    assert told(written(prompt=prompt)).get(f"{EXT}AIPromptInformation", "") == expected


def test_a_very_long_prompt_is_cut_at_a_whole_letter() -> None:
    prompt = told(written(prompt="&猫" * 20_000))[f"{EXT}AIPromptInformation"]

    assert ("&猫" * 20_000).startswith(prompt)
    assert 3_000 < len(prompt) < 30_000


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_pillow_finds_the_packet_where_it_belongs(form: str) -> None:
    content = stamped(
        encoded(form), f"image/{form.lower()}", parameters="p", record={}, source_type=SourceType.ENHANCED
    )
    with Image.open(io.BytesIO(content)) as opened:
        packet = opened.info.get("xmp") or opened.info[XMP].encode()

    assert properties(packet)["Iptc4xmpExt:DigitalSourceType"] == SourceType.ENHANCED


FORMS = {
    "element": "<I:DigitalSourceType>{}</I:DigitalSourceType>",
    "resource": '<I:DigitalSourceType rdf:resource="{}"/>',
    "list": "<I:DigitalSourceType><rdf:Bag>\n<rdf:li>{}</rdf:li>\n</rdf:Bag></I:DigitalSourceType>",
}


@pytest.mark.parametrize("form", [*FORMS, "attribute"])
def test_the_mark_of_another_program_is_read_in_every_form_and_stays_in_the_copy_to_share(form: str) -> None:
    uri = "https://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    inside, attribute = FORMS.get(form, "").format(uri), f' I:DigitalSourceType="{uri}"' if form == "attribute" else ""
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>'
        "<rdf:Seq><rdf:li>A person's name</rdf:li></rdf:Seq></dc:creator></rdf:Description>"
        f'<rdf:Description rdf:about="" xmlns:I="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"{attribute}>{inside}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    content = encoded("JPEG", xmp=packet.encode())

    assert read(content).source_type == uri
    assert properties(packet.encode())["dc:creator"] == "A person's name"
    assert read(stripped(content)).source_type == uri
    assert b"person" not in stripped(content)


def test_a_mark_that_is_no_digital_source_type_is_not_passed_on() -> None:
    packet = read(written()).texts[XMP].replace("trainedAlgorithmicMedia", "x?prompt=a-secret")
    content = encoded("WEBP", xmp=packet.encode())

    assert read(content).source_type is None
    assert b"secret" not in stripped(content)
