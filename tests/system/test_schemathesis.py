"""Schemathesis drives every route of a live server from its description, with values that fit it and that do not."""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from running_server import RunningServer
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode

schema = schemathesis.openapi.from_path(Path(__file__).parents[1] / "contract" / "openapi.json")
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@schemathesis.check
def refusals_are_in_the_wires_shape(ctx, response, case) -> None:
    """Every refusal is a JSON object with a text under `error`."""
    if response.status_code >= 400:
        assert isinstance(response.json()["error"], str), response.text


@pytest.fixture
def service_headers(module_server: RunningServer) -> dict[str, str]:
    """Both kinds of key at once; a route looks for its own."""
    return {"servicekey": module_server.service_key, "apikey": module_server.ingestion_key}


@schema.parametrize()
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_route(case, module_server: RunningServer, service_headers: dict[str, str]) -> None:
    case.call_and_validate(
        base_url=module_server.url,
        headers=service_headers,
        checks=[not_a_server_error, refusals_are_in_the_wires_shape],
    )
