"""What vLLM asks for adapters that it has not loaded."""

import time
from dataclasses import dataclass

from fastapi import HTTPException
from vllm.logger import init_logger
from vllm.lora.request import LoRARequest
from vllm.lora.resolver import LoRAResolver

from .adapters import Adapters, Found
from .answer import Answer
from .errors import Refused, Unavailable
from .names import is_engine_name
from .settings import Settings

logger = init_logger("vllm.readapt")


class VersionRequest(LoRARequest):
    """The request for one version, of which there is only one in a process.

    vLLM tells adapters apart by their names in some places and by their numbers in others, so that two numbers with one name, in one batch,
    could answer with the base alone. vLLM gives the request another number each time that it is resolved, by its alias and by its own name:
    the first one stays.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name != "lora_int_id" or self.lora_int_id == _UNNUMBERED:
            super().__setattr__(name, value)


#: Numbers that vLLM gives count up from 1.
_UNNUMBERED = 2**31 - 1


@dataclass
class Given:
    """What was handed to vLLM for a version, and when last."""

    request: VersionRequest
    answer: Answer
    at: float


class ReadaptResolver(LoRAResolver):
    """Resolves the names that Readapt gives to adapters, and leaves all others to other resolvers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.adapters = Adapters(settings, logger)
        #: By the names of versions.
        self.given: dict[str, Given] = {}
        #: The base of what was resolved last; None before that.
        self.base_model_version_id: str | None = None
        #: Whether something was handed out that the service did not confirm.
        self.has_given_stale = False

    async def resolve_lora(self, base_model_name: str, lora_name: str) -> LoRARequest | None:
        """The version that Readapt serves by this name on the base, or None.

        The request has the name of the version (`acme.support@3`) also where its alias was asked for (`acme.support`), so that the weights
        and the cached prefixes of two versions can never be mixed up, and so that answers say which version they come from.

        Raises:
            HTTPException: 503 where asking again may help; 502 where the service has something that must not be served. Tenants see these
                messages, so that addresses and reasons stand in the log alone.
        """
        if not is_engine_name(lora_name):
            return None
        try:
            found = await self.adapters.find(base_model_name, lora_name)
        except Unavailable as error:
            raise HTTPException(503, f"adapter {lora_name} cannot be loaded now: ask again later") from error
        except Refused as error:
            raise HTTPException(502, f"adapter {lora_name} must not be served: vLLM's log says why") from error
        return None if found is None else self._give(found)

    def _give(self, found: Found) -> VersionRequest:
        answer, folder = found.answer, str(found.folder)
        self.base_model_version_id = answer.base_model_version_id
        self.has_given_stale |= found.is_stale
        before = self.given.get(answer.name)
        if before is None or before.request.lora_path != folder:
            request = VersionRequest(lora_name=answer.name, lora_int_id=_UNNUMBERED, lora_path=folder)
        else:
            request = before.request
        self.given[answer.name] = Given(request, answer, time.monotonic())
        return request
