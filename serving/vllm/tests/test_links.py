"""Downloads from a bucket that the service names, and what happens where it does not give the files."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from service import MODEL, SIGNATURE, Service, files_of

from readapt_vllm.adapters import Adapters, Found
from readapt_vllm.errors import Refused

ALIAS = "acme.support"
FILES = "/v1/adapters/adp_1/versions/adv_1/files"
ARCHIVE = "/v1/adapters/adp_1/versions/adv_1/download"
BUCKET = "/bucket/"
WEIGHTS = "/bucket/adv_1/adapter_model.safetensors"

Start = Callable[..., Adapters]


@pytest.fixture
def links(service: Service, caplog: pytest.LogCaptureFixture) -> Service:
    caplog.set_level(logging.DEBUG)
    service.names_files = True
    service.publish(1, files_of(weights=b"w" * 2**20) | {"README.md": b"of no use to an engine"})
    return service


def assert_whole(found: Found | None, service: Service) -> None:
    assert found is not None
    expected = {name: content for name, content in service.versions[1].items() if name != "README.md"}
    assert {path.name: path.read_bytes() for path in found.folder.iterdir()} == expected


async def broken_off(request: web.Request) -> web.StreamResponse:
    """Half of the weights."""
    response = web.StreamResponse(headers={"Content-Length": str(2**20)})
    await response.prepare(request)
    await response.write(b"w" * 2**19)
    assert request.transport is not None
    request.transport.close()
    return response


async def test_gets_from_the_bucket_what_an_engine_needs(links: Service, start: Start):
    assert_whole(await start().find(MODEL, ALIAS), links)
    assert (links.asked(FILES), links.asked(ARCHIVE), links.asked(BUCKET)) == (1, 0, 3)
    # Another process takes it from the disk, and reads all of it first.
    assert_whole(await start().find(MODEL, ALIAS), links)
    assert links.asked(BUCKET) == 3


async def test_goes_on_by_a_new_address_where_a_file_broke_off(links: Service, start: Start):
    async def rest(request: web.Request) -> None:
        # What was on its way when the connection broke may be lost.
        assert 0 < int(request.headers["Range"].removeprefix("bytes=").removesuffix("-")) <= 2**19

    links.misbehave(WEIGHTS, broken_off)
    links.misbehave(WEIGHTS, rest)
    assert_whole(await start().find(MODEL, ALIAS), links)
    assert (links.asked(FILES), links.asked(ARCHIVE), links.asked(WEIGHTS)) == (2, 0, 2)


async def test_begins_a_file_anew_where_the_bucket_knows_no_ranges(links: Service, start: Start):
    async def whole(request: web.Request) -> web.Response:
        assert "Range" in request.headers
        return web.Response(body=b"w" * 2**20)

    links.misbehave(WEIGHTS, broken_off)
    links.misbehave(WEIGHTS, whole)
    assert_whole(await start().find(MODEL, ALIAS), links)
    assert (links.asked(ARCHIVE), links.asked(WEIGHTS)) == (0, 2)


@pytest.mark.parametrize("status", [301, 403, 503])
async def test_leaves_a_bucket_that_gives_nothing_to_the_service(
    links: Service, start: Start, caplog: pytest.LogCaptureFixture, status: int
):
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "https://elsewhere.example/"})

    links.misbehave(BUCKET, refuse)
    adapters = start()
    assert_whole(await adapters.find(MODEL, ALIAS), links)
    assert (links.asked(ARCHIVE), links.asked(BUCKET)) == (1, 1)
    assert f"because the bucket does not give it: the answer was {status}" in caplog.text
    # Nor is it asked at the next download.
    links.publish(2, files_of(weights=b"better"))
    assert (await adapters.find(MODEL, ALIAS)) is not None
    assert links.asked(BUCKET) == 1


async def test_leaves_only_the_version_to_the_service_that_the_bucket_lacks(links: Service, start: Start):
    async def missing(request: web.Request) -> web.Response:
        return web.Response(status=404)

    # The file before it has arrived, so it is asked for twice.
    links.misbehave(WEIGHTS, missing, times=2)
    adapters = start()
    assert_whole(await adapters.find(MODEL, ALIAS), links)
    assert (links.asked(ARCHIVE), links.asked(WEIGHTS)) == (1, 2)
    links.publish(2, files_of(weights=b"better"))
    assert (await adapters.find(MODEL, ALIAS)) is not None
    assert (links.asked("/bucket/adv_2/"), links.asked("/v1/adapters/adp_1/versions/adv_2/download")) == (3, 0)


async def test_leaves_a_bucket_that_cannot_be_reached_to_the_service(links: Service, start: Start):
    async def unreachable(request: web.Request) -> web.Response:
        return web.json_response({"files": links.files("adv_1", "http://127.0.0.1:9")})

    links.misbehave(FILES, unreachable)
    assert_whole(await start().find(MODEL, ALIAS), links)
    assert (links.asked(ARCHIVE), links.asked(BUCKET)) == (1, 0)


async def test_takes_the_archive_where_the_service_sends_the_files_itself(links: Service, start: Start):
    links.has_bucket = False
    adapters = start()
    assert_whole(await adapters.find(MODEL, ALIAS), links)
    assert (links.asked(ARCHIVE), links.asked(BUCKET)) == (1, 0)
    # To list them, the service would have to read all of the next version, too.
    links.publish(2, files_of(weights=b"better"))
    assert (await adapters.find(MODEL, ALIAS)) is not None
    assert links.asked("/v1/adapters/adp_1/versions/adv_2/files") == 0


async def test_takes_the_archive_where_the_list_is_not_to_be_had(links: Service, start: Start):
    async def away(request: web.Request) -> web.Response:
        return web.Response(status=503)

    links.misbehave(FILES, away)
    assert_whole(await start().find(MODEL, ALIAS), links)
    assert (links.asked(ARCHIVE), links.asked(BUCKET)) == (1, 0)


async def test_takes_the_archive_where_the_bucket_gives_other_bytes(
    links: Service, start: Start, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    async def other(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 2**20)

    async def more(request: web.Request) -> web.Response:
        return web.Response(body=b"w" * (2**20 + 1))

    for what, times, message in ((other, 1, "are not what their SHA-256 says"), (more, 2, "has more than the 1048576 bytes")):
        links.requests.clear()
        links.misbehave(WEIGHTS, what, times)
        assert_whole(await start(cache_dir=tmp_path / what.__name__).find(MODEL, ALIAS), links)
        assert (links.asked(ARCHIVE), links.asked(WEIGHTS)) == (1, times)
        assert message in caplog.text


@pytest.mark.parametrize(
    ("index", "changes", "message"),
    [
        (0, {"name": "../../evil"}, "is not a file of an adapter"),
        (0, {"bytes": 2**40}, "expected at most"),
        (0, {"bytes": -1}, "expected at most"),
        (0, {"sha256": "ab" * 32}, "have the digest"),
        (0, {"sha256": "../x"}, "without its SHA-256"),
        (0, {"url": "file:///etc/passwd"}, "no address"),
        (0, {"url": "https://x/ y"}, "no address"),
        (2, {"name": "adapter_config.json"}, "have the digest"),
    ],
)
async def test_refuses_a_list_of_other_files(links: Service, start: Start, index: int, changes: dict[str, object], message: str):
    async def other(request: web.Request) -> web.Response:
        files = links.files("adv_1", str(request.url.origin()))
        files[index] |= changes
        return web.json_response({"files": files})

    links.misbehave(FILES, other)
    with pytest.raises(Refused, match=message):
        await start().find(MODEL, ALIAS)
    assert links.asked(BUCKET) == 0


async def test_logs_no_address(links: Service, start: Start, caplog: pytest.LogCaptureFixture):
    async def cut(request: web.Request) -> None:
        assert request.transport is not None
        request.transport.close()

    # aiohttp itself asks a second time.
    links.misbehave(BUCKET, cut, times=2)
    await start().find(MODEL, ALIAS)
    assert "because the bucket does not give it" in caplog.text
    readapt = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("readapt"))
    assert SIGNATURE not in readapt
    assert "X-Amz" not in readapt
