# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the panel answers: the documents of commands in plain Spanish. Pure.

Names, log lines and messages of providers are data: what could look like markup, like an address or like another line is
taken out of them. Nothing that a person wrote to the panel is quoted, except words that its grammar took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.daily_text import money, plain, shown_date
from smos import exitcodes
from smos.backup_view import lasting, size
from smos.mcp import clean
from smos.panel import grammar
from smos.panel.codes import LIFETIME_S
from smos.panel.grammar import Command

LIMIT = 3500  # characters; WhatsApp takes 4,096
MOST_ROWS = 40
LOG_WIDTH = 160
WHY = 300  # characters of a reason
PHASES: Mapping[str, str] = {
    "active": "activa",
    "suspended": "suspendida",
    "pending": "pendiente",
    "deleted": "eliminada",
    "failed": "con falla",
}
STATES: Mapping[str, str] = {
    "ready": "listo",
    "disabled": "apagado",
    "pending": "pendiente",
    "failed": "falló",
    "suspended": "suspendido",
    "absent": "no está",
    "degraded": "a medias",
    "down": "caído",
    "unknown": "sin datos",
}
COUNTED: Mapping[str, str] = {"users": "usuarios", "bots": "bots", "workflows": "flujos", "storage_gb": "GB"}
UNKNOWN_TENANT = "no tenant of environment"  # how `smos` begins to say so
REASONS: Mapping[int, str] = {
    exitcodes.FAILED: "Se intentó y falló",
    exitcodes.INVALID: "No se puede así, y no se tocó nada",
    exitcodes.UNUSABLE: "El ambiente no se puede usar ahora, y no se tocó nada",
    exitcodes.REFUSED: "Se rechazó: hay otra ejecución en curso o una regla lo impide",
    exitcodes.INTERRUPTED: "Se detuvo a medio camino",
}
HELP = """\
Esto entiendo:
estado [servicio] - la máquina y sus servicios
tenants - las tiendas
tenant acme - una tienda
ventas hoy | ventas ayer
respaldo - el último respaldo
logs n8n [líneas] - lo último que escribió un servicio
suspender acme, reanudar acme - pide confirmación
respaldar [servicio] - pide confirmación
SI <código> confirma, NO cancela
ayuda - este mensaje"""
ONLY_TEXT = "Solo leo mensajes de texto. Escribe ayuda para ver qué entiendo."
CANCELLED = "Cancelado: no se hizo nada."
NOTHING_WAITS = "No había nada por confirmar."
BUSY = "Todavía trabajo en lo anterior; espera la respuesta y escribe de nuevo."
LOOKS_ONLY = "Este panel solo mira (se inició con --check): no se hizo nada."
STOPPED = "El panel se detuvo antes de terminar. Escribe estado cuando vuelva, y mira el historial (smos history)."
BROKEN = "No pude terminar la orden; mira el historial en el servidor (smos history)."

Json = Mapping[str, Any]


def fitted(text: str) -> str:
    """The text, cut at a line where it is longer than a message may be."""
    if len(text) <= LIMIT:
        return text
    cut = text[: LIMIT - 2]
    return f"{cut[: cut.rfind(chr(10))] if chr(10) in cut else cut}\n…"


def told(command: Command, document: Json, env: str) -> str:
    """What a command that only looks has found, or why it could not."""
    if not document["ok"]:
        return failed(command, document)
    return _TELLERS[command.name](command, document["result"], env)


def failed(command: Command, document: Json) -> str:
    """Why a command did not do it."""
    code = int(document.get("exit_code", exitcodes.FAILED))
    if any(str(each.get("why", "")).startswith(UNKNOWN_TENANT) for each in document["errors"]):
        return f"No conozco la tienda {command.first}, y no se tocó nada. Escribe tenants para ver cuáles hay."
    rows = [f"{plain(each.get('what', ''), 80)}: {plain(each.get('why', ''), WHY)}" for each in document["errors"][:3]]
    run = document.get("run")
    ending = [f"Ejecución {run}: smos history {run}"] if run else []
    return "\n".join([f"{REASONS.get(code, REASONS[exitcodes.FAILED])} ({command}).", *rows, *ending])


