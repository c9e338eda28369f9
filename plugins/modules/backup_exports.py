#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_exports
short_description: Read what accounts elsewhere hold, for a backup
version_added: 0.1.0
description:
  - Reads on the controller, where the tokens are, what lies in accounts that have no backup of their own, and gives it as files
    for M(smartercl.smarteros.backup_take). Changes nothing.
  - All accounts are read at the same time. One that is not configured is left out; one that fails is told in the fact and spares
    the others.
  - Cloudflare gives the zone with every record, and the settings that the token may read. Vercel gives the project named by
    C(vercel_project) with its domains and variables; only plain variables have their value, since encrypted ones are never asked
    for in clear and sensitive ones cannot be.
  - Shopify gives the subscriptions and metafields of the tenants' stores. n8n gives every workflow in one list, as
    C(n8n import:workflow) takes it, without credentials.
  - Supabase gives a dump through C(supabase_database_url) with the C(pg_dump) of the controller, without what Supabase manages itself;
    without that address, the rows of our own tables through the data API.
  - The registry gives the files of the tenants and the Git commit that the specs are at.
author:
  - SmarterCL (@SmarterCL)
options:
  accounts:
    description: Which accounts to read; all where it is empty.
    type: list
    elements: str
    choices: [cloudflare, n8n, shopify, supabase, vercel, registry]
    default: []
  timeout:
    description: How long to wait for one answer, in seconds.
    type: float
    default: 20.0
  limit:
    description: How long one account may take in all, in seconds. It is given up on afterwards.
    type: float
    default: 120.0
requirements:
  - requests
  - pg_dump, as new as Supabase's PostgreSQL, for its dump
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Read the accounts elsewhere
  smartercl.smarteros.backup_exports:
  register: smos_exports
  run_once: true

- name: Show what is not whole
  ansible.builtin.debug:
    var: ansible_facts['smos_accounts'].errors

- name: Keep them in a backup
  smartercl.smarteros.backup_take:
    files: "{{ smos_exports.files }}"
    files_errors: "{{ ansible_facts['smos_accounts'].errors }}"
    files_notes: "{{ ansible_facts['smos_accounts'].notes }}"
"""

RETURN = r"""
files:
  description: >-
    The files by name, each as base64. They may hold what only the repository may hold: the result is never shown, and a task
    finds them in the variable that it registered.
  returned: success
  type: dict
ansible_facts:
  description: >-
    The fact C(smos_accounts): C(taken) (accounts that gave files), C(files) (their names), C(errors) (rows of what, where, why, next:
    the backup of the accounts is not whole) and C(notes) (what is worth knowing).
  returned: success
  type: dict
"""
