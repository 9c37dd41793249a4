"""Tests of the helpers against a server with prepared answers, some of them of a service newer than the client."""

import asyncio
import json
import socket
import tarfile
import tempfile
import threading
import unittest
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx

from readapt_client import AuthenticatedClient
from readapt_client.api.tenants import list_tenants
from readapt_client.models import AdapterVersion, Events, JobReadyEvent, Rollout, UnknownEvent, WebhookMessage
from readapt_helpers import (
    ApiProblem,
    ChecksumError,
    RolloutNotCompletedError,
    adapter_archive,
    download_version,
    items,
    items_async,
    verify_archive,
    wait_for_rollout,
    wait_for_rollout_async,
)

TESTDATA = Path(__file__).parents[2] / "testdata"
ADAPTER = Path(__file__).parents[4] / "examples/demo-family/adapters/plural"
ADAPTER_DIGEST = "sha256:989194d7ede0dab3b03c2bf715b239b02a130533e50d08f6d604473a8d2f2d46"
Answer = tuple[int, dict[str, str], Any]


def data(name: str) -> dict[str, Any]:
    return json.loads((TESTDATA / name).read_text())


def rollout(state: str, etag: str) -> Answer:
    return 200, {"etag": etag}, {**data("rollout.json"), "state": state}


def problem(status: int, code: str, **headers: str) -> Answer:
    body = {"type": "x", "title": "x", "status": status, "detail": "no", "code": code, "instance": "/"}
    return status, headers, body


def answering(
    answers: list[Answer | None], use: Callable[[AuthenticatedClient], Any]
) -> tuple[Any, list[tuple[str, str | None]]]:
    """Calls `use` with a client whose requests get the answers in turn; returns its result and the requests.

    The connection is cut in place of an answer that is None.
    """
    requests: list[tuple[str, str | None]] = []
    left = iter(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, self.headers.get("if-none-match")))
            prepared = next(left)
            if prepared is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers, body = prepared
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            return use(AuthenticatedClient(base_url=f"http://127.0.0.1:{server.server_port}", token="key")), requests
        finally:
            server.shutdown()


WAITS = {
    "sync": lambda client: wait_for_rollout(client, "rol_1", interval=0),
    "async": lambda client: asyncio.run(wait_for_rollout_async(client, "rol_1", interval=0)),
}


class Waiting(unittest.TestCase):
    def test_polls_with_the_etag_until_the_rollout_is_completed(self) -> None:
        answers = [
            rollout("adapting", '"a"'),
            (304, {"etag": '"a"'}, None),
            problem(429, "too_many_requests", retry_after="0"),
            None,
            rollout("a_state_of_a_newer_service", '"b"'),
            rollout("completed", '"c"'),
        ]
        for name, wait in WAITS.items():
            with self.subTest(name):
                ended, requests = answering(answers, wait)
                self.assertEqual(ended.state, "completed")
                self.assertEqual([etag for _, etag in requests], [None, '"a"', '"a"', '"a"', '"a"', '"b"'])

    def test_raises_what_ends_otherwise(self) -> None:
        for name, wait in WAITS.items():
            with self.subTest(name), self.assertRaisesRegex(RolloutNotCompletedError, "failed"):
                answering([rollout("failed", '"a"')], wait)

    def test_raises_a_problem_that_waiting_does_not_mend(self) -> None:
        for name, wait in WAITS.items():
            with self.subTest(name), self.assertRaisesRegex(ApiProblem, "404 not_found: no"):
                answering([problem(404, "not_found")], wait)

    def test_gives_up_after_its_time(self) -> None:
        with self.assertRaisesRegex(TimeoutError, "its state is paused"):
            answering(
                [rollout("paused", '"a"')], lambda client: wait_for_rollout(client, "rol_1", timeout=1, interval=2)
            )

    def test_waits_as_long_as_the_service_asks(self) -> None:
        answers = [problem(503, "service_unavailable", retry_after="3")]
        with self.assertRaisesRegex(TimeoutError, "its state is not known"):
            answering(answers, lambda client: wait_for_rollout(client, "rol_1", timeout=2, interval=0))


class Pages(unittest.TestCase):
    answers = [
        (
            200,
            {},
            {"data": [{"id": "ten_1", "name": "a", "created_at": "2026-11-27T23:36:17Z"}], "next_cursor": "next"},
        ),
        (200, {}, {"data": [{"id": "ten_2", "name": "b", "created_at": "2026-11-27T23:36:17Z"}], "next_cursor": None}),
    ]
    paths = ["/v1/tenants?limit=1", "/v1/tenants?limit=1&cursor=next"]

    def test_goes_through_all_pages(self) -> None:
        names, requests = answering(
            self.answers, lambda client: [t.name for t in items(list_tenants, client=client, limit=1)]
        )
        self.assertEqual((names, [path for path, _ in requests]), (["a", "b"], self.paths))

    def test_goes_through_all_pages_with_asyncio(self) -> None:
        async def names(client: AuthenticatedClient) -> list[str]:
            return [tenant.name async for tenant in items_async(list_tenants, client=client, limit=1)]

        found, requests = answering(self.answers, lambda client: asyncio.run(names(client)))
        self.assertEqual((found, [path for path, _ in requests]), (["a", "b"], self.paths))


