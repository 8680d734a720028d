"""The live websocket of one browser: what it may watch, and the way out of its queue."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from . import frames, metrics
from .hub import LiveHub, TooManyReplies, Viewer

logger = logging.getLogger(__name__)
NOT_LOGGED_IN = 4401
TOO_MUCH = 4429
MAX_TEXT = 64 * 1024
MAX_TOPICS = 500
RECHECK_SECONDS = 60
MAX_AGO_SECONDS = 86_400
ON_ITS_WAY_SECONDS = 1.0
TOPIC = re.compile(r"(run|node|experiment):[^\x00-\x1f\x7f]{1,200}|queue|fleet|alerts|notices")
# (user, topics) -> the topics that the user may watch; None once the user may not be here at all.
MayWatch = Callable[[Any, list[str]], set[str] | None]


class LiveConsumer(AsyncWebsocketConsumer):
    """One browser. `hub` and `may_watch` are handed in where the site is put together."""

    def __init__(self, hub: LiveHub, may_watch: MayWatch):
        super().__init__()
        self.hub = hub
        self.may_watch = may_watch
        self.ask = database_sync_to_async(may_watch)
        self.viewer: Viewer
        self.tasks: list[asyncio.Task[None]] = []

    async def dispatch(self, message: dict[str, Any]) -> None:
        # The base class closes old database connections for each message, a thread hop that was half the
        # CPU; the only queries here are in `ask`, which sees to it itself.
        handler = getattr(self, get_handler_name(message), None)
        if handler is None:
            raise ValueError(f"no handler for {message['type']}")
        await handler(message)

    async def connect(self) -> None:
        user = self.scope.get("user")
        self.viewer = Viewer(self.scope.get("extensions", {}).get(frames.EXTENSION, {}).get("write"))
        # Accepted first: a browser learns nothing of a refusal before that, not even its code.
        await self.accept()
        if user is None or not user.is_authenticated or await self.ask(user, []) is None:
            await self.close(code=NOT_LOGGED_IN, reason="log in to watch")
            return
        metrics.VIEWERS.inc()
        await self.hub.start()
        self.tasks = [asyncio.create_task(self.drain()), asyncio.create_task(self.recheck())]

    async def disconnect(self, code: int) -> None:
        if self.tasks:
            metrics.VIEWERS.dec()
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.cancel()
        self.hub.leave(self.viewer)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self.tasks:
            return  # refused at the door
        try:
            await self.answer(text_data)
        except BadFrame as error:
            await self.reply({"type": "error", "message": str(error)})

    async def answer(self, text: str | None) -> None:
        frame = parse(text)
        kind = frame.get("type")
        if kind == "ping":
            await self.reply({"type": "pong"})
        elif kind == "subscribe":
            await self.subscribe(topics_of(frame), since_of(frame))
        elif kind == "unsubscribe":
            for topic in topics_of(frame):
                self.hub.unsubscribe(self.viewer, topic)
        else:
            raise BadFrame(f"type={kind!r:.80} is unknown; expected subscribe, unsubscribe or ping")

    async def subscribe(self, topics: list[str], since: float | None) -> None:
        total = len(self.viewer.topics.keys() | set(topics))
        if total > MAX_TOPICS:
            raise BadFrame(f"{total} topics are too many; one connection watches at most {MAX_TOPICS}")
        allowed = await self.ask(self.scope["user"], topics)
        if allowed is None:
            await self.close(code=NOT_LOGGED_IN, reason="your access has ended")
            return
        taken = [topic for topic in topics if topic in allowed]
        for topic in taken:
            self.hub.subscribe(self.viewer, topic, since)
        # Answers leave the queue before messages, so this one precedes the first message of its topics.
        refused = [topic for topic in topics if topic not in allowed]
        await self.reply({"type": "subscribed", "topics": taken, "refused": refused})

    async def reply(self, frame: dict[str, Any]) -> None:
        try:
            self.viewer.reply(frame)
        except TooManyReplies:
            await self.close(code=TOO_MUCH, reason="too many unread answers")

    async def drain(self) -> None:
        try:
            while True:
                message = await self.viewer.take()
                await self.base_send({"type": "websocket.send", "text": message.text.decode()})
        except (OSError, RuntimeError):
            return  # gone, or closed by us a moment ago; `disconnect` follows

    async def recheck(self) -> None:
        """Roles are taken away, and people log out, while a page stays open: ask again now and then."""
        while True:
            # Pages that came back together after a restart must not all ask in one moment for ever after.
            await asyncio.sleep(RECHECK_SECONDS * random.uniform(0.5, 1.5))
            watched = list(self.viewer.topics)
            allowed = await self.ask_logged_in(watched)
            if allowed is None:
                await self.close(code=NOT_LOGGED_IN, reason="your access has ended")
                return
            for topic in set(watched) - allowed:
                self.hub.unsubscribe(self.viewer, topic)
                await self.reply({"type": "subscribed", "topics": [], "refused": [topic]})

    async def ask_logged_in(self, topics: list[str]) -> set[str] | None:
        session, user = self.scope["session"], self.scope["user"]

        def ask() -> set[str] | None:  # in one thread, on one connection
            return self.may_watch(user, topics) if session.exists(session.session_key) else None

        allowed: set[str] | None = await database_sync_to_async(ask)()
        return allowed


class BadFrame(ValueError):
    """The browser's frame cannot be used; the message says why."""


def parse(text: str | None) -> dict[str, Any]:
    if text is None:
        raise BadFrame("binary frames are not understood; send JSON text")
    if len(text) > MAX_TEXT:
        raise BadFrame(f"the frame has {len(text)} characters; at most {MAX_TEXT} are taken")
    try:
        frame = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrame(f"not JSON: {error}") from None
    if not isinstance(frame, dict):
        raise BadFrame(f"expected a JSON object with a type, got {type(frame).__name__}")
    return frame


def since_of(frame: dict[str, Any]) -> float | None:
    """When the page began to read what it shows, by this process' own clock that only grows; None: it does not say."""
    seconds = frame.get("read_seconds_ago")
    if seconds is None:
        return None
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds <= MAX_AGO_SECONDS
    ):
        raise BadFrame(f"read_seconds_ago={seconds!r:.80} must be a number from 0 to {MAX_AGO_SECONDS}")
    # The frame was on its way for a while, too.
    return time.monotonic() - seconds - ON_ITS_WAY_SECONDS


def topics_of(frame: dict[str, Any]) -> list[str]:
    topics = frame.get("topics")
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise BadFrame('topics is missing or not a list of text; expected {"topics": ["run:<code>"]}')
    if len(topics) > MAX_TOPICS:
        raise BadFrame(f"{len(topics)} topics are too many; one connection watches at most {MAX_TOPICS}")
    for topic in topics:
        if not TOPIC.fullmatch(topic):
            raise BadFrame(
                f"topic={topic!r:.80} is unknown; expected run:…, node:…, experiment:…, queue, fleet, alerts or notices"
            )
    return list(dict.fromkeys(topics))
