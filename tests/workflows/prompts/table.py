"""Twenty-five prompts of all kinds."""

from __future__ import annotations

PROMPTS = {
    "very short": "a cat",
    "without an article": "cat on a windowsill",
    "portrait": "portrait of an old fisherman with a white beard",
    "person": "a young woman in a yellow raincoat waiting at a bus stop",
    "landscape": "a mountain lake at dawn, pine forest, low mist",
    "bare landscape": "desert dunes",
    "counts": "three red apples and two green pears on a wooden table",
    "quoted": 'a bakery sign that says "FRESH BREAD DAILY", morning street',
    "negated": "an empty city street at night without people or cars",
    "negated clauses": "a lighthouse on a cliff, no clouds, no text",
    "weights": "(a red sports car:1.3) on a coastal road, [blurry background], golden hour",
    "tags": "1girl, solo, long_hair, blue_eyes, school_uniform, saber_(fate), looking_at_viewer, masterpiece, "
    "best quality",
    "medium": "watercolor painting of a fox in autumn leaves",
    "artist": "a village in winter in the style of Pieter Bruegel, oil painting",
    "product": "bottle of perfume on black marble",
    "animals": "two wolves running through deep snow",
    "building": "gothic cathedral in the rain",
    "interior": "cozy reading room with a green velvet armchair",
    "abstract": "abstract composition of overlapping circles",
    "logo": "minimalist logo for a coffee shop, the words 'Blue Bean'",
    "fantasy": "a dragon circling a ruined castle",
    "sentence": "An astronaut rides a white horse across a field of lavender.",
    "german": "ein kleiner Hund spielt am Strand",
    "chinese": "一只橘猫坐在窗台上看雨",
    "long": "A wide photograph of an abandoned railway station taken over by ivy, broken skylights letting thin beams "
    "of late afternoon sun fall across the cracked tile floor, a rusted steam locomotive resting on the far track, "
    "two pigeons on its chimney, puddles mirroring the iron arches above, faded enamel signs on the brick walls, and "
    "in the far left corner a wooden bench with a forgotten red suitcase on it, muted greens and browns, quiet",
}
