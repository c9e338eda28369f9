# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Odoo's administrator, our service user with its API key, and the operator's company, through Odoo's own shell.

None of it can be done over RPC with the administrator's well-known first password still in place, and keys are private there.
Source: Odoo 17.0 (16 to 19 differ in the names that the script looks for).
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import scripted
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import KEY_NAME, Room, Trouble

PRODUCT = "Odoo"
CONFIG = "/etc/odoo/odoo.conf"
GROUPS = ("base.group_system", "account.group_account_manager")

# `env` is there already. Everything is one transaction: it happens wholly or not at all.
SCRIPT = r"""
import base64, inspect, json

def smarteros():
    wish = json.loads(base64.b64decode("@VALUES@"))
    changes, said = [], {}
    users = env["res.users"].with_context(active_test=False, no_reset_password=True, mail_create_nosubscribe=True)

    def password_fits(user, password):
        env.cr.execute("SELECT password FROM res_users WHERE id = %s", [user.id])
        kept = env.cr.fetchone()[0]
        return bool(kept) and env["res.users"]._crypt_context().verify(password, kept)

    admin = env.ref("base.user_admin")
    if admin.login != wish["email"]:
        changes.append(["update", "administrator's login", {"login": admin.login}, {"login": wish["email"]}])
        admin.write({"login": wish["email"], "email": wish["email"]})
    if not password_fits(admin, wish["password"]):
        changes.append(["update", "administrator's password", None, None])
        admin.write({"password": wish["password"]})

    company = env.ref("base.main_company")
    if wish["company"] and company.name != wish["company"]:
        changes.append(["update", "main company", {"name": company.name}, {"name": wish["company"]}])
        company.write({"name": wish["company"]})

    field = "group_ids" if "group_ids" in users._fields else "groups_id"
    groups = [env.ref(name).id for name in wish["groups"]]
    robot = users.search([("login", "=", wish["login"])], limit=1)
    if not robot:
        changes.append(["create", "service user", None, {"login": wish["login"]}])
        robot = users.create({"name": "SmarterOS", "login": wish["login"], field: [(4, each) for each in groups]})
    missing = sorted(set(groups) - set(robot[field].ids))
    if missing or not robot.active:
        names = env["res.groups"].browse(missing).mapped("full_name")
        changes.append(["update", "service user", {"active": robot.active}, {"active": True, "groups": names}])
        robot.write({"active": True, field: [(4, each) for each in missing]})

    keys = env["res.users.apikeys"].with_user(robot).sudo()
    if not (wish["key"] and keys._check_credentials(scope="rpc", key=wish["key"]) == robot.id):
        changes.append(["create", "API key", None, {"name": wish["key_name"]}])
        keys.search([("user_id", "=", robot.id), ("name", "=", wish["key_name"])]).unlink()
        values = {"scope": None, "name": wish["key_name"], "expiration_date": False}
        takes = inspect.signature(keys._generate).parameters
        key = keys._generate(*[values[name] for name in takes if name in values])
        if not wish["check"]:
            said["key"] = key
    if wish["check"]:
        env.cr.rollback()
    else:
        env.cr.commit()
    print("\nSMARTEROS " + json.dumps({"changes": changes, **said}), flush=True)

smarteros()
"""


def secure(room: Room) -> None:
    """Run the script, and note what it did."""
    params = room.params
    values = {
        "email": params["email"],
        "password": params["password"],
        "company": params["company"],
        "login": params["login"],
        "groups": params["groups"],
        "key": params["api_key"],
        "key_name": KEY_NAME,
        "check": room.check_mode,
    }
    argv = ["odoo", "shell", "-c", params["config"], "-d", params["database"], "--no-http", "--log-level=warn"]
    said = scripted.say(room, argv, SCRIPT, values, [params["password"], params["api_key"]])
    for action, what, before, after in said["changes"]:
        room.outcome.change(action, what, before, after)
    if said.get("key"):
        room.outcome.facts["api_key"] = said["key"]


# --- which modules a database has --------------------------------------------------------------------------------------

STATES = """
SELECT coalesce(json_object_agg(name, state), '{}'::json) FROM ir_module_module WHERE name = ANY (string_to_array(:'names', ','))
"""


def modules(room: Room) -> dict[str, str]:
    """The state of each wanted module by name, asked in PostgreSQL's container; empty where Odoo was never there."""
    params = room.params
    psql = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
    argv = [*psql, "-U", params["user"], "-d", params["database"], "-v", f"names={','.join(params['modules'])}"]
    there = _asked(room, argv, "SELECT to_regclass('public.ir_module_module') IS NOT NULL;")
    if there != "t":
        return {}
    states: dict[str, str] = json.loads(_asked(room, argv, f"{STATES.strip()};") or "{}")
    return states


def _asked(room: Room, argv: t.Sequence[str], sql: str) -> str:
    secret = str(room.params["password"])
    done = room.engine.execute(room.container, argv, stdin=sql.encode(), env={"PGPASSWORD": secret}, timeout_s=60)
    if done.code != 0:
        said = done.stderr.strip().replace(secret, scripted.SECRET) if secret else done.stderr.strip()
        raise Trouble(f"database {room.params['database']} cannot be asked: {said[-300:]}")
    return done.stdout.strip()
