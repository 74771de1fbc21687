"""Words: prompts written for a model family, by rules or a language model, talked over, and remembered.

`desk` is what faces call; `talks`, `memory`, `targets`, `wishes` and `writers` are what it is made of, and `writing`
puts one wish into words. Everything below is pure and asks nobody:

    rules, fitting, spelling, saying, dressing, negatives, reading    how the rules write, and what every prompt goes
                                                                      through, whoever wrote it (dialects.toml)
    asking, keeping, sameness                                         what a language model is told (system.toml), and
                                                                      whether it kept the user's words
    edits, messages, surgery, looks                                   a conversation's message as a change of the wish
    reports                                                           what a prompt says and lacks
"""
