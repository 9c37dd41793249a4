"""What the generated package `readapt_client` leaves to be written by hand: errors, waiting, pages and archives."""

from .answers import ApiProblem, answer
from .archives import ChecksumError, adapter_archive, verify_archive
from .pages import items, items_async
from .waiting import wait_for_rollout, wait_for_rollout_async

__all__ = [
    "ApiProblem",
    "ChecksumError",
    "adapter_archive",
    "answer",
    "items",
    "items_async",
    "verify_archive",
    "wait_for_rollout",
    "wait_for_rollout_async",
]
