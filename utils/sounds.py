"""What kind of sound some bytes are, by their first ones. Nothing is played or decoded."""

from __future__ import annotations


def sniff_sound(content: bytes) -> str | None:
    """audio/wav, audio/flac, audio/ogg, audio/mpeg or None."""
    head = content[:12]
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    return "audio/mpeg" if head.startswith(b"ID3") or _begins_a_frame(head) else None


def _begins_a_frame(head: bytes) -> bool:
    """Whether an MPEG audio frame of layer III starts here: eleven set bits, then no reserved value in its header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate, samples = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and rate not in {0, 15} and samples != 3