def proposal(command: Command, shown: Json | None, document: Json, env: str) -> str:
    """What a command would do; how to confirm it is for the caller to add."""
    counts: dict[str, int] = {}
    for change in document["result"].get("changes", []):
        counts[str(change["service"])] = counts.get(str(change["service"]), 0) + 1
    what = _object(command, shown)
    rows = ", ".join(f"{plain(name)} {count}" for name, count in sorted(counts.items()))
    total = sum(counts.values())
    return f"{_VERBS[command.name][0]} {what} en {env}.\nCambios: {total}" + (f" ({rows})." if rows else ".")


def question(code: str) -> str:
    """How a proposal is confirmed."""
    return f"Para hacerlo responde SI {code} en {LIFETIME_S // 60} minutos. Para dejarlo: NO."


def nothing_to_do(command: Command, shown: Json | None, env: str) -> str:
    """That all is already as a command would make it."""
    return f"No hay nada que cambiar: {_object(command, shown)} ya está así en {env}."


def begun(command: Command) -> str:
    """That a confirmed command is under way."""
    return f"En marcha: {command}. Te aviso cuando termine."


def done(command: Command, document: Json) -> str:
    """What a confirmed command came to."""
    if not document["ok"]:
        return failed(command, document)
    result, run = document["result"], document.get("run")
    said = [_VERBS[command.name][1]]
    if isinstance(result.get("tenant"), Mapping):
        said = [f"Listo: {_named(result['tenant'])} está {_phase(result['tenant'])}."]
        said += _not_ready(result["tenant"])
    elif result.get("backup"):
        said = [f"Listo: respaldo {result['backup']}, {size(result['bytes'])}, {_verified(result)}."]
    return "\n".join([*said, *([f"Ejecución {run}"] if run else [])])


def _status(_command: Command, result: Json, env: str) -> str:
    services = result["services"]
    bad = {name: each for name, each in services.items() if each["state"] != "up"}
    head = f"Estado de {env}: " + ("todo bien" if not bad else f"{len(bad)} de {len(services)} servicios con problemas")
    rows = [
        f"- {plain(name)}: {STATES.get(each['state'], plain(each['state']))} {plain(each['message'], 80)}".rstrip()
        for name, each in bad.items()
    ]
    return "\n".join([f"{head}.", *rows, *_machine(result), *_phases(result.get("tenants") or {})])


def _machine(result: Json) -> list[str]:
    host, backups = result.get("host") or {}, result.get("backups") or {}
    said = []
    if host:
        used = round(100 * (1 - host["available_mb"] / max(1, host["memory_mb"])))
        said.append(f"Memoria {used} %, disco libre {host['disk_free_gb']:.0f} de {host['disk_gb']:.0f} GB.")
    if backups.get("last"):
        late = backups.get("rpo_h") is not None and backups["age_h"] > backups["rpo_h"]
        said.append(
            f"Último respaldo hace {lasting(backups['age_h'])}{' (atrasado)' if late else ''}: {backups['last']}."
        )
    elif backups:
        said.append("Todavía no hay respaldos.")
    return said


def _phases(counts: Json) -> list[str]:
    rows = [f"{count} {PHASES.get(name, plain(name))}" for name, count in sorted(counts.items())]
    return [f"Tiendas: {', '.join(rows)}."] if rows else []


def _tenants(_command: Command, result: Json, env: str) -> str:
    rows = sorted(result["tenants"], key=lambda row: (row["phase"] == "active", row["phase"], row["slug"]))
    shown = [f"- {_named(row)}: {_phase(row)}, plan {plain(row['plan'])}" for row in rows[:MOST_ROWS]]
    more = [f"y {len(rows) - MOST_ROWS} más"] if len(rows) > MOST_ROWS else []
    head = {0: f"No hay tiendas en {env}.", 1: f"1 tienda en {env}."}.get(len(rows), f"{len(rows)} tiendas en {env}.")
    return "\n".join([head, *shown, *more])


def _tenant(_command: Command, result: Json, env: str) -> str:
    tenant = result["tenant"]
    services = [each["state"] for each in tenant["services"].values() if each["state"] != "disabled"]
    ready = sum(state == "ready" for state in services)
    usage = [
        f"{COUNTED.get(name, plain(name))} {tenant['usage'][name]} de {most}"
        for name, most in sorted(tenant["limits"].items())
        if name in tenant["usage"]  # those come in the order in which services answered
    ]
    said = [
        f"{_named(tenant)}, RUT {plain(tenant['rut'])}",
        f"{_phase(tenant)} en {env}, plan {plain(tenant['plan'])}, dominio {plain(tenant['domain'], 80)}",
        f"Servicios listos: {ready} de {len(services)}.",
        *_not_ready(tenant),
        *([f"Uso: {', '.join(usage)}."] if usage else []),
    ]
    return "\n".join(said)


