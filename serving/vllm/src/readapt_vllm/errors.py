"""What can go wrong between vLLM and Readapt. The messages are for whoever runs vLLM."""


class SettingsError(ValueError):
    """A setting is missing or has a value that it cannot have. The message names it."""


class Unavailable(Exception):
    """The service, or something on the way to it, does not answer now; asking again later may help."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """`retry_after` is what the service asked for, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class Refused(Exception):
    """What the service sent must not be served: other bytes than it should have, or made for another base."""
