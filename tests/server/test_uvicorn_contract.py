"""The parts of uvicorn that app/server overrides and reads, most of which uvicorn calls private.

An upgrade of uvicorn that changes one of them fails here with a list of the changes.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from importlib.metadata import version

import pytest
import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from app.server.close_delimited import CloseDelimitedBody
from app.server.http_protocol import HttpProtocol
from app.server.server import Server
from app.server.websocket_protocol import WebSocketProtocol

OURS = {
    HttpProtocol: HttpToolsProtocol,
    WebSocketProtocol: WebSocketsSansIOProtocol,
    Server: uvicorn.Server,
}

# Overridden methods with the parameters that uvicorn passes.
OVERRIDDEN: dict[type, dict[str, str]] = {
    HttpToolsProtocol: {
        "_start_asgi_task": "cycle, app",
        "connection_lost": "exc",
        "connection_made": "transport",
        "data_received": "data",
        "on_body": "body",
        "on_header": "name, value",
        "on_headers_complete": "",
        "on_message_begin": "",
        "on_message_complete": "",
        "on_response_complete": "",
        "on_url": "url",
        "pause_writing": "",
        "resume_writing": "",
    },
    WebSocketsSansIOProtocol: {
        "connection_lost": "exc",
        "connection_made": "transport",
        "data_received": "data",
        "handle_cont": "event",
        "handle_ping": "",
        "pause_writing": "",
        "resume_writing": "",
        "run_asgi": "",
        "send": "message",
        "send_500_response": "",
        "send_receive_event_to_app": "",
        "shutdown": "",
    },
    uvicorn.Server: {
        "__init__": "config",
        "handle_exit": "sig, frame",
        "shutdown": "sockets",
    },
}

# Methods and attributes that app/server reads or sets.
USED: dict[type, set[str]] = {
    HttpToolsProtocol: {
        "_unset_keepalive_if_required",
        "app_state",
        "config",
        "connections",
        "cycle",
        "flow",
        "headers",
        "parser",
        "pipeline",
        "scope",
        "server_state",
        "transport",
        "url",
        "ws_protocol_class",
    },
    WebSocketsSansIOProtocol: {
        "close_sent",
        "conn",
        "curr_msg_data_type",
        "default_headers",
        "disconnected",
        "frames",
        "handle_connect",
        "handle_parser_exception",
        "handshake_complete",
        "logger",
        "queue",
        "read_paused",
        "scope",
        "transport",
    },
    uvicorn.Server: {
        "_wait_tasks_to_complete",
        "config",
        "lifespan",
        "server_state",
        "servers",
        "should_exit",
    },
    RequestResponseCycle: {
        "chunked_encoding",
        "disconnected",
        "expected_content_length",
        "keep_alive",
        "message_event",
        "response_complete",
        "response_started",
        "scope",
        "transport",
    },
    FlowControl: {"pause_reading", "read_paused", "write_paused"},
    ServerState: {"connections", "default_headers", "tasks"},
    LifespanOn: {"shutdown"},
    uvicorn.Config: {"get_loop_factory", "timeout_graceful_shutdown"},
}

# Methods that uvicorn must call on itself, so that our overrides run.
HOOKS: dict[type, set[str]] = {
    HttpToolsProtocol: {"_start_asgi_task", "on_response_complete"},
    WebSocketsSansIOProtocol: {
        "handle_cont",
        "handle_ping",
        "run_asgi",
        "send",
        "send_receive_event_to_app",
    },
    uvicorn.Server: {"handle_exit", "shutdown"},
}


@cache
def tree_of(owner: type) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(owner)))


def names_after_self(owner: type) -> set[str]:
    """Return every NAME of `self.NAME` in a class."""
    return {
        node.attr
        for node in ast.walk(tree_of(owner))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
    }


def names_of(owner: type) -> set[str]:
    """Return the methods and attributes of a class, also those set in its methods."""
    assigned = {
        node.attr
        for node in ast.walk(tree_of(owner))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    return {*dir(owner), *assigned}


def test_the_installed_version_is_the_one_that_was_checked() -> None:
    assert version("uvicorn").startswith("0.54."), "compare app/server with uvicorn's changes"


@pytest.mark.parametrize("owner", USED, ids=lambda owner: owner.__name__)
def test_uvicorn_has_what_is_used(owner: type) -> None:
    assert sorted(USED[owner] - names_of(owner)) == []


@pytest.mark.parametrize("owner", OVERRIDDEN, ids=lambda owner: owner.__name__)
def test_overridden_methods_have_the_same_parameters(owner: type) -> None:
    found = {
        name: ", ".join([*inspect.signature(getattr(owner, name)).parameters][1:])
        for name in OVERRIDDEN[owner]
        if hasattr(owner, name)
    }
    assert found == OVERRIDDEN[owner]


@pytest.mark.parametrize("owner", HOOKS, ids=lambda owner: owner.__name__)
def test_uvicorn_calls_the_overridden_hooks(owner: type) -> None:
    assert sorted(HOOKS[owner] - names_after_self(owner)) == []


@pytest.mark.parametrize("ours", OURS, ids=lambda owner: owner.__name__)
def test_the_tables_name_all_that_is_overridden_and_used(ours: type) -> None:
    base = OURS[ours]
    theirs = names_of(base) - {"__module__", "__doc__", "__qualname__"}
    overridden = {name for name in vars(ours) if name in theirs and callable(vars(ours)[name])}
    assert overridden == set(OVERRIDDEN[base])
    assert (names_after_self(ours) & theirs) - overridden == USED[base]


def test_the_table_names_all_that_is_used_of_a_response() -> None:
    used = {
        node.attr
        for owner in (HttpProtocol, CloseDelimitedBody)
        for node in ast.walk(tree_of(owner))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in ("cycle", "self.cycle", "self._cycle")
    }
    assert used == USED[RequestResponseCycle]


def test_a_response_runs_the_application_that_it_is_given() -> None:
    assert [*inspect.signature(RequestResponseCycle.run_asgi).parameters] == ["self", "app"]


def test_status_lines_are_bytes_by_status() -> None:
    assert STATUS_LINE[431] == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
