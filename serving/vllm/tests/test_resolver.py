"""What vLLM does with the resolver, by vLLM's own classes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from aiohttp import web
from engine import models_of
from fastapi import HTTPException
from service import MODEL, Service, files_of, problem
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.entrypoints.serve.lora.protocol import UnloadLoRAAdapterRequest
from vllm.lora.request import LoRARequest
from vllm.lora.resolver import LoRAResolverRegistry
from vllm.plugins.endpoint_plugins.interface import EndpointPlugin

from readapt_vllm.follower import Following
from readapt_vllm.plugin import create_follower, register
from readapt_vllm.resolver import ReadaptResolver
from readapt_vllm.settings import Settings

ALIAS = "acme.support"


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[Callable[..., tuple[OpenAIServingModels, Following]]]:
    resolvers = []

    def make(max_rank: int = 8, **changes: object) -> tuple[OpenAIServingModels, Following]:
        resolvers.append(ReadaptResolver(replace(settings, **changes)))
        models = models_of(MODEL, resolvers[-1], max_rank)
        return models, Following(resolvers[-1], models)

    yield make
    for each in resolvers:
        await each.adapters.close()


Start = Callable[..., tuple[OpenAIServingModels, Following]]


def number_of(models: OpenAIServingModels, name: str) -> str:
    """The name of the version by which a name is answered."""
    return models.lora_requests[name].lora_name


async def test_resolves_an_alias_to_a_version(service: Service, start: Start):
    service.publish(1, files_of())
    models, _ = start()
    request = await models.resolve_lora(ALIAS)
    assert isinstance(request, LoRARequest)
    assert (request.lora_name, models.model_name(request)) == ("acme.support@1", "acme.support@1")
    assert (Path(request.lora_path) / "adapter_model.safetensors").read_bytes() == b"weights"
    [loaded] = models.engine_client.loaded.values()
    assert (loaded.lora_int_id, loaded.lora_path) == (request.lora_int_id, request.lora_path)


async def test_answers_404_for_names_that_nothing_has(service: Service, start: Start):
    models, _ = start()
    for name in (ALIAS, "globex.support", "meta-llama/Llama-3.1-8B"):
        result = await models.resolve_lora(name)
        assert isinstance(result, ErrorResponse)
        assert result.error.code == 404
    # A name of another form costs no request.
    assert service.asked("/v1/serving/resolve") == 2


async def test_gives_one_number_to_a_version_however_it_is_called(service: Service, start: Start):
    service.publish(1, files_of())
    models, _ = start()
    by_alias, by_name = await models.resolve_lora(ALIAS), await models.resolve_lora("acme.support@1")
    await models.unload_lora_adapter(UnloadLoRAAdapterRequest(lora_name=ALIAS))
    again = await models.resolve_lora(ALIAS)
    assert by_alias is by_name is again
    assert list(models.engine_client.loaded) == [by_alias.lora_int_id]


async def test_gives_other_numbers_and_names_to_other_versions(service: Service, start: Start):
    service.publish(1, files_of())
    service.publish(2, files_of(weights=b"better"))
    models, _ = start()
    first, second = [await models.resolve_lora(f"acme.support@{number}") for number in (1, 2)]
    assert first != second
    assert len({first.lora_int_id, second.lora_int_id, first.lora_path, second.lora_path}) == 4


async def test_answers_503_where_nothing_can_be_had(service: Service, start: Start):
    async def away(request: web.Request) -> web.Response:
        return problem(503, "unavailable")

    service.misbehave("/v1/serving", away, times=10)
    models, _ = start()
    with pytest.raises(HTTPException) as error:
        await models.resolve_lora(ALIAS)
    assert error.value.status_code == 503
    # A tenant is told nothing of what is behind the engine.
    assert error.value.detail == "adapter acme.support cannot be loaded now: ask again later"
    assert "Readapt at http://127.0.0.1" in str(error.value.__cause__)


async def test_answers_502_for_what_must_not_be_served(service: Service, start: Start):
    service.publish(1, files_of(fingerprint="ab" * 32))
    models, _ = start()
    with pytest.raises(HTTPException, match="adapter acme.support must not be served") as error:
        await models.resolve_lora(ALIAS)
    assert error.value.status_code == 502
    assert "was made for the base" in str(error.value.__cause__)


async def test_moves_an_alias_to_what_becomes_current(service: Service, start: Start):
    service.publish(1, files_of())
    models, following = start()
    await models.resolve_lora(ALIAS)
    await models.resolve_lora("acme.support@1")
    await following.turn()
    assert number_of(models, ALIAS) == "acme.support@1"
    service.publish(2, files_of(weights=b"better"))
    assert number_of(models, ALIAS) == "acme.support@1"
    await following.turn()
    assert number_of(models, ALIAS) == "acme.support@2"
    # A name with a number means that version.
    assert number_of(models, "acme.support@1") == "acme.support@1"
    assert set(models.lora_requests) == {ALIAS, "acme.support@1"}
    service.make_current(1)
    await following.turn()
    assert number_of(models, ALIAS) == "acme.support@1"


async def test_moves_also_the_name_of_a_version_that_is_gone(service: Service, start: Start):
    service.publish(2, files_of())
    models, following = start()
    await models.resolve_lora("acme.support@1")
    assert number_of(models, "acme.support@1") == "acme.support@2"
    service.publish(3, files_of(weights=b"better"))
    await following.turn()
    assert number_of(models, "acme.support@1") == "acme.support@3"


async def test_forgets_what_is_withdrawn(service: Service, start: Start):
    service.publish(1, files_of())
    models, following = start()
    await models.resolve_lora(ALIAS)
    service.make_current(None)
    await following.turn()
    assert models.lora_requests == {}
    assert isinstance(await models.resolve_lora(ALIAS), ErrorResponse)


async def test_stays_at_a_version_where_the_engine_cannot_load_the_next(service: Service, start: Start):
    service.publish(1, files_of(rank=8))
    models, following = start(max_rank=8)
    await models.resolve_lora(ALIAS)
    service.publish(2, files_of(rank=16))
    await following.turn()
    assert number_of(models, ALIAS) == "acme.support@1"
    service.publish(3, files_of(rank=4))
    await following.turn()
    assert number_of(models, ALIAS) == "acme.support@3"


@pytest.mark.parametrize(("path", "times"), [("/v1/adapters", 1), ("/v1/base-model-versions", 1), ("/v1/serving", 3)])
async def test_moves_an_alias_once_the_service_is_back(service: Service, start: Start, path: str, times: int):
    service.publish(1, files_of())
    models, following = start()
    await models.resolve_lora(ALIAS)
    await following.turn()
    service.publish(2, files_of(weights=b"better"))

    async def gone(request: web.Request) -> web.Response:
        return problem(404, "route_not_found")

    service.misbehave(path, gone, times)
    await following.turn()
    assert number_of(models, ALIAS) == "acme.support@1"
    await following.turn()
    assert number_of(models, ALIAS) == "acme.support@2"


async def stranger(request: web.Request) -> web.Response:
    """An answer of something that is not the service."""
    return web.Response(status=404)


async def test_moves_an_alias_that_was_resolved_while_the_service_was_away(service: Service, start: Start):
    service.publish(1, files_of())
    models, following = start()
    await models.resolve_lora(ALIAS)
    service.publish(2, files_of(weights=b"better"))
    models, following = start()
    service.misbehave("/v1/serving", stranger)
    await models.resolve_lora(ALIAS)
    assert number_of(models, ALIAS) == "acme.support@1"
    await following.turn()
    assert number_of(models, ALIAS) == "acme.support@2"


async def test_reads_all_changes_again_after_an_answer_that_was_out_of_date(service: Service, start: Start):
    service.publish(1, files_of())
    models, following = start()
    await models.resolve_lora(ALIAS)
    service.publish(2, files_of(weights=b"better"))
    models, following = start()
    # The change to version 2 is behind its position when the service goes away.
    await models.resolve_lora("acme.support@2")
    await following.turn()
    service.misbehave("/v1/serving", stranger)
    await models.resolve_lora(ALIAS)
    assert number_of(models, ALIAS) == "acme.support@1"
    await following.turn()
    assert number_of(models, ALIAS) == "acme.support@2"


async def test_gives_back_what_nobody_needs_any_more(service: Service, start: Start, settings: Settings):
    service.publish(1, files_of())
    models, following = start(cache_bytes=1)
    first = await models.resolve_lora(ALIAS)
    service.publish(2, files_of(weights=b"better"))
    await following.turn()
    assert Path(first.lora_path).exists()
    # What vLLM has dropped from its own cache is forgotten where the disk is too small, and then leaves it.
    models.engine_client.loaded.clear()
    await following.turn()
    service.publish(3, files_of(weights=b"best"))
    third = await models.resolve_lora(ALIAS)
    assert not Path(first.lora_path).exists()
    assert [path.name for path in (settings.cache_dir / "versions").iterdir()] == [Path(third.lora_path).parent.name]


async def test_is_found_and_registered_by_vllm(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    [general] = [each for each in entry_points(group="vllm.general_plugins") if each.name == "readapt"]
    [endpoint] = [each for each in entry_points(group="vllm.endpoint_plugins") if each.name == "readapt"]
    assert (general.load(), endpoint.load()) == (register, create_follower)
    assert isinstance(create_follower(), EndpointPlugin)
    LoRAResolverRegistry.resolvers.clear()
    monkeypatch.delenv("READAPT_URL", raising=False)
    register()
    assert LoRAResolverRegistry.resolvers == {}
    monkeypatch.setenv("READAPT_URL", settings.url)
    # vLLM does so in each of its processes, and perhaps more than once.
    register()
    register()
    assert [type(each) for each in LoRAResolverRegistry.resolvers.values()] == [ReadaptResolver]
