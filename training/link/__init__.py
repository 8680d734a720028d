"""The server end of the link: one websocket per training process, supervisor or hardware agent."""

from .application import LinkApplication

__all__ = ["LinkApplication"]
