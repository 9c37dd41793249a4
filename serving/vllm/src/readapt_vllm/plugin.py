"""The functions that vLLM calls when it starts."""

import os
from typing import TYPE_CHECKING

from vllm.logger import init_logger
from vllm.lora.resolver import LoRAResolverRegistry

from .resolver import ReadaptResolver
from .settings import read_settings

if TYPE_CHECKING:
    from .follower import Follower

_NAME = "Readapt"

logger = init_logger("vllm.readapt")


def register() -> None:
    """Registers the resolver, in each of vLLM's processes. It opens nothing before it is asked.

    Raises:
        SettingsError: a setting has a value that it cannot have.
    """
    settings = read_settings(os.environ)
    if settings is None or _NAME in LoRAResolverRegistry.get_supported_resolvers():
        return
    LoRAResolverRegistry.register_resolver(_NAME, ReadaptResolver(settings))


def create_follower() -> "Follower":
    """Makes what moves aliases in a running server. vLLM calls it only if VLLM_PLUGINS names `readapt`."""
    from .follower import Follower

    return Follower(lambda: LoRAResolverRegistry.resolvers.get(_NAME))