class Archives(unittest.TestCase):
    def test_verifies_the_digest_that_the_service_gives_to_the_same_files(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "plural.tar")
            archive.write_bytes(adapter_archive(ADAPTER).read())
            verify_archive(archive, ADAPTER_DIGEST)

            archive.write_bytes(archive.read_bytes().replace(b"lora_alpha", b"lora_alphb", 1))
            with self.assertRaises(ChecksumError):
                verify_archive(archive, ADAPTER_DIGEST)


class Downloads(unittest.TestCase):
    """Downloads from a server with one archive, which cuts the first connection after some bytes."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name, "plural.tar")
        self.part = Path(f"{self.file}.part")
        self.archive = adapter_archive(ADAPTER).read()
        self.version = AdapterVersion.from_dict({**data("adapter-version.json"), "digest": ADAPTER_DIGEST})

    def download(self, cut_after: int | None = None, **options: Any) -> list[str | None]:
        ranges: list[str | None] = []
        archive, etag = self.archive, f'"{ADAPTER_DIGEST}"'

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ranges.append(self.headers.get("range"))
                is_range = ranges[-1] is not None and self.headers["if-range"] == etag
                start = int(ranges[-1].removeprefix("bytes=").removesuffix("-")) if is_range else 0
                if start >= len(archive):
                    self.send_response(416)
                    self.send_header("content-range", f"bytes */{len(archive)}")
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                self.send_response(206 if is_range else 200)
                self.send_header("content-length", str(len(archive) - start))
                self.end_headers()
                is_cut = cut_after is not None and len(ranges) == 1
                self.wfile.write(archive[start : start + cut_after if is_cut else None])

            def log_message(self, *_: Any) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            try:
                client = AuthenticatedClient(base_url=f"http://127.0.0.1:{server.server_port}", token="key")
                download_version(client, self.version, self.file, **{"interval": 0, **options})
            finally:
                server.shutdown()
        return ranges

    def test_go_on_after_an_interruption(self) -> None:
        self.assertEqual(self.download(cut_after=5000), [None, "bytes=5000-"])
        self.assertEqual((self.file.read_bytes(), self.part.exists()), (self.archive, False))

    def test_go_on_in_another_run(self) -> None:
        with self.assertRaises(httpx.TransportError):
            self.download(cut_after=5000, timeout=1, interval=2)
        self.assertFalse(self.file.exists())
        self.assertEqual(self.download(), ["bytes=5000-"])
        self.assertEqual(self.file.read_bytes(), self.archive)

    def test_take_what_is_whole_and_begin_anew_where_there_is_too_much(self) -> None:
        for more, requests in ((b"", 1), (b"more", 2)):
            self.part.write_bytes(self.archive + more)
            self.assertEqual(len(self.download()), requests)
            self.assertEqual(self.file.read_bytes(), self.archive)

    def test_begin_anew_where_the_bytes_are_others_now(self) -> None:
        self.version.digest = "sha256:other"
        self.part.write_bytes(b"of another version")
        with self.assertRaises(ChecksumError):
            self.download()
        self.assertEqual(list(self.file.parent.iterdir()), [])

    def test_leave_nothing_that_is_not_what_the_version_is(self) -> None:
        self.part.write_bytes(b"something else")
        with self.assertRaises((ChecksumError, tarfile.TarError)):
            self.download()
        self.assertEqual(list(self.file.parent.iterdir()), [])


class NewerServices(unittest.TestCase):
    def test_reads_events_of_unknown_types(self) -> None:
        known, unknown = Events.from_dict(data("events.json")).data
        self.assertIsInstance(known, JobReadyEvent)
        self.assertEqual(known.data.kind, "a_kind_of_a_newer_service")
        self.assertIsInstance(unknown, UnknownEvent)
        self.assertEqual((unknown.type_, unknown.data["what"]), ("something.of_a_newer_service", "is new"))

    def test_reads_webhooks_about_them(self) -> None:
        event = data("events.json")["data"][1]
        message = WebhookMessage.from_dict({"type": event["type"], "timestamp": event["occurred_at"], "data": event})
        self.assertEqual(message.type_, "something.of_a_newer_service")
        self.assertIsInstance(message.data, UnknownEvent)

    def test_keeps_unknown_values_and_members(self) -> None:
        found = Rollout.from_dict(data("rollout.json"))
        self.assertEqual(found.options.strategy, "a_strategy_of_a_newer_service")
        self.assertEqual(found["a_member_of_a_newer_service"], {"any": ["thing"]})


if __name__ == "__main__":
    unittest.main()
