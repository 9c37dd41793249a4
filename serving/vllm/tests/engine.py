"""vLLM's own list of models, with its own checks of an adapter, in front of an engine that computes nothing."""

from types import SimpleNamespace

from vllm.config.lora import LoRAConfig
from vllm.entrypoints.openai.models.protocol import BaseModelPath
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.lora.peft_helper import PEFTHelper
from vllm.lora.request import LoRARequest
from vllm.lora.resolver import LoRAResolver, LoRAResolverRegistry
from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder


class Engine:
    """Takes adapters as vLLM's workers do, up to loading their weights."""

    def __init__(self, model: str, max_rank: int = 8) -> None:
        self.model_config = SimpleNamespace(model=model, max_model_len=256)
        self.renderer = self.input_processor = None
        self.loaded: dict[int, LoRARequest] = {}
        self._config = LoRAConfig(max_lora_rank=max_rank)

    async def add_lora(self, lora_request: LoRARequest) -> bool:
        # Requests reach the engine's process in this form.
        sent = MsgpackDecoder(LoRARequest).decode(MsgpackEncoder().encode(lora_request))
        PEFTHelper.from_local_dir(sent.lora_path, 256).validate_legal(self._config)
        self.loaded[sent.lora_int_id] = sent
        return True

    async def list_loras(self) -> set[int]:
        return set(self.loaded)


def models_of(model: str, resolver: LoRAResolver, max_rank: int = 8) -> OpenAIServingModels:
    """What vLLM's server keeps of models and adapters, with one resolver."""
    LoRAResolverRegistry.resolvers.clear()
    LoRAResolverRegistry.register_resolver("Readapt", resolver)
    return OpenAIServingModels(Engine(model, max_rank), [BaseModelPath(name=model, model_path=model)])