def _not_ready(tenant: Json) -> list[str]:
    return [
        f"- {plain(name)}: {STATES.get(each['state'], plain(each['state']))} {plain(each['message'], 80)}".rstrip()
        for name, each in tenant["services"].items()
        if each["state"] in ("failed", "pending", "absent")
    ]


def _sales(command: Command, result: Json, env: str) -> str:
    digest = result["digest"]
    day = "ayer" if command.first == grammar.YESTERDAY else "hoy"
    growing = "" if digest["over"] else ", hasta ahora"
    said = [f"Ventas de {day} ({shown_date(digest['date'])}{growing}) en {env}."]
    for name, title, things in (("shopify", "Shopify", "pedidos"), ("odoo", "Odoo", "ventas")):
        figures = digest["totals"][name]
        amounts = " + ".join(money(currency, amount) for currency, amount in figures["totals"].items())
        unknown = f" (sin datos de {figures['unknown']} tiendas)" if figures["unknown"] else ""
        if figures["tenants"]:
            said.append(f"{title}: {figures['orders']} {things}, {amounts or money('CLP', '0')}{unknown}")
    top = [f"- {plain(each['name'])}: {money(each['currency'], each['amount'])}" for each in digest["top"]]
    return "\n".join([*said, *(["Quienes más vendieron:", *top] if top else [])])


def _backups(_command: Command, result: Json, env: str) -> str:
    rows = result["backups"]
    if not rows:
        return f"Todavía no hay respaldos en {env}. Escribe respaldar para hacer uno."
    last = rows[0]
    services = last["services"]
    names = services if isinstance(services, str) else ", ".join(map(str, services))
    return (
        f"Último respaldo de {env}: {plain(last['id'])}, {size(last['bytes'])}, {_verified(last)}.\n"
        f"Contiene: {plain(names, WHY)}.\nEn total hay {len(rows)}."
    )


def _logs(command: Command, result: Json, env: str) -> str:
    lines = [line for each in result["logs"].values() for line in each][-grammar.MOST_LINES :]
    # A block of one width keeps the rest of what looks like markup from being any
    shown = [_line(line) for line in lines]
    room = LIMIT - 200
    while shown and sum(len(line) + 1 for line in shown) > room:
        del shown[0]
    if not shown:
        return f"{command.first} no escribió nada en {env}."
    return f"Lo último de {command.first} en {env}:\n```\n" + "\n".join(shown) + "\n```"


def _line(text: str) -> str:
    """A line of a log without what ends the block, and without what nobody sees."""
    found = "".join(sign if sign.isprintable() and sign != "`" else " " for sign in clean.text(text))
    return found if len(found) <= LOG_WIDTH else f"{found[: LOG_WIDTH - 1]}…"


def _verified(row: Json) -> str:
    return "verificado" if row.get("verified") else "sin verificar"


def _named(tenant: Json) -> str:
    return f"«{plain(tenant['name'])}» ({plain(tenant['slug'])})"


def _phase(tenant: Json) -> str:
    return PHASES.get(tenant["phase"], plain(tenant["phase"]))


def _object(command: Command, shown: Json | None) -> str:
    if command.name == grammar.BACKUP:
        return "todo" if command.first in ("", "all") else command.first
    return _named(shown["result"]["tenant"]) if shown is not None else command.first


_VERBS: Mapping[str, tuple[str, str]] = {
    grammar.SUSPEND: ("Se va a suspender", "Listo: suspendida."),
    grammar.RESUME: ("Se va a reanudar", "Listo: reanudada."),
    grammar.BACKUP: ("Se va a respaldar", "Listo: respaldado."),
}
_TELLERS: Mapping[str, Callable[[Command, Json, str], str]] = {
    grammar.STATUS: _status,
    grammar.TENANTS: _tenants,
    grammar.TENANT: _tenant,
    grammar.SALES: _sales,
    grammar.BACKUPS: _backups,
    grammar.LOGS: _logs,
}


def phases_of(rows: Sequence[Json]) -> str:
    """How many tenants are in which phase: what is known even where the machine is not."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["phase"]] = counts.get(row["phase"], 0) + 1
    return "\n".join(_phases(counts))
