"""What the core needs from outside. Adapters do not inherit these; the type checker holds them to it in wiring.

Each port promises one family of errors: engines raise EngineError (and ExtraMissing), stores and the ledger
StorageError, judges none but ExtraMissing and ServiceError.
"""

from __future__ import annotations

from workflows.ports.drawing import (
    ChatModel,
    Embedder,
    Engine,
    Graphs,
    Judge,
    Report,
    Signer,
    TextModel,
    VisionModel,
    Workshop,
)
from workflows.ports.keeping import (
    Calls,
    Conversations,
    Filing,
    History,
    Items,
    Jobs,
    Likenesses,
    ModelRows,
    OwnPresets,
    Recorder,
    Refinements,
    Store,
)
from workflows.ports.outside import ModelFiles, ModelSource, Presence, SourceKind, Sources

__all__ = [
    "Calls",
    "ChatModel",
    "Conversations",
    "Embedder",
    "Engine",
    "Filing",
    "Graphs",
    "History",
    "Items",
    "Jobs",
    "Judge",
    "Likenesses",
    "ModelFiles",
    "ModelRows",
    "ModelSource",
    "OwnPresets",
    "Presence",
    "Recorder",
    "Refinements",
    "Report",
    "Signer",
    "SourceKind",
    "Sources",
    "Store",
    "TextModel",
    "VisionModel",
    "Workshop",
]
