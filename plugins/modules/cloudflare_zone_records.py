#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The system's own records of one Cloudflare zone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudflare_zone_records
short_description: The system's own records of one Cloudflare zone
version_added: 0.1.0
description:
  - Reads the zone once, compares all records of the system with it, and sends only what differs, in transactions of up to 200 changes.
  - Every record that it makes bears the owner mark V(smarteros:system) in its comment. What does not bear it is never deleted, and
    changed only by O(adopt). Records of tenants have marks of their own and are never touched.
  - Nothing at all is changed as long as one record of others is in the way. Each is told with what is there and what is wanted.
  - Before the first change, what the zone holds is written into a file; see O(export_dir).
  - A name has its addresses, its mail servers and its services as a whole. Texts and CAA of others beside ours are left alone, but not a
    second SPF, DKIM or DMARC record.
options:
  url:
    description: Where the API starts.
    type: str
    default: https://api.cloudflare.com/client/v4
  token:
    description:
      - API token with Zone Read and DNS Write for the zone.
      - Taken from the environment variable E(CLOUDFLARE_API_TOKEN) when not given.
    type: str
    required: true
  zone:
    description: Name of the zone, for example V(example.com).
    type: str
    required: true
  records:
    description: All records of the system, as M(smartercl.smarteros.zone_open) makes them of the specs.
    type: list
    elements: dict
    required: true
    suboptions:
      type:
        description: Type of the record.
        type: str
        choices: [A, AAAA, CAA, CNAME, MX, SRV, TXT]
        required: true
      name:
        description: Name below the zone or whole name, V(@) for the zone itself.
        type: str
        required: true
      content:
        description:
          - Address, host name or text. A text has no quotes around it, however long it is.
          - For V(CAA) flags, tag and value, as V(0 issue "ca.example.com"). For V(SRV) priority, weight, port and target.
        type: str
        required: true
      priority:
        description: Priority of an V(MX) record, which needs one.
        type: int
      proxied:
        description: Whether traffic passes through Cloudflare.
        type: bool
        default: false
      ttl:
        description: Life time in seconds, V(1) for automatic. Proxied records are always automatic.
        type: int
        default: 1
      source:
        description: Where the record is written, for messages.
        type: str
        default: ""
  adopt:
    description:
      - Take over records without a mark that are where ours shall be. An equal one gets the mark, another one is changed.
      - What somebody noted in the comment stays beside the mark where there is room for both.
      - One of another type, or one more than is wished, is refused all the same.
    type: bool
    default: false
  prune:
    description: Also delete records with the mark V(smarteros:system) that are not in O(records).
    type: bool
    default: false
  export_dir:
    description:
      - Folder for what the zone held before the first change, as one JSON file per run. The newest 30 stay.
      - Nothing is written in check mode, or when nothing is to be changed. Without a folder, nothing is written at all.
    type: path
  run:
    description: Name of the run, which the file bears beside the zone's. The time where it is empty.
    type: str
    default: ""
extends_documentation_fragment:
  - smartercl.smarteros.single
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.cloudflare_zone
  - module: smartercl.smarteros.cloudflare_dns_records
"""

EXAMPLES = r"""
- name: Make the records of the system so, and let go of what is no longer wished
  smartercl.smarteros.cloudflare_zone_records:
    zone: example.com
    prune: true
    export_dir: /var/lib/smarteros/zones
    records:
      - {type: A, name: "@", content: 203.0.113.10, proxied: true}
      - {type: CNAME, name: docs, content: docs.example.net}
      - {type: MX, name: "@", content: mx.example.net, priority: 10}
      - {type: TXT, name: _dmarc, content: "v=DMARC1; p=none"}
      - {type: CAA, name: "@", content: '0 issue "ca.example.net"'}
"""

RETURN = r"""
changes:
  description: Each difference that was closed (in check mode would be), with service, tenant (null), action, what, before and after.
  returned: always, unless nothing could be attempted
  type: list
  elements: dict
export:
  description: The file with what the zone held before; empty where none was written.
  returned: always, unless nothing could be attempted
  type: str
  sample: /var/lib/smarteros/zones/example.com-20261123-190000-ab12.json
adopted:
  description: Number of records that had no mark before.
  returned: always, unless nothing could be attempted
  type: int
kept:
  description: Number of records of the system that were as wished.
  returned: always, unless nothing could be attempted
  type: int
others:
  description: Number of records in the zone that are not the system's.
  returned: always, unless nothing could be attempted
  type: int
refused:
  description: Records that are in the way, with what is there, what is wanted, and why it was left.
  returned: when there are some
  type: list
  elements: dict
requests:
  description: Number of HTTP requests that were sent.
  returned: always, unless nothing could be attempted
  type: int
errors:
  description: What failed or was refused, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: >-
    What the command line ends with: V(1) something was attempted and failed, V(2) records that cannot be or not beside each other, V(3) the
    zone or the token cannot be used, V(4) records of others are in the way. With V(2) to V(4) nothing was touched.
  returned: failure
  type: int
