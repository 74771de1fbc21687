"""From a recipe and what a server has to the ComfyUI graph that draws it: fit, draft, check. All of it pure."""
