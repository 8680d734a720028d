"""The wire between a training process and the server, defined once and used by both ends.

One websocket per process at /link/v1, MessagePack frames, each a tagged map. Up: Hello, then Batch and OpenLines.
Down: Welcome, then Ack, Orders, Hint, Refusal.

Everything durable that a process says travels in a Batch: points, log lines and events. Batches are
numbered 1, 2, 3… within a session (one process incarnation), kept in the spool until the server's Ack,
and sent again after a reconnect. The server commits before it acknowledges and drops a number it has,
so each batch takes effect once. OpenLines alone is for those who look on: it is kept by nobody.

Versions: `Hello.protocol` is a whole number, the major version of the wire. Within one, fields and frames are only
added, fields with a default; either end leaves out what it does not know, so older and newer SDKs of a version talk
to each other's servers. A change that breaks this raises PROTOCOL_VERSION by one, and the server still takes
the version before it (OLDEST_PROTOCOL), so that sites are upgraded before their trainings.
"""

from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

PROTOCOL_VERSION = 1
OLDEST_PROTOCOL = 1  # what a server of PROTOCOL_VERSION still takes
LINK_PATH = "/link/v1"
MAX_FRAME_BYTES = 8 * 2**20
MAX_KEY_LENGTH = 300
MAX_KEYS_PER_RUN = 20_000
MAX_STEP = 2**53  # beyond it a browser cannot tell neighbours apart
# What an SDK must know to obey some orders, told as `Hello.process["knows"]`: a process that does not say so gets none
# of them, since it would pass over the fields that it does not know. groups: `Order.group`; agenda: `Order.at_step`.
KNOWS = ("groups", "agenda")
# The same of a server, told as `Welcome.knows`: it would end the link for a frame that it does not know. nested_bars:
# it takes MOST_OPEN_LINES in one frame, and not LEAST_OPEN_LINES alone.
SERVER_KNOWS = ("open_lines", "nested_bars")
MOST_OPEN_LINES, LEAST_OPEN_LINES = 16, 4

Json: TypeAlias = Any


class TunableSpec(msgspec.Struct, omit_defaults=True):
    """A declared tunable. `low` and `high` are inclusive; `choices` is for kind "choice" alone.

    about: facts that who sets it wants to know, by name; docs/steering.md lists those of the torch helper.
    """

    name: str
    kind: str  # float, int, bool, choice
    value: Json
    low: float | None = None
    high: float | None = None
    scale: str = "linear"
    choices: list[Json] = []
    role: str = ""
    description: str = ""
    about: dict[str, Json] = {}


class ActionSpec(msgspec.Struct, omit_defaults=True):
    """A button in the page: a function of the script, run at a step boundary; `parameters`: what it is called with."""

    name: str
    description: str = ""
    parameters: list[TunableSpec] = []


class VerbSpec(msgspec.Struct, omit_defaults=True):
    """A verb that this run takes beside those that each run does; `parameters`: what its value, a map, may hold."""

    verb: str
    description: str = ""
    parameters: list[TunableSpec] = []


class Hello(msgspec.Struct, tag="hello", omit_defaults=True):
    """First frame of every connection. The token comes in the Authorization header, never here."""

    protocol: int
    session: str  # 32 hex digits, new for each process start
    sdk: str
    source: str  # "run:<code>" with a run token, "node:<name>" with a node token
    role: str = "process"  # process (gets orders), supervisor (ships a job's log lines), agent (hardware)
    rank: int = 0
    world_size: int = 1
    applied_seq: int = 0  # the last command this process, or the checkpoint it resumed from, applied
    attempt: int = 0  # fencing number, 0 outside a job
    process: dict[str, Json] = {}  # hostname, pid, argv, python, git, started_at
    clock: float = 0.0  # the sender's clock as it sends this, seconds since the epoch; 0 when it does not say
    # It goes on from a checkpoint: settings that were applied after that checkpoint are wanted again.
    resumed: bool = False


class Welcome(msgspec.Struct, tag="welcome", omit_defaults=True):
    last_seq: int  # the last batch of this session the server has: send from last_seq + 1
    branch: int  # the branch to number new points with (a resumed run starts a new one itself)
    server_time: float
    knows: list[str] = []  # frames that this server takes beside hello and batch: SERVER_KNOWS


class Column(msgspec.Struct, array_like=True):
    """Points of one key, in the order logged. All three lists have one length; values may be NaN or inf."""

    key: str
    steps: list[int]
    times: list[float]  # seconds since the epoch, the sender's clock
    values: list[float]


