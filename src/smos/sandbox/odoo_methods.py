# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The public methods of Odoo's models as ``execute_kw`` calls them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from smos.sandbox import odoo_orm as orm
from smos.sandbox import odoo_rules as rules
from smos.sandbox.odoo_errors import OdooError, access_error, python_error, user_error
from smos.sandbox.odoo_models import CHART, MODELS, Field, Model
from smos.sandbox.odoo_orm import Env
from smos.sandbox.odoo_seed import SYSTEM

_CHARTS = ("ar_base", "cl", "generic_coa", "pe")
_INSTALL = ("button_install", "button_immediate_install")


def call(env: Env, model_name: str, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run one public method; raises OdooError. ``None`` is an answer too (JSON-RPC then has no ``result``)."""
    if method.startswith("_"):
        raise access_error(f"Private methods (such as {method}) cannot be called remotely.")
    model = MODELS.get(model_name)
    if model is None:
        raise user_error(f"Object {model_name} doesn't exist")
    function = _METHODS_OF.get(model_name, {}).get(method) or (_METHODS.get(method) if model.fields else None)
    if function is None:
        raise python_error("AttributeError", f"The method '{method}' does not exist on the model '{model_name}'")
    try:
        bound = inspect.signature(function).bind(env, model, *args, **kwargs)
    except TypeError as error:
        raise python_error("TypeError", f"{model_name}.{method}(): {error}") from None
    return function(*bound.args, **bound.kwargs)


def _ids(value: Any) -> list[int]:
    ids = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
        raise python_error("ValueError", f"Invalid ids: {value!r}")
    return list(ids)


def _number(value: Any, name: str) -> int:
    if value in (None, False):
        return 0
    if not isinstance(value, int) or value < 0:
        raise python_error("ValueError", f"{name} must be a positive number, not {value!r}")
    return value


def search(
    env: Env, model: Model, domain: Any, offset: Any = 0, limit: Any = None, order: Any = None, count: Any = False
) -> Any:
    """Ids of the records that fit, in order."""
    if count:
        return search_count(env, model, domain)
    where = orm.condition(env, model, domain, rules.record_rule(env, model))
    return orm.search(env, model, where, _number(offset, "offset"), _number(limit, "limit"), order)


def search_count(env: Env, model: Model, domain: Any, limit: Any = None) -> int:
    """How many records fit, at most ``limit``."""
    found = orm.count(env, model, orm.condition(env, model, domain, rules.record_rule(env, model)))
    return min(found, _number(limit, "limit") or found)


def search_read(
    env: Env,
    model: Model,
    domain: Any = None,
    fields: Any = None,
    offset: Any = 0,
    limit: Any = None,
    order: Any = None,
    load: Any = "_classic_read",
) -> list[dict[str, Any]]:
    """The records that fit, in order."""
    ids = search(env, model, domain or [], offset, limit, order)
    return orm.read(env, model, ids, fields, pairs=load == "_classic_read")


def read(env: Env, model: Model, ids: Any, fields: Any = None, load: Any = "_classic_read") -> list[dict[str, Any]]:
    """Records by id; ids that are not there are left out, those hidden by a rule are refused."""
    wanted = _ids(ids)
    _visible(env, model, wanted, "read")
    return orm.read(env, model, wanted, fields, pairs=load == "_classic_read")


def name_search(
    env: Env, model: Model, name: Any = "", args: Any = None, operator: Any = "ilike", limit: Any = 100
) -> list[list[Any]]:
    """[id, name] of the records whose name fits."""
    domain = [*(args or []), *([["display_name", operator, name]] if name else [])]
    found = orm.titles(env, model, ids := search(env, model, domain, 0, limit))
    return [[i, found[i]] for i in ids]


def read_group(
    env: Env,
    model: Model,
    domain: Any,
    fields: Any,
    groupby: Any,
    offset: Any = 0,
    limit: Any = None,
    orderby: Any = False,
    lazy: Any = True,
) -> list[dict[str, Any]]:
    """Counts and sums by many2one fields, all of them at once (``lazy=False``) as far as the sandbox goes."""
    del orderby
    names = [groupby] if isinstance(groupby, str) else list(groupby)
    if lazy and len(names) > 1:
        names = names[:1]
    where = orm.condition(env, model, domain, rules.record_rule(env, model))
    return orm.grouped(env, model, where, list(fields), names, _number(offset, "offset"), _number(limit, "limit"))


def create(env: Env, model: Model, vals_list: Any) -> int | list[int]:
    """A dictionary gives an id, a list of them a list of ids; all or nothing."""
    rules.check_access(env, model, "create")
    records = vals_list if isinstance(vals_list, list) else [vals_list]
    if not all(isinstance(values, dict) for values in records):
        raise python_error("TypeError", f"{model.name}.create() takes values as a dictionary or a list of them")
    ids = [rules.create(env, model, values) for values in records]
    return ids if isinstance(vals_list, list) else ids[0]


def write(env: Env, model: Model, ids: Any, vals: Any) -> bool:
    """Change records."""
    rules.check_access(env, model, "write")
    if not isinstance(vals, dict):
        raise python_error("TypeError", f"{model.name}.write() takes values as a dictionary")
    wanted = _ids(ids)
    _visible(env, model, wanted, "write")
    if wanted and vals:
        rules.write(env, model, wanted, vals)
    return True


def unlink(env: Env, model: Model, ids: Any) -> bool:
    """Delete records; ids that are not there are no error."""
    rules.check_access(env, model, "unlink")
    wanted = _ids(ids)
    _visible(env, model, wanted, "unlink")
    rules.unlink(env, model, wanted)
    return True


def _visible(env: Env, model: Model, ids: Sequence[int], operation: str) -> None:
    rule = rules.record_rule(env, model)
    if rule is rules.TRUE:
        return
    if orm.existing(env, model, ids) - orm.existing(env, model, ids, rule):
        verb = {"read": "access", "write": "modify", "unlink": "delete"}[operation]
        raise access_error(
            f"Due to security restrictions, you are not allowed to {verb} '{model.label}' ({model.name}) records.\n\n"
            "Contact your administrator to request access if necessary."
        )


def fields_get(_env: Env, model: Model, allfields: Any = None, attributes: Any = None) -> dict[str, dict[str, Any]]:
    """What the fields are."""
    chosen = {name: spec for name, spec in model.fields.items() if not allfields or name in allfields}
    return {name: _described(name, spec, attributes) for name, spec in chosen.items()}


def _described(name: str, spec: Field, attributes: Any) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": name,
        "type": "char" if spec.kind == "password" else spec.kind,
        "string": spec.label,
        "required": spec.required,
        "readonly": spec.readonly,
        "store": True,
        "searchable": spec.kind != "password",
    }
    if spec.relation:
        about["relation"] = spec.relation
    if spec.choices:
        about["selection"] = [[choice, choice.capitalize()] for choice in spec.choices]
    return {key: value for key, value in about.items() if not attributes or key in attributes}


def check_access_rights(env: Env, model: Model, operation: str, raise_exception: Any = True) -> bool:
    """Whether the user may ``read``, ``create``, ``write`` or ``unlink`` records of the model at all."""
    try:
        rules.check_access(env, model, operation)
    except OdooError:
        if raise_exception:
            raise
        return False
    return True


def has_group(env: Env, _model: Model, group_ext_id: str) -> bool:
    """Whether the calling user is in a group, by its external id."""
    row = env.db.execute(
        "SELECT res_id FROM odoo_ir_model_data WHERE complete_name = ? AND model = 'res.groups'", (group_ext_id,)
    ).fetchone()
    return bool(row) and row[0] in env.groups


def check_object_reference(
    env: Env, _model: Model, module: str, xml_id: str, raise_on_access_error: Any = False
) -> list[Any]:
    """[model, id] behind an external id."""
    del raise_on_access_error
    row = env.db.execute(
        "SELECT model, res_id FROM odoo_ir_model_data WHERE name = ? AND module = ?", (xml_id, module)
    ).fetchone()
    if row is None:
        raise python_error("ValueError", f"External ID not found in the system: {module}.{xml_id}")
    return [row[0], row[1]]


def try_loading(
    env: Env, _model: Model, ids: Any, template_code: Any, company: Any = None, install_demo: Any = True
) -> None:
    """Install a chart of accounts; the first argument is eaten as ids, as it is over Odoo's RPC. Answers nothing."""
    del ids, install_demo
    if SYSTEM not in env.groups:
        raise access_error("Only administrators can install chart templates")
    if template_code not in _CHARTS:
        raise python_error("KeyError", f"{template_code!r}")
    rules.load_chart(env, template_code, company if isinstance(company, int) and company else env.company())


def install_modules(env: Env, model: Model, ids: Any) -> Any:
    """Install modules at once; Odoo answers with an action for its web client."""
    rules.check_access(env, model, "write")
    orm.update(env, model, _ids(ids), {"state": "installed", "latest_version": "17.0.1.0"})
    return {"type": "ir.actions.client", "tag": "reload"}


def action_confirm(env: Env, model: Model, ids: Any) -> bool:
    """Confirm quotations."""
    rules.check_access(env, model, "write")
    rules.confirm_orders(env, _ids(ids))
    return True


_METHODS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        search,
        search_count,
        search_read,
        read,
        read_group,
        name_search,
        create,
        write,
        unlink,
        fields_get,
        check_access_rights,
    )
}
_METHODS_OF: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "res.users": {"has_group": has_group},
    "ir.model.data": {"check_object_reference": check_object_reference},
    "ir.module.module": dict.fromkeys(_INSTALL, install_modules),
    CHART.name: {"try_loading": try_loading},
    "sale.order": {"action_confirm": action_confirm},
}
WRITING = frozenset({"create", "write", "unlink", "try_loading", "action_confirm", *_INSTALL})
