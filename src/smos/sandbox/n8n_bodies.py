"""What n8n's public API accepts as a body: unknown and read-only keys are refused, in the words of its validator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMBER = (int, float)

NODE_KEYS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "name": (str,),
    "webhookId": (str,),
    "disabled": (bool,),
    "notesInFlow": (bool,),
    "notes": (str,),
    "type": (str,),
    "typeVersion": NUMBER,
    "executeOnce": (bool,),
    "alwaysOutputData": (bool,),
    "retryOnFail": (bool,),
    "maxTries": NUMBER,
    "waitBetweenTries": NUMBER,
    "continueOnFail": (bool,),
    "onError": (str,),
    "position": (list,),
    "parameters": (dict,),
    "credentials": (dict,),
}
SETTING_KEYS: dict[str, tuple[type, ...]] = {
    "saveExecutionProgress": (bool,),
    "saveManualExecutions": (bool,),
    "saveDataErrorExecution": (str,),
    "saveDataSuccessExecution": (str,),
    "executionTimeout": NUMBER,
    "errorWorkflow": (str,),
    "timezone": (str,),
    "executionOrder": (str,),
}
# Settings that the 2.x line knows besides.
SETTING_KEYS_2: dict[str, tuple[type, ...]] = {
    **SETTING_KEYS,
    "binaryMode": (str,),
    "callerPolicy": (str,),
    "callerIds": (str,),
    "timeSavedMode": (str,),
    "timeSavedPerExecution": NUMBER,
    "redactionPolicy": (str,),
    "availableInMCP": (bool,),
    "customTelemetryTags": (list,),
    "credentialResolverId": (str,),
}
SAVE_CHOICES = {
    "saveDataErrorExecution": ("all", "none"),
    "saveDataSuccessExecution": ("all", "none"),
}
WORKFLOW_KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "nodes": (list,),
    "connections": (dict,),
    "settings": (dict,),
    "staticData": (dict, str, type(None)),
}
WORKFLOW_READ_ONLY = frozenset({"id", "active", "createdAt", "updatedAt", "tags"})
# Read-only keys, and further keys that may be sent, which only the 2.x line knows.
WORKFLOW_READ_ONLY_2 = WORKFLOW_READ_ONLY | {"isArchived", "versionId", "triggerCount", "meta", "activeVersion"}
WORKFLOW_KEYS_2: dict[str, tuple[type, ...]] = {
    **WORKFLOW_KEYS,
    "nodeGroups": (list,),
    "pinData": (dict, type(None)),
    "projectId": (str,),
    "parentFolderId": (str,),
    "shared": (list,),
}
TYPE_NAMES: dict[tuple[type, ...], str] = {
    (str,): "string",
    (bool,): "boolean",
    NUMBER: "number",
    (list,): "array",
    (dict,): "object",
}


class BadBody(Exception):
    """A body that n8n's validator refuses; the message is the one of the answer."""


def workflow(body: Any, version: str) -> dict[str, Any]:
    """A workflow as POST and PUT take it; raises :class:`BadBody` at the first fault."""
    data = mapping(body, "request/body")
    required(data, ("name", "nodes", "connections", "settings"), "request/body")
    newer = version == "2"
    read_only(data, WORKFLOW_READ_ONLY_2 if newer else WORKFLOW_READ_ONLY, "request/body")
    keys(data, WORKFLOW_KEYS_2 if newer else WORKFLOW_KEYS, "request/body")
    for place, node in enumerate(data["nodes"]):
        where = f"request/body/nodes/{place}"
        read_only(mapping(node, where), frozenset({"createdAt", "updatedAt"}), where)
        keys(node, NODE_KEYS, where)
        if not all(isinstance(number, NUMBER) for number in node.get("position", ())):
            raise BadBody(f"{where}/position/0 must be number")
    keys(data["settings"], SETTING_KEYS_2 if newer else SETTING_KEYS, "request/body/settings")
    for key, choices in SAVE_CHOICES.items():
        if data["settings"].get(key, "all") not in choices:
            where = f"request/body/settings/{key}"
            raise BadBody(f"{where} must be equal to one of the allowed values: {', '.join(choices)}")
    return data


def mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadBody(f"{where} must be object")
    return value


def required(data: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    missing = [f"{where} must have required property '{name}'" for name in names if name not in data]
    if missing:
        raise BadBody(", ".join(missing))


def read_only(data: Mapping[str, Any], names: frozenset[str], where: str) -> None:
    found = [f"{where}/{name} is read-only" for name in data if name in names]
    if found:
        raise BadBody(", ".join(found))


def keys(data: Mapping[str, Any], known: Mapping[str, tuple[type, ...]], where: str) -> None:
    """Refuse unknown keys, and values of another type than the known one."""
    if any(name not in known for name in data):
        raise BadBody(f"{where} must NOT have additional properties")
    for name, value in data.items():
        types = known[name]
        wrong_flag = isinstance(value, bool) and bool not in types
        if wrong_flag or not isinstance(value, types):
            raise BadBody(f"{where}/{name} must be {TYPE_NAMES.get(types, 'object')}")
