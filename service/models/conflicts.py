"""Errors of requests that are well formed, and cannot be done as things stand."""

from evaluation.errors import InputError


class RefusedError(InputError):
    """Something else has to be done first. Answered with 409."""


class DeletedError(InputError):
    """What is asked for was there, and was deleted. Answered with 410."""
