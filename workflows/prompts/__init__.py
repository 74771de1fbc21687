"""Words: prompts written for a model family, by rules or a language model, talked over, and remembered.

`desk` is what faces call. The rest is pure: nothing else here asks anybody or reads anything but this room's own data.
"""
