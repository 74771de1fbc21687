"""The embedded engine: diffusers pipelines in this process."""

from clients.diffusers_engine.engine import DiffusersEngine

__all__ = ["DiffusersEngine"]
