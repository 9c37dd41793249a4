"""Helpers beside the generated package `readapt_client`: errors, waiting, pages, archives and downloads."""

from .answers import ApiProblem, answer
from .archives import ChecksumError, adapter_archive, async_file, verify_archive
from .downloads import download_version
from .pages import items, items_async
from .waiting import RolloutNotCompletedError, wait_for_rollout, wait_for_rollout_async

__all__ = [
    "ApiProblem",
    "ChecksumError",
    "RolloutNotCompletedError",
    "adapter_archive",
    "answer",
    "async_file",
    "download_version",
    "items",
    "items_async",
    "verify_archive",
    "wait_for_rollout",
    "wait_for_rollout_async",
]
