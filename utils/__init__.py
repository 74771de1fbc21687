"""Measures and helpers: plain values in, plain values out. `python -m utils` prints what is here."""
