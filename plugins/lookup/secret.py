# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One secret of the environment, from its vault."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
author:
  - SmarterCL (@SmarterCL)
version_added: 0.1.0
short_description: One secret of the environment, from its vault
description:
  - Gives the value of a secret by its name. The names are in C(specs/secrets.yml), the values in the file O(vault_file), which has
    Ansible Vault's format. It is decrypted once in a process, and again when it has changed.
  - The password is the one that Ansible was started with (C(--vault-password-file), C(--vault-id) or their variables), or the one
    in the file that the variable C(smos_vault_password_file) names. The sandbox makes its own.
options:
  _terms:
    description: Names of secrets.
    type: list
    elements: str
    required: true
  default:
    description: The value for a name that is not in the vault. Without it, that is an error.
    type: str
  vault_file:
    description: The file of the vault.
    type: str
    vars:
      - name: smos_vault_file
notes:
  - The result is secret. Hand it to an option that is not logged, or set C(no_log).
  - A vault that is there and cannot be opened is an error, with O(default) too.
seealso:
  - module: smartercl.smarteros.secrets
  - module: smartercl.smarteros.secret_keep
"""

EXAMPLES = r"""
- name: Have a connection with its password
  ansible.builtin.uri:
    url: https://n8n.example.com/api/v1/workflows
    headers:
      X-N8N-API-KEY: "{{ lookup('smartercl.smarteros.secret', 'n8n_api_key', default='') }}"
  no_log: true
"""

RETURN = r"""
_raw:
  description: The values, in the order of the names.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import vault

_read: dict[tuple[t.Any, ...], dict[str, str]] = {}


class LookupModule(LookupBase):
    """Opens the vault in this process."""

    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[str]:
        """See the documentation."""
        self.set_options(var_options=variables or {}, direct=kwargs)
        default = self.get_option("default") if "default" in kwargs else None
        path = self._templated(self.get_option("vault_file")) if self.get_option("vault_file") else ""
        if not path and default is not None:
            return [str(default)] * len(terms)
        try:
            opened = vault.opened(variables or {}, self._loader, self._templated, str(path))
            values = _values(opened)
        except vault.VaultError as error:
            raise AnsibleLookupError(str(error)) from None
        missing = [str(term) for term in terms if str(term) not in values]
        if missing and default is None:
            raise AnsibleLookupError(
                f"{', '.join(missing)}: not in the vault {opened.path}. Run `smos secrets init`, or where a service makes it "
                "itself, deploy that service"
            )
        return [values.get(str(term), str(default)) for term in terms]

    def _templated(self, value: t.Any) -> t.Any:
        """Options come from variables as these were written."""
        return self._templar.template(value) if self._templar is not None else value


def _values(opened: vault.Vault) -> dict[str, str]:
    """The vault's values, kept until the file is another one."""
    try:
        found = opened.path.stat()
    except OSError:
        return opened.read().values
    passwords = tuple(secret.bytes for _id, secret in opened.passwords)
    key = (str(opened.path), found.st_mtime_ns, found.st_size, found.st_ino, passwords)
    if key not in _read:
        values = opened.read().values
        _read.clear()
        _read[key] = values
    return _read[key]
