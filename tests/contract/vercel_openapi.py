"""Vercel's published API description, and what a request or an answer has against it."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACTS = SHARED / "contracts" / "vercel"
DESCRIPTION, NEWEST = CONTRACTS / "openapi-2025-10-27.cut.json", CONTRACTS / "sdk-1.28.35.operations.json"
HOST = "https://api.vercel.com"
# Used by Vercel's own clients, and described nowhere
UNDESCRIBED = ("/link",)

needed = pytest.mark.skipif(
    not (DESCRIPTION.is_file() and NEWEST.is_file()),
    reason=f"no contracts of Vercel in {CONTRACTS}: set SMOS_SHARED to the reference material",
)


@cache
def description() -> OpenAPI:
    """The description. It is taken as it is: as a document it breaks some rules of OpenAPI, its schemas are sound."""
    unchecked = Config(spec_validator_cls=None)  # type: ignore[arg-type]  # None turns the check of the document off
    return OpenAPI.from_dict(_as_meant(json.loads(DESCRIPTION.read_text())), unchecked)


@cache
def newest() -> set[tuple[str, str]]:
    """Method and path of every operation that the newest client has; some moved to another version since the file above."""
    return {(each["method"], each["path"]) for each in json.loads(NEWEST.read_text())["operations"]}


def faults(
    method: str,
    path: str,
    params: dict[str, Any],
    body: Any,
    status: int | None = None,
    answer: Any = None,
    token: str = "x",
) -> list[str]:
    """What the description has against a request, and where ``status`` is given against its answer."""
    data = b"" if body is None else json.dumps(body).encode()
    texts = {key: str(value) for key, value in params.items()}
    request = MockRequest(
        HOST, method.lower(), path, args=texts, data=data, headers={"Authorization": f"Bearer {token}"}
    )
    found: list[str] = []
    try:
        description().validate_request(request)
    except OpenAPIError as error:
        found.append(f"{method} {path}: {error} {_cause(error)}")
    if status is not None:
        raw = b"" if answer is None else json.dumps(answer).encode()
        try:
            description().validate_response(request, MockResponse(raw, status))
        except OpenAPIError as error:
            found.append(f"{method} {path} -> {status}: {error} {_cause(error)}")
    return found


def _cause(error: BaseException) -> str:
    cause = error.__cause__
    errors = getattr(cause, "schema_errors", None)
    return "; ".join(f"{list(each.path)}: {each.message[:300]}" for each in errors) if errors else str(cause or "")


def _as_meant(value: Any) -> Any:
    """The description as its authors mean it: `oneOf` stands where alternatives overlap, and `nullable` beside an
    `enum` without null, which says that null never comes."""
    if isinstance(value, list):
        return [_as_meant(each) for each in value]
    if not isinstance(value, dict):
        return value
    meant = {("anyOf" if key == "oneOf" else key): _as_meant(each) for key, each in value.items()}
    if meant.get("nullable") is True and isinstance(meant.get("enum"), list):
        meant["enum"] = [*meant["enum"], None]
    return meant
