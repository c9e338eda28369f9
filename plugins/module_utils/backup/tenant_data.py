# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How the rows of one tenant are found in each service's database, as data; and which services cannot give one tenant's back.

In a condition, ``{name}`` stands for the tenant's values of that name, and ``[table]`` for the tenant's rows of a table. Rows
that go when a tenant's row goes (ON DELETE CASCADE) are the tenant's as well and need not be told here.
"""

# ruff: noqa: S608 - the names in these conditions are in this file

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Refs = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Rows:
    """The tenant's rows of a table. A rule that names a table which is not there is passed over: it is of another version.

    ``add``: rows that others may refer to as well. Those that are missing are added, none is taken away or changed.
    """

    table: str
    where: str
    add: bool = False


@dataclass(frozen=True)
class Needs:
    """A reference that the database does not know of: the row must be there, or the tenant's row is worth nothing."""

    table: str
    column: str
    parent: str
    key: str = "id"


@dataclass(frozen=True)
class Counter:
    """A sequence of the tenant's own, that no column owns."""

    name: str
    table: str
    column: str


@dataclass(frozen=True)
class Files:
    """Files that the tenant's rows refer to, and that are never changed: those that are missing are added."""

    volume: str
    query: str  # gives the path of each, within the volume


@dataclass(frozen=True)
class Description:
    """One service. ``columns``: every table with this column has rows of the tenant, where it is one of these."""

    database: str
    columns: t.Mapping[str, str]
    rows: t.Sequence[Rows] = ()
    root: str = ""  # the table without whose rows a backup knows nothing of the tenant; any, where it is empty
    needs: t.Sequence[Needs] = ()
    counters: t.Sequence[Counter] = ()
    files: Files | None = None
    restarts: bool = False  # whether it keeps in memory what its rows say
    left: str = ""  # what stays as it is, for the operator


_ATTACHED = {
    "Account": "accounts",
    "AgentBot": "agent_bots",
    "Article": "articles",
    "Attachment": "attachments",
    "AutomationRule": "automation_rules",
    "Category": "categories",
    "Contact": "contacts",
    "DataImport": "data_imports",
    "Inbox": "inboxes",
    "Macro": "macros",
    "Message": "messages",
    "Portal": "portals",
}
_PATH = "substr(key, 1, 2) || '/' || substr(key, 3, 2) || '/' || key"

CHATWOOT = Description(
    database="chatwoot",
    columns={"account_id": "{account}"},
    root="accounts",
    rows=(
        Rows("accounts", "id IN ({account})"),
        *(
            Rows("active_storage_attachments", f"record_type = '{kind}' AND record_id IN (SELECT id FROM [{table}])")
            for kind, table in _ATTACHED.items()
        ),
        Rows("active_storage_blobs", "id IN (SELECT blob_id FROM [active_storage_attachments])", add=True),
        *(
            Rows("taggings", f"taggable_type = '{kind}' AND taggable_id IN (SELECT id FROM [{table}])")
            for kind, table in (("Contact", "contacts"), ("Conversation", "conversations"))
        ),
        Rows("tags", "id IN (SELECT tag_id FROM [taggings])", add=True),
        Rows("access_tokens", "owner_type = 'AgentBot' AND owner_id IN (SELECT id FROM [agent_bots])"),
        Rows("article_embeddings", "article_id IN (SELECT id FROM [articles])"),
        Rows("campaign_messages", "campaign_id IN (SELECT id FROM [campaigns])"),
        Rows("captain_inboxes", "inbox_id IN (SELECT id FROM [inboxes])"),
        Rows("contact_inboxes", "inbox_id IN (SELECT id FROM [inboxes])"),
        Rows("inbox_assignment_policies", "inbox_id IN (SELECT id FROM [inboxes])"),
        Rows("inbox_capacity_limits", "inbox_id IN (SELECT id FROM [inboxes])"),
        Rows("inbox_members", "inbox_id IN (SELECT id FROM [inboxes])"),
        Rows("platform_app_permissibles", "permissible_type = 'Account' AND permissible_id IN ({account})"),
        Rows("portals_members", "portal_id IN (SELECT id FROM [portals])"),
        Rows("related_categories", "category_id IN (SELECT id FROM [categories])"),
        Rows("team_members", "team_id IN (SELECT id FROM [teams])"),
    ),
    needs=(
        Needs("account_users", "user_id", "users"),
        Needs("inbox_members", "user_id", "users"),
        Needs("team_members", "user_id", "users"),
        Needs("platform_app_permissibles", "platform_app_id", "platform_apps"),
    ),
    counters=(
        Counter("conv_dpid_seq_{account}", "conversations", "display_id"),
        Counter("camp_dpid_seq_{account}", "campaigns", "display_id"),
    ),
    files=Files("chatwoot-storage", f"SELECT {_PATH} FROM [active_storage_blobs] WHERE service_name = 'local'"),
    left="people (users) with their passwords and tokens, who may work for several accounts, stay as they are; "
    "resized copies of pictures are made anew; files that came since the backup stay on the disk",
)

