"""A service's own part of a stack file becomes the whole."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import stacks

SETTING = stacks.Setting("example.com", "dokploy-network")
MEMORY = {"resources": {"reservations": {"memory": "64M"}, "limits": {"memory": "1G"}}}


def document(**more: Any) -> dict[str, Any]:
    return {"services": {"web": {"image": "web:1@sha256:aa", "deploy": copy.deepcopy(MEMORY), **more}}}


def complete(given: dict[str, Any]) -> stacks.Stack:
    return stacks.complete("web", copy.deepcopy(given), SETTING)


def labels(stack: stacks.Stack) -> dict[str, str]:
    found: dict[str, str] = stack.compose["services"]["web"]["deploy"]["labels"]
    return found


def test_what_all_services_share_is_added() -> None:
    stack = complete(document())
    web = stack.compose["services"]["web"]
    assert stack.compose["networks"] == {"default": {"name": "dokploy-network", "external": True}}
    assert web["deploy"]["endpoint_mode"] == "dnsrr"
    assert web["deploy"]["update_config"]["failure_action"] == "rollback"
    assert web["deploy"]["update_config"]["order"] == "stop-first"
    assert labels(stack)["cl.smarteros.owner"] == "smarteros"
    assert labels(stack)["cl.smarteros.config"] == stack.config
    assert labels(stack)["traefik.enable"] == "false"
    assert stack.memory == {"web": (64, 1024)}


def test_two_instances_side_by_side_only_where_the_service_says_so() -> None:
    given = document()
    given["services"]["web"]["deploy"]["update_config"] = {"order": "start-first", "failure_action": "continue"}
    deploy = complete(given).compose["services"]["web"]["deploy"]
    assert deploy["update_config"]["order"] == deploy["rollback_config"]["order"] == "start-first"
    assert deploy["update_config"]["failure_action"] == "rollback"


def test_routes_become_labels() -> None:
    routes = [
        {"host": "odoo", "port": 8069},
        {
            "host": "odoo",
            "port": 8072,
            "path_prefixes": ["/websocket", "/bus"],
            "priority": 100,
            "middlewares": ["a@file"],
        },
    ]
    stack = complete(document(**{"x-routes": routes}))
    found = labels(stack)
    assert found["traefik.http.routers.web.rule"] == "Host(`odoo.example.com`)"
    assert (
        found["traefik.http.routers.web-1.rule"]
        == "Host(`odoo.example.com`) && (PathPrefix(`/websocket`) || PathPrefix(`/bus`))"
    )
    assert found["traefik.http.routers.web-1.priority"] == "100"
    assert found["traefik.http.routers.web-1.middlewares"] == "a@file"
    assert found["traefik.http.services.web-1.loadbalancer.server.port"] == "8072"
    assert stack.hosts == ("odoo.example.com",)


def test_secrets_and_configs_are_objects_with_their_hash_in_the_name() -> None:
    given = document(
        **{
            "x-secret-files": {
                "password": "planted",
                "conf": {"value": "planted-2", "target": "/etc/x.conf", "mode": "0400", "uid": 5},
            },
            "x-config-files": {"/etc/y.conf": {"content": "y"}},
        }
    )
    stack = complete(given)
    text = json.dumps(stack.compose)
    assert "planted" not in text
    assert "planted" not in repr(stack)
    assert sorted(stack.secrets.values()) == ["planted", "planted-2"]
    assert list(stack.configs.values()) == ["y"]
    mounted = {each["target"]: each for each in stack.compose["services"]["web"]["secrets"]}
    assert mounted["/etc/x.conf"]["mode"] == 0o400
    assert mounted["/etc/x.conf"]["uid"] == "5"
    assert mounted["password"]["source"] in stack.secrets
    assert set(stack.compose["secrets"]) == set(stack.secrets)
    assert all(len(name) <= 64 for name in [*stack.secrets, *stack.configs])


def test_a_changed_secret_is_a_changed_service() -> None:
    one, other = (complete(document(**{"x-secret-files": {"password": value}})) for value in ("a", "b"))
    assert one.config != other.config
    assert set(one.secrets) != set(other.secrets)
    assert one.config == complete(document(**{"x-secret-files": {"password": "a"}})).config


def test_what_tasks_bring_about_beside_the_stack_is_in_the_hash_and_not_in_the_file() -> None:
    one, other = (complete({**document(), "x-also": {"databases": names}}) for names in (["a"], ["a", "b"]))
    assert one.config != other.config
    assert "databases" not in json.dumps(one.compose)


def test_an_environment_of_secrets_comes_from_a_file_that_a_shell_reads() -> None:
    given = document(**{"x-secret-env": {"KEY": "it's $HOME"}, "entrypoint": ["/start"], "command": ["-x"]})
    stack = complete(given)
    web = stack.compose["services"]["web"]
    assert web["entrypoint"] == ["/bin/sh", "-c", 'set -a; . /run/secrets/web.env; set +a; exec "$$@"', "sh", "/start"]
    assert web["command"] == ["-x"]
    assert list(stack.secrets.values()) == ["KEY='it'\\''s $HOME'\n"]
    assert "x-secret-env" not in web


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, "no services"),
        ({"services": {}}, "no services"),
        ({"services": {"web": {}}}, "services.web has no image"),
        ({"services": {"web": {"image": "a", "deploy": {}}}}, "services.web.deploy.resources.reservations.memory"),
        (document(**{"x-secret-env": {"A": "b"}}), "entrypoint and command as lists"),
        (
            document(deploy={"resources": {"reservations": {"memory": "2G"}, "limits": {"memory": "512M"}}}),
            "reserves more memory",
        ),
    ],
)
def test_a_bad_template_is_refused_with_the_key(given: Any, names: str) -> None:
    with pytest.raises(stacks.StackError, match=names):
        stacks.complete("web", given, SETTING)


def test_networks_of_its_own_are_beside_the_common_one_unless_it_wants_no_other() -> None:
    both = complete(document(networks=["inner"])).compose
    assert set(both["services"]["web"]["networks"]) == {"default", "inner"}
    assert both["networks"]["inner"] == {"name": "inner", "external": True}
    alone = complete(document(networks={"inner": {}}, **{"x-networks-only": True})).compose
    assert set(alone["services"]["web"]["networks"]) == {"inner"}


def test_volumes_keep_their_name_and_bear_our_mark() -> None:
    volumes = complete({**document(), "volumes": {"web-data": None}}).compose["volumes"]
    assert volumes["web-data"]["name"] == "web-data"
    assert volumes["web-data"]["labels"]["cl.smarteros.owner"] == "smarteros"
