"""Faults of the service and of the way to it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from service import FINGERPRINT, MODEL, Service, archive_of, digest_of, files_of, part_of, problem

from readapt_vllm.adapters import Adapters
from readapt_vllm.errors import Refused, Unavailable
from readapt_vllm.settings import Settings

RESOLVE = "/v1/serving/resolve"
DOWNLOAD = "/v1/adapters/"
ALIAS = "acme.support"

Start = Callable[..., Adapters]


async def away(request: web.Request) -> web.StreamResponse:
    return problem(503, "unavailable")


async def cut(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.close()


async def test_finds_what_is_current(service: Service, start: Start):
    service.publish(1, files_of())
    found = await start().find(MODEL, ALIAS)
    assert found is not None
    assert found.answer.name == "acme.support@1"
    assert {path.name: path.read_bytes() for path in found.folder.iterdir()} == files_of()


async def test_finds_nothing_where_there_is_nothing(service: Service, start: Start):
    adapters = start()
    assert await adapters.find(MODEL, ALIAS) is None
    assert await adapters.find(MODEL, "globex.support") is None
    # A name that nothing has costs the service one request in a while.
    for _ in range(5):
        assert await adapters.find(MODEL, ALIAS) is None
    assert service.asked(RESOLVE) == 2


async def test_asks_for_a_name_as_it_is_written(service: Service, start: Start):
    assert await start().find(MODEL, "a%2Eb.support") is None
    assert "name=a%252Eb.support" in service.requests[-1]


async def test_downloads_once_for_all_who_ask_at_once(service: Service, start: Start):
    service.publish(1, files_of())
    adapters = start()
    found = await asyncio.gather(*(adapters.find(MODEL, name) for name in [ALIAS, "acme.support@1"] * 10))
    assert len({each.folder for each in found if each is not None}) == 1
    assert service.asked(DOWNLOAD) == 1


async def test_ends_a_download_for_others_when_one_leaves(service: Service, start: Start):
    service.publish(1, files_of())
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> None:
        begun.set()
        await may_end.wait()

    service.misbehave(DOWNLOAD, wait)
    adapters = start()
    first = asyncio.create_task(adapters.find(MODEL, ALIAS))
    await begun.wait()
    second = asyncio.create_task(adapters.find(MODEL, ALIAS))
    first.cancel()
    may_end.set()
    assert await second is not None
    assert service.asked(DOWNLOAD) == 1


async def test_keeps_versions_over_a_restart(service: Service, start: Start):
    service.publish(1, files_of())
    await start().find(MODEL, ALIAS)
    assert await start().find(MODEL, ALIAS) is not None
    assert service.asked(DOWNLOAD) == 1


async def test_goes_on_with_a_download_that_was_cut(service: Service, start: Start):
    files = files_of(weights=bytes(range(256)) * 4096)
    service.publish(1, files)
    archive, ranges = archive_of(files), []

    async def half(request: web.Request) -> web.StreamResponse:
        ranges.append(request.headers.get("Range"))
        whole = part_of(request, archive, digest_of(files))
        response = web.StreamResponse(status=whole.status, headers=whole.headers)
        response.content_length = len(whole.body)
        await response.prepare(request)
        await response.write(whole.body[: len(whole.body) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    service.misbehave(DOWNLOAD, half, times=2)
    found = await start().find(MODEL, ALIAS)
    assert found is not None
    assert (found.folder / "adapter_model.safetensors").read_bytes() == files["adapter_model.safetensors"]
    assert ranges[0] is None
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= len(archive) // 2
    assert service.asked(DOWNLOAD) == 3


@pytest.mark.parametrize("fault", [away, cut])
async def test_asks_again_after_a_moment(service: Service, start: Start, fault: Callable):
    service.publish(1, files_of())
    service.misbehave(RESOLVE, fault, times=2)
    service.misbehave(DOWNLOAD, fault)
    assert await start().find(MODEL, ALIAS) is not None


async def test_waits_as_long_as_the_service_asks_for(service: Service, start: Start):
    service.publish(1, files_of())

    async def later(request: web.Request) -> web.Response:
        return problem(503, "unavailable", {"Retry-After": "60"})

    service.misbehave(RESOLVE, later)
    adapters = start()
    for _ in range(3):
        with pytest.raises(Unavailable, match="answered 503"):
            await adapters.find(MODEL, ALIAS)
    assert service.asked(RESOLVE) == 1


async def test_leaves_a_service_alone_that_fails_often(service: Service, start: Start):
    service.publish(1, files_of())
    service.misbehave(RESOLVE, away, times=100)
    adapters = start()
    for _ in range(20):
        with pytest.raises(Unavailable):
            await adapters.find(MODEL, ALIAS)
    assert service.asked(RESOLVE) < 8


async def test_goes_on_with_what_it_has_while_the_service_is_away(service: Service, start: Start, caplog: pytest.LogCaptureFixture):
    service.publish(1, files_of())
    await start().find(MODEL, ALIAS)
    service.publish(2, files_of(weights=b"better"))
    service.misbehave(RESOLVE, away, times=100)
    # Also after a restart.
    found = await start().find(MODEL, ALIAS)
    assert found is not None
    assert (found.answer.number, found.is_stale) == (1, True)
    assert "acme.support goes on with acme.support@1, which is on this machine" in caplog.text
    with pytest.raises(Unavailable):
        await start().find(MODEL, "acme.support@2")


async def test_goes_on_with_what_it_has_where_the_new_version_is_damaged(service: Service, start: Start):
    service.publish(1, files_of())
    adapters = start()
    await adapters.find(MODEL, ALIAS)
    service.publish(2, files_of(weights=b"better"))

    async def other_bytes(request: web.Request) -> web.Response:
        return web.Response(body=archive_of(files_of(weights=b"BETTER")), headers={"ETag": '"x"'})

    service.misbehave(DOWNLOAD, other_bytes)
    found = await adapters.find(MODEL, ALIAS)
    assert found is not None
    assert found.answer.number == 1
    found = await adapters.find(MODEL, ALIAS)
    assert found is not None
    assert (found.answer.number, (found.folder / "adapter_model.safetensors").read_bytes()) == (2, b"better")


async def test_serves_nothing_that_was_taken_back(service: Service, start: Start):
    service.publish(1, files_of())
    adapters = start()
    await adapters.find(MODEL, ALIAS)
    service.make_current(None)
    assert await adapters.find(MODEL, ALIAS) is None
    service.misbehave(RESOLVE, away, times=100)
    with pytest.raises(Unavailable):
        await start().find(MODEL, ALIAS)


async def test_does_not_take_a_stranger_404_for_an_answer(service: Service, start: Start):
    service.publish(1, files_of())
    adapters = start()
    await adapters.find(MODEL, ALIAS)

    async def page(request: web.Request) -> web.Response:
        return web.Response(status=404, text="<html>no such host</html>", content_type="text/html")

    service.misbehave(RESOLVE, page)
    found = await adapters.find(MODEL, ALIAS)
    assert found is not None
    assert found.is_stale


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"serving_name": "/models/other"}, "is for the model '/models/tiny', but this engine serves '/models/other'"),
        ({"base_model_version": "bmv_2"}, "is for bmv_1, but READAPT_BASE_MODEL_VERSION is bmv_2"),
        ({"base_fingerprint": "ab" * 32}, f"but READAPT_BASE_FINGERPRINT is {'ab' * 32}"),
    ],
)
async def test_refuses_a_version_for_another_base(service: Service, start: Start, changes: dict[str, str], message: str):
    service.publish(1, files_of())
    with pytest.raises(Refused) as error:
        await start(**changes).find(MODEL, ALIAS)
    assert message in str(error.value)
    assert service.asked(DOWNLOAD) == 0


async def test_compares_the_base_with_the_adapter_where_the_service_does_not_know_it(service: Service, start: Start):
    service.base_fingerprint = None
    service.publish(1, files_of())
    assert await start(base_fingerprint=FINGERPRINT).find(MODEL, ALIAS) is not None
    # It is on the disk now, and still not for another base.
    with pytest.raises(Refused, match="was made for the base"):
        await start(base_fingerprint="ab" * 32).find(MODEL, ALIAS)
    service.publish(2, files_of(fingerprint=None))
    with pytest.raises(Refused, match="nothing says that acme.support@2 was made for the base"):
        await start(base_fingerprint=FINGERPRINT).find(MODEL, "acme.support@2")
    assert await start().find(MODEL, "acme.support@2") is not None


async def test_refuses_an_archive_without_end(service: Service, start: Start, settings: Settings):
    service.publish(1, files_of())

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"\0" * 65536)
        return response

    service.misbehave(DOWNLOAD, endless)
    with pytest.raises(Refused, match="has more than"):
        await start().find(MODEL, ALIAS)
    assert list((settings.cache_dir / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"download": "https://evil.example/v1/x"},
        {"download": "//evil.example/v1/x"},
        {"download": "/v1/../../x"},
        {"name": "../../evil"},
        {"digest": "sha256:../../evil"},
        {"bytes": 2**62},
        {"number": "1"},
        {"base_model_version_id": "../x"},
    ],
)
async def test_refuses_an_answer_that_leads_elsewhere(service: Service, start: Start, changes: dict[str, object]):
    service.publish(1, files_of())

    async def other(request: web.Request) -> web.Response:
        return web.json_response(service.answer(1) | changes)

    service.misbehave(RESOLVE, other)
    with pytest.raises(Refused, match=next(iter(changes))):
        await start().find(MODEL, ALIAS)
    assert service.asked(DOWNLOAD) == 0


async def test_says_that_a_key_is_refused(start: Start):
    with pytest.raises(Unavailable, match="READAPT_API_KEY is not a key with the scope serving:read"):
        await start(api_key="rk_other").find(MODEL, ALIAS)


async def test_says_that_the_disk_cannot_be_written(service: Service, start: Start, tmp_path: Path):
    service.publish(1, files_of())
    (tmp_path / "file").write_text("")
    adapters = start(cache_dir=tmp_path / "file" / "cache")
    with pytest.raises(Unavailable, match="READAPT_CACHE_DIR: acme.support@1 cannot be kept in"):
        await adapters.find(MODEL, ALIAS)