N8N = Description(
    database="n8n",
    columns={"workflowId": "SELECT id FROM [workflow_entity]"},
    root="workflow_entity",
    rows=(
        # In the live database and in the backup alike: what bears the tenant's tag there, and what the registry names
        Rows(
            "workflow_entity",
            'id IN ({workflows}) OR id IN (SELECT l."workflowId" FROM workflows_tags l '
            'JOIN tag_entity t ON t.id = l."tagId" WHERE t.name IN ({tag}))',
        ),
        Rows("tag_entity", 'id IN (SELECT "tagId" FROM [workflows_tags])', add=True),
    ),
    restarts=True,
    left="credentials stay as they are; executions and versions of the tenant's workflows go back with them, files of executions "
    "do not",
)

BOTPRESS = Description(
    database="botpress",
    columns={"botId": "{bot}"},
    rows=(
        Rows("dialog_sessions", "split_part(id, '::', 1) IN ({bot})"),
        *(
            Rows(table, "split_part(file_path, '/', 2) = 'bots' AND split_part(file_path, '/', 3) IN ({bot})")
            for table in ("srv_ghost_files", "srv_ghost_index")
        ),
        Rows("comments", '"handoffId" IN (SELECT id FROM [handoffs])'),
    ),
    root="srv_ghost_files",
    restarts=True,
    left="the list of bots and what channels keep of conversations (msg_…) stay as they are: a bot that was deleted since is made "
    "again by `smos tenant apply`",
)

SMARTEROS = Description(
    database="smarteros",
    columns={"tenant_id": "{tenant}", "tenant_rut": "{tenant}"},
    rows=(Rows("tenants", "id IN ({tenant})"),),
)

TOGETHER: t.Mapping[str, Description] = {
    "postgresql": SMARTEROS,
    "n8n": N8N,
    "chatwoot": CHATWOOT,
    "botpress": BOTPRESS,
}
"""The services that give one tenant's rows back, by id."""

APART: t.Mapping[str, str] = {
    "odoo": "companies share tables, and journals and numbers are drawn from sequences of all of them",
    "metabase": "collections, questions and permissions of all tenants refer to each other",
}
"""The services that cannot, and why."""

INSTEAD = (
    "restore all of it (`smos restore {backup} --service {service}`), or look the backup over beside what runs "
    "(`smos restore {backup} --drill`) and enter by hand what is missing"
)


def values(service: str, rut: str, refs: Refs) -> dict[str, list[str]] | None:
    """The tenant's values in a service's conditions; None where the registry knows nothing of the tenant there."""
    if service == "postgresql":
        return {"tenant": [rut]}
    if service == "chatwoot":
        return {"account": [str(refs["account_id"])]} if refs.get("account_id") else None
    if service == "n8n":
        return {"workflows": sorted({str(each) for each in refs.values() if each}), "tag": [f"rut:{rut}"]}
    if service == "botpress":
        return {"bot": [str(refs["bot_id"])]} if refs.get("bot_id") else None
    return None
