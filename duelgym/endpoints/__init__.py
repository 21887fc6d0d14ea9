"""OpenAI-compatible servers over HTTP: requests with retries, and answers that are checked before use."""

from duelgym.endpoints.client import Endpoint
from duelgym.endpoints.embeddings import EndpointEncoder

__all__ = ["Endpoint", "EndpointEncoder"]
