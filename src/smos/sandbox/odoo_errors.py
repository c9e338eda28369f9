# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The errors of Odoo's JSON-RPC: an HTTP 200 whose ``error.data.name`` is the class of the exception."""

from __future__ import annotations

from typing import Any

_FOREIGN_KEY = (
    "The operation cannot be completed: another model requires the record being deleted."
    " If possible, archive it instead.\n\nModel: {label} ({model})\nConstraint: {constraint}\n"
)
_MANDATORY = (
    "The operation cannot be completed:\n- Create/update: a mandatory field is not set.\n"
    "- Delete: another model requires the record being deleted. If possible, archive it instead.\n\n"
    "Model: {label} ({model})\nField: {field_label} ({field})\n"
)
_FORBIDDEN = (
    "You are not allowed to {verb} '{label}' ({model}) records.\n\n"
    "This operation is allowed for the following groups:\n\t- {group}\n\n"
    "Contact your administrator to request access if necessary."
)
VERBS = {"create": "create", "write": "modify", "unlink": "delete", "read": "access"}


class OdooError(Exception):
    """A failed call. ``name`` is the exception's class as Odoo tells it, ``str(error)`` its message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name

    def body(self, request_id: Any) -> dict[str, Any]:
        """The JSON-RPC answer that carries this error."""
        message = str(self)
        data = {
            "name": self.name,
            "debug": f"Traceback (most recent call last):\n{self.name}: {message}\n",
            "message": message,
            "arguments": [message],
            "context": {},
        }
        error = {"code": 200, "message": "Odoo Server Error", "data": data}
        return {"jsonrpc": "2.0", "id": request_id, "error": error}


def access_denied() -> OdooError:
    """Wrong user, password or API key, or a service that is switched off."""
    return OdooError("odoo.exceptions.AccessDenied", "Access Denied")


def access_error(message: str) -> OdooError:
    """The user is known but may not do this."""
    return OdooError("odoo.exceptions.AccessError", message)


def forbidden(operation: str, model: str, label: str, group: str) -> OdooError:
    """The user lacks the group for an operation (``create``, ``write``, ``unlink``, ``read``) on a model."""
    return access_error(_FORBIDDEN.format(verb=VERBS[operation], label=label, model=model, group=group))


def user_error(message: str) -> OdooError:
    """A refusal in the words of a business rule."""
    return OdooError("odoo.exceptions.UserError", message)


def validation_error(message: str) -> OdooError:
    """A value or constraint that does not hold."""
    return OdooError("odoo.exceptions.ValidationError", message)


def missing_error(model: str, ids: tuple[int, ...], uid: int) -> OdooError:
    """A write to records that are not there."""
    return OdooError(
        "odoo.exceptions.MissingError",
        f"Record does not exist or has been deleted.\n(Record: {model}{ids!r}, User: {uid})",
    )


def mandatory(model: str, label: str, field: str, field_label: str) -> OdooError:
    """A required field without a value."""
    return validation_error(_MANDATORY.format(model=model, label=label, field=field, field_label=field_label))


def still_used(model: str, label: str, constraint: str) -> OdooError:
    """A record of ``model`` still points to what shall be deleted (or points to nothing)."""
    return validation_error(_FOREIGN_KEY.format(model=model, label=label, constraint=constraint))


def python_error(kind: str, message: str) -> OdooError:
    """A plain Python exception of the server, for example ``ValueError``."""
    return OdooError(f"builtins.{kind}", message)


def unknown_database(name: str) -> OdooError:
    """PostgreSQL's refusal when the database is not there."""
    message = f'connection to server at "127.0.0.1", port 5432 failed: FATAL:  database "{name}" does not exist\n'
    return OdooError("psycopg2.OperationalError", message)
