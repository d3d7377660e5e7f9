"""The line store: where lines are kept and found. One port, and the function that chooses its adapter."""

from logboom.store.embedded import EmbeddedLineStore
from logboom.store.engine import Engine, EngineError
from logboom.store.port import Cursor, LineStore, Rows, Selection

__all__ = ["Cursor", "EmbeddedLineStore", "Engine", "EngineError", "LineStore", "Rows", "Selection"]
