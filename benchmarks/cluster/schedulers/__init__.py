"""Who decides in the simulated cluster: the site's functions and those they are held against."""

from .ours import Ours, PlacementAlone
from .pollux import PolluxLike
from .queues import FairShare, Fifo, ShortestFirst

ALL = {maker.name: maker for maker in (Fifo, ShortestFirst, FairShare, PolluxLike, PlacementAlone, Ours)}