class PackedColumn(msgspec.Struct, array_like=True):
    """The same as little-endian arrays: int64 steps, float64 times, float64 values."""

    key: str
    steps: bytes
    times: bytes
    values: bytes


class EventKind(StrEnum):
    CONFIG = "config"  # data: {"config": {…}} merged into the run's config
    TUNABLE = "tunable"  # data: TunableSpec as a map; again with a new value when it changed by itself
    ACTION = "action"  # data: ActionSpec as a map
    VERB = "verb"  # data: VerbSpec as a map
    COMMAND = "command"  # data: {"seq", "ok", "message", "old_value", "new_value"}: a command's outcome
    # data: {"path", "size_bytes", "sha256", "metrics", "reason", "branch", "settings": {name: {"value", "since"}}}, and
    # where known "pinned" and "kept": {path: rules that hold it} of all files that are there
    CHECKPOINT = "checkpoint"
    CHECKPOINT_GONE = "checkpoint_gone"  # data: {"path", "reason"}
    BRANCH = "branch"  # data: {"index", "from_step", "reason": "resume"|"rollback"|"adopt"}
    STATE = "state"  # data: {"state": running|paused|stopping, "reason"}
    REFLEX = "reflex"  # data: {"name", "reason", **figures}: what the process did without being asked
    # data: {"verb", "outcome": measured|switched|exported|refused, "reason", "table", "export"}: what changing the
    # algorithm does or did, see scaleweb_sdk.torch.algorithm.measure.Table
    ALGORITHM = "algorithm"
    ERROR = "error"  # data: {"message", "traceback"}
    FINISH = "finish"  # data: {"state": finished|failed|stopped, "reason"}; the session's last event
    DEVICES = "devices"  # node agent: {"system": {…}, "devices": [{kind, index, uuid, name, …}]}
    NOTE = "note"  # data: {"message"}


class Event(msgspec.Struct, omit_defaults=True):
    kind: str
    time: float
    step: int | None = None
    data: dict[str, Json] = {}


class LogLine(msgspec.Struct, array_like=True):
    time: float
    stream: str  # stdout, stderr
    text: str


class Batch(msgspec.Struct, tag="batch", omit_defaults=True):
    seq: int
    branch: int = 0
    columns: list[Column] = []
    packed: list[PackedColumn] = []
    lines: list[LogLine] = []
    events: list[Event] = []


class OpenLines(msgspec.Struct, tag="open_lines"):
    """The lines that the sender's streams are writing and have not ended, as they are shown now: a progress bar.

    All of them in each frame, of a stream the uppermost first, none where it is empty. Shown to who looks on and not
    stored: a line comes in a Batch once it has ended. It follows all batches of what was printed before it. No answer.
    """

    lines: list[LogLine]


class Ack(msgspec.Struct, tag="ack"):
    """All batches up to and including `seq` are committed."""

    seq: int


class Order(msgspec.Struct, omit_defaults=True):
    """A command on the wire: apply at the next step boundary, in order of seq, each once."""

    seq: int
    verb: str  # see training.models.command.Verb
    tunable: str = ""
    value: Json = None
    asked_by: str = ""
    reason: str = ""
    again: bool = False  # a setting that an earlier process applied and answered: no outcome is wanted
    # Orders of one group follow each other and are applied at one boundary, all or none; `group_of`: how many they are.
    group: str = ""
    group_of: int = 0
    at_step: int | None = None  # applied at the boundary of this step, or at the next one where it has passed
    drops: list[int] = []  # orders that wait for a step and are let go of by this one
    expects: Json = None  # the setting's value that this was decided on: refused where it is another by now


class Orders(msgspec.Struct, tag="orders"):
    orders: list[Order]


class Hint(msgspec.Struct, tag="hint"):
    """How often to flush, in seconds: small while somebody watches, larger under load."""

    flush_seconds: float


class Refusal(msgspec.Struct, tag="refusal"):
    """Why the server closes this connection. `final`: connecting again would not help."""

    # bad_frame, bad_token, wrong_run, protocol, stale_attempt, gap, too_large, busy, unavailable
    code: str
    message: str
    final: bool = False


Up: TypeAlias = Hello | Batch | OpenLines
Down: TypeAlias = Welcome | Ack | Orders | Hint | Refusal

encode = msgspec.msgpack.Encoder().encode
decode_up = msgspec.msgpack.Decoder(Up).decode
decode_down = msgspec.msgpack.Decoder(Down).decode
