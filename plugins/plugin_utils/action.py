# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The base of our action plugins: what work on the registry has in common.

These actions run in the controller's own process, once per play for all tenants: the registry lies beside the
playbooks, and a module process for each step would cost ten times as much.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.errors import StoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.store import Registry
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    inventory_cache,
    leases,
    locks,
    requested,
    specs,
    tokens,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.schema import LibraryMissing
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

FAILED, INVALID, UNUSABLE, REFUSED = 1, 2, 3, 4  # exit codes of the command line


class Stop(Exception):
    """Ends the action as failed, in words for the operator.

    ``errors`` are rows of what, where, why, next; ``exit_code`` is what the command line ends with.
    """

    def __init__(self, exit_code: int, errors: t.Sequence[t.Mapping[str, str]], **facts: t.Any) -> None:
        super().__init__("; ".join(told(error) for error in errors))
        self.exit_code = exit_code
        self.errors = [dict(error) for error in errors]
        self.facts = facts


def _run_pid() -> int:
    """The process that the run lives and dies with: the `smos` that started it, or else ansible-playbook, a worker's parent.

    A playbook whose command was killed writes nothing any more, but may take its time to end; nobody should wait for it.
    """
    command = os.environ.get("SMOS_PID", "")
    return int(command) if command.isdigit() else os.getppid()


def _mind_the_command() -> None:
    """A run must not outlive the `smos` that started it: nobody would hear of what it does."""
    command = os.environ.get("SMOS_PID", "")
    if command.isdigit() and not lifeline.lives(int(command)):
        raise Stop(
            FAILED,
            [
                {
                    "what": "the run",
                    "where": "",
                    "why": "the command that started it is gone",
                    "next": "Run the same command again: it goes on from here",
                }
            ],
        )


def told(error: t.Mapping[str, str]) -> str:
    """One error as one sentence."""
    where = f" ({error['where']})" if error.get("where") else ""
    following = f". {error['next']}" if error.get("next") else ""
    return f"{error['what'].rstrip('.')}{where}: {error['why'].rstrip('.')}{following}"


@dataclass(frozen=True)
class Setting:
    """Where a play works: which specs, which environment, which run."""

    root: Path
    environment: str
    run: str
    check_mode: bool
    pid: int

    @cached_property
    def specs(self) -> specs.Specs:
        """The specs; raises SpecError where they are broken."""
        return specs.load(self.root)

    @property
    def registry(self) -> Registry:
        """The tenant files."""
        return Registry(self.specs.tenants_folder)

    @property
    def locks(self) -> locks.Locks:
        """The tenants' locks of this environment."""
        return locks.Locks(self.registry.folder, self.environment)

    def entries(self, names: t.Sequence[str]) -> dict[str, inventory_cache.Entry]:
        """The registry's entries by inventory host name; what is not registered is left out."""
        return inventory_cache.load_some(self.root, self.environment, names)

    def write(self, blocks: t.Sequence[tuple[str, t.Mapping[str, t.Any]]]) -> int:
        """Write status blocks by RUT; gives how many files changed. Raises Stop when one cannot be written."""
        written = self.registry.update_many([(rut, self.environment, block) for rut, block in blocks])
        if written.failed:
            raise Stop(FAILED, [error.as_dict() for error in written.failed.values()])
        return len(written.changed)

    def tenants(self, names: t.Sequence[str], task_vars: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
        """The merged tenants of these host names: as just requested, or else as registered."""
        found = requested.merged_tenants(names, self.entries(names), task_vars)
        return [found[name] for name in names]


class RegistryAction(ActionBase):
    """Checks the arguments, finds the setting, and turns Stop and SpecError into a failure with an exit code."""

    TRANSFERS_FILES = False
    _requires_connection = False
    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {}

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the action does; gives the result for Ansible."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Called by Ansible."""
        variables = task_vars or {}
        self._notices: list[str] = []
        result: dict[str, t.Any] = super().run(tmp, variables)
        _valid, args = self.validate_argument_spec(argument_spec=self.argument_spec)
        try:
            _mind_the_command()
            result.update(self.work(plain(args), self._setting(variables), variables))
        except specs.SpecError as exc:
            self._stop(result, Stop(INVALID, [mistake.as_error() for mistake in exc.mistakes]))
        except StoreError as exc:
            self._stop(result, Stop(FAILED, [exc.as_dict()]))
        except (locks.LockError, LibraryMissing) as exc:
            row = {
                "what": "this machine",
                "where": "",
                "why": str(exc),
                "next": "Repair that, then run the same command again",
            }
            self._stop(result, Stop(UNUSABLE, [row]))
        except leases.LeaseError as exc:
            self._stop(result, Stop(UNUSABLE, [exc.row]))
        except Stop as exc:
            self._stop(result, exc)
        if self._notices:
            result["notices"] = self._notices
        return result

    def take_variables(self, task_vars: t.Mapping[str, t.Any], besides: t.Container[str] = ()) -> None:
        """Fill the arguments from variables whose names begin as the argument ``variables`` says, raw.

        The request is data: written as ``{{ tenant_name }}``, a name would be evaluated as a template.
        """
        prefix = self._task.args.pop("variables", None)
        for name in self.argument_spec if prefix else ():
            value = task_vars.get(f"{prefix}{name}")
            if value is not None and name not in besides:
                self._task.args[name] = plain(value)

    def connection_of(self, service: str, setting: Setting, task_vars: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The role variables that say where a service of the catalogue is, without the role's name: url, token …"""
        entry = {"connection": (), **(setting.specs.service(service) or {}), "id": service}
        return tokens.connection_of(entry, task_vars, self._templar.template)

    def machine_leases(self, setting: Setting, task_vars: dict[str, t.Any], folder: str = "") -> leases.Leases:
        """The tenants' leases on the machine that the task runs on, or is delegated to."""

        def ask(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
            answer: dict[str, t.Any] = self._execute_module(
                module_name=leases.MODULE, module_args=arguments, task_vars=task_vars
            )
            return answer

        machine = str(self._task.delegate_to or task_vars["inventory_hostname"])
        return leases.Leases(ask, setting.environment, machine, folder)

    def warn(self, text: str) -> None:
        """Show the operator a warning: Ansible's way, and in the result for the command line."""
        self._display.warning(text)
        self._notices.append(text)

    def _setting(self, variables: dict[str, t.Any]) -> Setting:
        def value(name: str) -> str:
            return str(self._templar.template(variables[name])) if name in variables else ""

        return Setting(
            root=Path(value("smos_specs")).resolve(),
            environment=value("smos_environment"),
            run=value("smos_run"),
            check_mode=bool(self._task.check_mode),
            pid=_run_pid(),
        )

    @staticmethod
    def _stop(result: dict[str, t.Any], stop: Stop) -> None:
        result.update(failed=True, msg=str(stop), exit_code=stop.exit_code, errors=stop.errors, **stop.facts)