"""

import typing as t
from datetime import datetime
from pathlib import Path

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, single
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import CANNOT_USE, Caller, policy_of, usable
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import cloudflare as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import cloudflare_zone_records as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import zone_records
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.cloudflare_zone import NAME
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome, finish, module_for

INVALID = 2  # these two are exit codes of the command line
REFUSED = 4

RECORD: dict[str, dict[str, t.Any]] = {
    "type": {"type": "str", "choices": ["A", "AAAA", "CAA", "CNAME", "MX", "SRV", "TXT"], "required": True},
    "name": {"type": "str", "required": True},
    "content": {"type": "str", "required": True},
    "priority": {"type": "int"},
    "proxied": {"type": "bool", "default": False},
    "ttl": {"type": "int", "default": 1},
    "source": {"type": "str", "default": ""},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": api.URL},
    "token": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["CLOUDFLARE_API_TOKEN"]),
    },
    "zone": {"type": "str", "required": True},
    "records": {"type": "list", "elements": "dict", "required": True, "options": RECORD},
    "adopt": {"type": "bool", "default": False},
    "prune": {"type": "bool", "default": False},
    "export_dir": {"type": "path"},
    "run": {"type": "str", "default": ""},
}


def work(module: Caller) -> None:
    """Judge, read, plan, refuse or apply unless in check mode, report."""
    params = module.params
    wishes = _wishes(module)
    with usable(module, "Cloudflare"):
        client = api.connect(params, policy_of(module))
        rows = client.rows()

    def look(records: t.Sequence[api.Record]) -> zone_records.Plan:
        return zone_records.plan(wishes, records, client.zone, adopt=params["adopt"], prune=params["prune"])

    todo = service.ordered(look([api.record_of(row) for row in rows]))
    _mind_refusals(module, todo)
    _mind_rights(module, client, todo)
    outcome = Outcome(service.changes(todo.steps), service=NAME, facts=_facts(todo))
    if todo.steps and not module.check_mode:
        outcome.facts["export"] = _export(module, client, rows)
        try:
            service.apply(client, todo, look)
        except service.Unfinished as exc:
            _tell_rest(outcome, todo, exc)
            single.failed(module, f"DNS records of {client.zone}", exc.cause, outcome, client.http.sent)
    finish(module, outcome, client.http.sent)


def _wishes(module: Caller) -> list[api.Record]:
    """The wished records. Ends the module before anything is asked for where one cannot be, or not beside another."""
    items, found, wrong = module.params["records"], [], []
    apex = api.normal_name(module.params["zone"], "")
    for item in items:
        try:
            found.append(zone_records.wish_of(item, apex))
        except ApiError as exc:
            wrong.append(
                errors.row(f"DNS {item['type']} {item['name']}", exc.message, item["source"], "Correct it in the specs")
            )
    if not wrong:
        for position, why in zone_records.clashes(found).items():
            what = f"DNS {found[position].key}"
            wrong.append(errors.row(what, why, items[position]["source"], "Keep one of them in the specs"))
    if wrong:
        module.fail_json(msg=_words(wrong), errors=wrong, exit_code=INVALID)
    return found


def _mind_refusals(module: Caller, todo: zone_records.Plan) -> None:
    """As long as something is in the way, nothing is touched."""
    if not todo.refusals:
        return
    rows = [service.refused(refusal) for refusal in todo.refusals]
    told = [
        {
            "record": refusal.there.key,
            "there": {"type": refusal.there.type, **zone_records.shown(refusal.there)},
            "wanted": {"type": refusal.wanted.type, **zone_records.shown(refusal.wanted)},
            "why": refusal.why,
        }
        for refusal in todo.refusals
    ]
    module.fail_json(msg=_words(rows), errors=rows, refused=told, exit_code=REFUSED)


def _mind_rights(module: Caller, client: api.Cloudflare, todo: zone_records.Plan) -> None:
    if todo.steps and client.only_reads():
        why = f"the token may read the DNS records of {client.zone}, but not write them (it needs {api.DNS_WRITE})"
        row = errors.row("Cloudflare", why, "", errors.NEXT_STEP[errors.REFUSED])
        module.fail_json(msg=why, errors=[row], exit_code=CANNOT_USE)


def _facts(todo: zone_records.Plan) -> dict[str, t.Any]:
    adopted = sum(step.adopted for step in todo.steps)
    return {"export": "", "adopted": adopted, "kept": todo.kept, "others": todo.foreign}


def _export(module: Caller, client: api.Cloudflare, rows: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """Keep what is there; a zone that cannot be kept is not changed."""
    folder = module.params["export_dir"]
    if not folder:
        return ""
    run = module.params["run"] or f"{datetime.now():%Y%m%d-%H%M%S}"
    try:
        return str(service.export(Path(folder), client.zone, run, rows))
    except OSError as exc:
        why = f"what the zone holds could not be kept: {exc.strerror or exc}"
        row = errors.row(
            "export of the zone", why, str(folder), "Make the folder writable, then run the same command again"
        )
        module.fail_json(msg=why, errors=[row], exit_code=CANNOT_USE)


def _tell_rest(outcome: Outcome, todo: zone_records.Plan, exc: service.Unfinished) -> None:
    """Only what was done is told as changed."""
    outcome.changes = service.done_of(todo.steps, exc.left)
    outcome.done = len(outcome.changes)


def _words(rows: t.Sequence[t.Mapping[str, str]]) -> str:
    return "; ".join(f"{row['what']}: {row['why']}" for row in rows)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
