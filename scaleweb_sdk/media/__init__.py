"""Images, audio, tables, histograms, text and files of a run: copied, encoded, kept and sent beside training."""

from .calls import MediaCalls

__all__ = ["MediaCalls"]
