"""Turns problems, which the generated functions return like any other answer, into exceptions."""

from typing import Any

from readapt_client.models import Problem
from readapt_client.types import Response


class ApiProblem(Exception):
    """Refusal by the service. `problem.code` has the reason for programs, `problem.detail` for people."""

    def __init__(self, status: int, problem: Problem | None) -> None:
        super().__init__(
            f"{status} {problem.code}: {problem.detail}" if problem else f"status {status} without a problem"
        )
        self.status = status
        self.problem = problem


def answer(response: Response[Any]) -> Any:
    """Returns the parsed body of a successful answer. Raises ApiProblem for any other answer."""
    status = int(response.status_code)
    if 200 <= status < 300:
        return response.parsed
    raise ApiProblem(status, response.parsed if isinstance(response.parsed, Problem) else None)
