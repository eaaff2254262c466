"""WS /v1/audio/speech/stream: text in pieces, as a language model writes it, sound as it is made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from uuid import uuid4

from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from app import metrics
from app.api.keys import key_number_of, subprotocol_of
from app.api.limits import MAX_VALUES
from app.api.line import IDLE, REFUSED, RESTARTING, Line, WebSocketSink
from app.api.messages import Message, SessionMessage, TextMessage, read_message, session_of
from app.api.refusal_budget import RefusalBudget
from app.api.response import abort
from app.api.script import Script
from app.api.service import Service
from app.api.utterance import Utterance
from app.errors import Overloaded, ServiceError
from app.listener import ClientGone
from app.request_errors import EmptyInput, InvalidMessage, RequestError
from app.standstill import Limit

log = logging.getLogger(__name__)

PATH = "/v1/audio/speech/stream"
SHUTDOWN = (
    "speech.shutdown"  # an event of our own server's: begin nothing new, close when all is said
)
MOST_UTTERANCES = 8  # of one connection: the one that speaks, and those whose turn comes


class Connection:
    """One client: its messages are read at all times, its utterances spoken one after another."""

    def __init__(
        self,
        service: Service,
        receive: Receive,
        line: Line,
        tasks: asyncio.TaskGroup,
        key: int | None,
    ) -> None:
        """`tasks`: one for each utterance; `key`: the number of the client's API key, which may have a limit."""
        self._service, self._receive, self._line, self._tasks, self._key = (
            service,
            receive,
            line,
            tasks,
            key,
        )
        self._session = session_of(SessionMessage(type="session"))
        self._speaking: dict[int, asyncio.Task[None]] = {}  # by number, until they are over
        self._written: tuple[int, Script] | None = None  # the utterance whose text has not ended
        self._count = 0
        self._leaving = self._refused = False
        self._refusals = RefusalBudget(asyncio.get_running_loop().time())
        self._name = uuid4().hex

    async def serve(self) -> None:
        """Obey messages until the connection ends; then everything is let go.

        The event loop serves others after each message: those that have come are there without waiting.
        """
        most_values = MAX_VALUES + self._service.settings.max_input_characters
        while not self._refused and (data := await self._message()) is not None:
            try:
                await self._obey(read_message(data, most_values))
            except ServiceError as exc:
                await self._refuse(exc)
            await asyncio.sleep(0)
        await self._stop(self._speaking)

    async def _message(self) -> str | bytes | None:
        """The next message; None once either side has closed the connection."""
        while True:
            try:
                async with Limit(self._service.settings.websocket_idle_timeout_s):
                    event = await self._receive()
            except TimeoutError:
                if not self._speaking:
                    await self._line.close(IDLE, "idle")
                continue
            if event["type"] == "websocket.disconnect":
                return None
            if event["type"] == "websocket.receive":
                return event.get("text") or event.get("bytes") or b""
            if event["type"] == SHUTDOWN:
                self._leaving = True
                self._tasks.create_task(self._leave())

    async def _obey(self, message: Message) -> None:
        if isinstance(message, SessionMessage):
            self._set(message)
        elif isinstance(message, TextMessage):
            await self._write(
                self._written or await self._begin(), lambda script: script.feed(message.text)
            )
        elif message.type == "cancel":
            self._written = None
            await self._stop(self._speaking)
            await self._line.tell("cancelled")
        elif self._written:
            written, self._written = (
                self._written,
                self._written if message.type == "flush" else None,
            )
            await self._write(written, Script.flush if message.type == "flush" else Script.end)
        elif message.type == "end":
            raise EmptyInput("no text has come before the end", param="text")

    def _set(self, message: SessionMessage) -> None:
        if self._written:
            raise InvalidMessage("session: not within an utterance", param="type")
        session = session_of(message)
        self._service.utterance(session)  # raises what is wrong with it, now
        self._session = session

    async def _write(
        self, written: tuple[int, Script], change: Callable[[Script], Awaitable[None]]
    ) -> None:
        """Add to an utterance's text; one whose text is at fault is over."""
        number, script = written
        try:
            await change(script)
        except RequestError as exc:
            script.close(exc)
            await self._stop([number])
            await self._refuse(exc, number)

    async def _begin(self) -> tuple[int, Script]:
        """An utterance whose turn comes after those before it; raises NotReady."""
        utterance = self._service.utterance(self._session)
        self._count += 1
        self._written = written = self._count, utterance.script
        if self._leaving or len(self._speaking) >= MOST_UTTERANCES:
            utterance.script.close()  # up to its end the text is dropped
            if not self._leaving:
                await self._refuse(
                    Overloaded("too many utterances wait on this connection"), self._count
                )
            return written
        task = self._tasks.create_task(
            self._speak(utterance, self._count, list(self._speaking.values()))
        )
        self._speaking[self._count] = task
        task.add_done_callback(lambda _, number=self._count: self._speaking.pop(number))
        return written

    async def _speak(
        self, utterance: Utterance, number: int, before: list[asyncio.Task[None]]
    ) -> None:
        if before:
            await asyncio.wait(before)
        try:
            name = f"{self._name}-{number}"
            await utterance.speak(
                WebSocketSink(self._line, utterance.answer, number, name), name, self._key
            )
        except ServiceError as exc:
            if exc is not utterance.script.fault:  # which is told where it was seen
                await self._fail(exc, number)

    async def _refuse(self, error: ServiceError, utterance: int | None = None) -> None:
        """Answer a message that was refused, or close the connection of a client that has had too many of them."""
        if self._refusals.spend(asyncio.get_running_loop().time()):
            await self._fail(error, utterance)
        else:
            self._refused = True
            log.warning("connection %s: too many messages were refused", self._name)
            await self._line.close(REFUSED, "too many messages were refused")

    async def _fail(self, error: ServiceError, utterance: int | None = None) -> None:
        """Say what went wrong, and of which utterance; without one, a message was ignored, and nothing was asked."""
        if utterance:
            metrics.REQUESTS.labels(error.code).inc()
        log.warning("request %s-%s: %s: %s", self._name, utterance or "", error.code, error.message)
        await self._line.tell_error(error, **({"utterance": utterance} if utterance else {}))

    async def _stop(self, numbers: Iterable[int]) -> None:
        """Cancel utterances, and return when they have let go of everything."""
        tasks = [self._speaking[number] for number in numbers if number in self._speaking]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _leave(self) -> None:
        if self._speaking:
            await asyncio.wait(self._speaking.values())
        await self._line.close(RESTARTING, "the server shuts down")


class SpeechSocket:
    """The route, as an ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        service = scope["app"].state.service
        assert isinstance(service, Service)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": subprotocol_of(scope)})
        line = Line(send, service.settings.client_write_timeout_s)
        try:
            async with asyncio.TaskGroup() as tasks:
                await Connection(service, receive, line, tasks, key_number_of(scope)).serve()
        except* ClientGone as gone:
            log.info("a connection is over: %s", gone.exceptions[0])
            abort(scope)
        except* Exception as bugs:
            log.error("unexpected error", exc_info=bugs)
            with suppress(ClientGone):
                await line.tell_error(ServiceError("internal error"))


route = WebSocketRoute(PATH, SpeechSocket())
