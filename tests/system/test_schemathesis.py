"""Schemathesis drives every route of a live server from its description, with values that fit it and that do not."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from running_server import RunningServer
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

KEY_ID = re.compile(r"[0-9a-f]{24}")
ROOT = Path(__file__).parents[2]
schema = schemathesis.openapi.from_path(ROOT / "tests" / "contract" / "openapi.json")
native_schema = schemathesis.openapi.from_path(ROOT / "docs" / "api" / "openapi.json")
for described in (schema, native_schema):
    described.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
every_route = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


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
@every_route
def test_every_route(case, module_server: RunningServer, service_headers: dict[str, str]) -> None:
    case.call_and_validate(
        base_url=module_server.url,
        headers=service_headers,
        checks=[not_a_server_error, refusals_are_in_the_wires_shape],
    )


@pytest.fixture
def key_id(module_server: RunningServer) -> Iterator[str]:
    """The id of a key that is there for one address."""

    def ask(method: str, path: str, **body: object) -> httpx2.Response:
        return module_server.request(method, f"/api/keys{path}", key=module_server.service_key, **body)

    for key in ask("GET", "?type=ingestion").json()["keys"][1:]:
        ask("DELETE", f"/{key['id']}")  # what the address before has created
    made: str = ask("POST", "", json={"type": "ingestion"}).json()["id"]
    yield made
    ask("DELETE", f"/{made}")


@native_schema.parametrize()
@every_route
def test_every_native_route_answers_as_it_is_described(case, module_server: RunningServer, key_id: str) -> None:
    if KEY_ID.fullmatch(case.path_parameters.get("key_id", "")):
        case.path_parameters["key_id"] = key_id
    case.call_and_validate(
        base_url=module_server.url,
        headers={"servicekey": module_server.service_key},
        checks=[
            not_a_server_error,
            refusals_are_in_the_wires_shape,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
