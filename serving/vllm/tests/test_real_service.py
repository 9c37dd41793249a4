"""The whole way from the real service to vLLM's own list of models."""

import asyncio
import json
from pathlib import Path

from engine import models_of
from real_service import FAMILY, RealService

from readapt_vllm.follower import Following
from readapt_vllm.resolver import ReadaptResolver
from readapt_vllm.settings import Settings

MODEL = "acme/tiny-1"
WEIGHTS = "adapter_model.safetensors"


async def test_serves_what_the_real_service_publishes(tmp_path: Path):
    with RealService(MODEL) as service:
        await asyncio.to_thread(service.publish, "plural-small")
        manifest = json.loads((FAMILY / "adapters" / "plural" / "readapt.json").read_text())
        settings = Settings(
            url=service.url,
            cache_dir=tmp_path / "cache",
            api_key=service.key,
            base_fingerprint=manifest["base_fingerprint"],
            timeout_seconds=10,
            grace_seconds=0,
        )
        resolver = ReadaptResolver(settings)
        models = models_of(MODEL, resolver)
        following = Following(resolver, models)

        async def served() -> tuple[str, bytes]:
            """What the alias stands for after a turn, and its weights."""
            await following.turn()
            request = await models.resolve_lora("acme.plural")
            return request.lora_name, (Path(request.lora_path) / WEIGHTS).read_bytes()

        small, large = [(FAMILY / "adapters" / name / WEIGHTS).read_bytes() for name in ("plural-small", "plural")]
        assert await served() == ("acme.plural@1", small)
        await asyncio.to_thread(service.publish, "plural")
        assert await served() == ("acme.plural@2", large)
        await asyncio.to_thread(service.make_current, 1)
        assert await served() == ("acme.plural@1", small)
        by_number = await models.resolve_lora("acme.plural@2")
        assert by_number.lora_name == "acme.plural@2"

        # Another server on this machine goes on with what is here while the service is away.
        await asyncio.to_thread(service.stop)
        other = ReadaptResolver(settings)
        assert (await models_of(MODEL, other).resolve_lora("acme.plural")).lora_name == "acme.plural@1"
        await asyncio.to_thread(service.start)
        await other.adapters.close()

        await asyncio.to_thread(service.make_current, None)
        await following.turn()
        assert (await models.resolve_lora("acme.plural")).error.code == 404
        await resolver.adapters.close()
