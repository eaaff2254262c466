"""WS /v1/audio/speech/stream: receive text in chunks, send audio while it is generated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from uuid import uuid4

from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from app import metrics
from app.api.middleware.api_keys import key_number_of, subprotocol_of
from app.api.middleware.body_limit import MAX_VALUES
from app.api.response import abort
from app.api.service import Service
from app.api.websocket.channel import IDLE, REFUSED, RESTARTING, WebSocketChannel, WebSocketSink
from app.api.websocket.error_budget import ErrorBudget
from app.api.websocket.messages import (
    Message,
    SessionMessage,
    TextMessage,
    read_message,
    session_of,
)
from app.api.websocket.utterance import Utterance
from app.errors import EmptyInput, InvalidMessage, Overloaded, RequestError, ServiceError
from app.process_time import ProcessTimeout
from app.synthesis.audio_output import ClientGone
from app.synthesis.text_stream import TextStream

log = logging.getLogger(__name__)

PATH = "/v1/audio/speech/stream"
# Event from our own server: start no new utterance, and close when the running ones have ended.
SHUTDOWN = "speech.shutdown"
MAX_UTTERANCES = 8  # per connection, of which one is spoken and the others wait


class Connection:
    """One client, whose messages are read at all times and whose utterances are spoken in order."""

    def __init__(
        self,
        service: Service,
        receive: Receive,
        channel: WebSocketChannel,
        tasks: asyncio.TaskGroup,
        key: int | None,
    ) -> None:
        """`tasks`: group for one task per utterance. `key`: number of the client's API key."""
        self._service = service
        self._receive = receive
        self._channel = channel
        self._tasks = tasks
        self._key = key
        self._session = session_of(SessionMessage(type="session"))
        self._tasks_by_number: dict[int, asyncio.Task[None]] = {}  # by number, until they end
        # Number and text of the utterance whose text is incomplete.
        self._open_utterance: tuple[int, TextStream] | None = None
        self._count = 0
        self._draining = self._closed = False
        self._error_budget = ErrorBudget(asyncio.get_running_loop().time())
        self._name = uuid4().hex

    async def serve(self) -> None:
        """Handle messages until the connection ends, then cancel its utterances.

        Yield to the event loop after each message, because received messages are read without
        waiting and would block other clients.
        """
        max_values = MAX_VALUES + self._service.settings.max_input_characters
        while not self._closed and (data := await self._message()) is not None:
            try:
                await self._handle(read_message(data, max_values))
            except ServiceError as exc:
                await self._reject(exc)
            await asyncio.sleep(0)
        await self._stop(self._tasks_by_number)

    async def _message(self) -> str | bytes | None:
        """Return the next message, or None once either side has closed the connection."""
        while True:
            try:
                async with ProcessTimeout(self._service.settings.websocket_idle_timeout_s):
                    event = await self._receive()
            except TimeoutError:
                if not self._tasks_by_number:
                    await self._channel.close(IDLE, "idle")
                continue
            if event["type"] == "websocket.disconnect":
                return None
            if event["type"] == "websocket.receive":
                return event.get("text") or event.get("bytes") or b""
            if event["type"] == SHUTDOWN:
                self._draining = True
                self._tasks.create_task(self._close_when_done())

    async def _handle(self, message: Message) -> None:
        if isinstance(message, SessionMessage):
            self._set_session(message)
        elif isinstance(message, TextMessage):
            utterance = self._open_utterance or await self._start_utterance()
            await self._write(utterance, lambda text_stream: text_stream.feed(message.text))
        elif message.type == "cancel":
            self._open_utterance = None
            await self._stop(self._tasks_by_number)
            await self._channel.send_json("cancelled")
        elif self._open_utterance:
            utterance = self._open_utterance
            if message.type == "flush":
                await self._write(utterance, TextStream.flush)
            else:
                self._open_utterance = None
                await self._write(utterance, TextStream.end)
        elif message.type == "end":
            raise EmptyInput("no text was received before `end`", param="text")

    def _set_session(self, message: SessionMessage) -> None:
        if self._open_utterance:
            raise InvalidMessage("session: not allowed within an utterance", param="type")
        session = session_of(message)
        self._service.utterance(session)  # validates the session
        self._session = session

    async def _write(
        self, utterance: tuple[int, TextStream], change: Callable[[TextStream], Awaitable[None]]
    ) -> None:
        """Change an utterance's text. Stop the utterance if its text is invalid."""
        number, text_stream = utterance
        try:
            await change(text_stream)
        except RequestError as exc:
            text_stream.close(exc)
            await self._stop([number])
            await self._reject(exc, number)

    async def _start_utterance(self) -> tuple[int, TextStream]:
        """Start an utterance, which is spoken after the earlier ones. Raises NotReady."""
        utterance = self._service.utterance(self._session)
        self._count += 1
        number = self._count
        self._open_utterance = number, utterance.text_stream
        if self._draining or len(self._tasks_by_number) >= MAX_UTTERANCES:
            utterance.text_stream.close()  # drops its text up to `end`
            if not self._draining:
                error = Overloaded("too many utterances are queued on this connection")
                await self._reject(error, number)
            return number, utterance.text_stream
        earlier = list(self._tasks_by_number.values())
        task = self._tasks.create_task(self._speak(utterance, number, earlier))
        self._tasks_by_number[number] = task
        task.add_done_callback(lambda _: self._tasks_by_number.pop(number))
        return number, utterance.text_stream

    async def _speak(
        self, utterance: Utterance, number: int, earlier: list[asyncio.Task[None]]
    ) -> None:
        if earlier:
            await asyncio.wait(earlier)
        try:
            name = f"{self._name}-{number}"
            sink = WebSocketSink(self._channel, utterance.request.output, number, name)
            await utterance.speak(sink, name, self._key)
        except ServiceError as exc:
            if exc is not utterance.text_stream.text_error:  # `_write` has sent this error already
                await self._send_error(exc, number)

    async def _reject(self, error: ServiceError, utterance: int | None = None) -> None:
        """Send the error of a rejected message, or close the connection after too many of them."""
        if self._error_budget.spend(asyncio.get_running_loop().time()):
            await self._send_error(error, utterance)
        else:
            self._closed = True
            log.warning("connection %s: closed after too many invalid messages", self._name)
            await self._channel.close(REFUSED, "too many invalid messages")

    async def _send_error(self, error: ServiceError, utterance: int | None = None) -> None:
        """Send and log an error.

        With `utterance`, that utterance ends. Without, only the message was ignored.
        """
        if utterance:
            metrics.REQUESTS.labels(error.code).inc()
        log.warning("request %s-%s: %s: %s", self._name, utterance or "", error.code, error.message)
        fields = {"utterance": utterance} if utterance else {}
        await self._channel.send_error(error, **fields)

    async def _stop(self, numbers: Iterable[int]) -> None:
        """Cancel utterances and wait until their tasks have ended."""
        tasks = [
            self._tasks_by_number[number] for number in numbers if number in self._tasks_by_number
        ]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _close_when_done(self) -> None:
        if self._tasks_by_number:
            await asyncio.wait(self._tasks_by_number.values())
        await self._channel.close(RESTARTING, "the server is shutting down")


class SpeechSocket:
    """ASGI application of the WebSocket route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        service = scope["app"].state.service
        assert isinstance(service, Service)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": subprotocol_of(scope)})
        channel = WebSocketChannel(send, service.settings.client_write_timeout_s)
        try:
            async with asyncio.TaskGroup() as tasks:
                await Connection(service, receive, channel, tasks, key_number_of(scope)).serve()
        except* ClientGone as gone:
            log.info("a WebSocket connection ended: %s", gone.exceptions[0])
            abort(scope)
        except* Exception as bugs:
            log.error("unexpected error", exc_info=bugs)
            with suppress(ClientGone):
                await channel.send_error(ServiceError("internal error"))


route = WebSocketRoute(PATH, SpeechSocket())
