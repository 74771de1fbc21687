"""Workflows of the user's own: read, understood, checked against the owner's rules, and filled in. Runs nothing."""

from workflows.flows.filling import Prepared, prepared
from workflows.flows.shelf import Opened, Shelf
from workflows.flows.understanding import Flow, understood

__all__ = ["Flow", "Opened", "Prepared", "Shelf", "prepared", "understood"]
