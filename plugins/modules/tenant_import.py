#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_import
short_description: Judge the archive of an export as the request for its tenant
description:
  - Checks the archive's checksums and holds its spec against the rules and the registry. Writes nothing.
  - A tenant that is registered keeps its own spec.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  archive:
    description: The archive.
    type: path
    required: true
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Judge an archive
  smartercl.smarteros.tenant_import:
    archive: /srv/exports/acme-20261122-152643-ab12.tar.gz
  register: request
"""

RETURN = r"""
tenants:
  description: Inventory name (C(host)), C(document) and merged C(tenant).
  returned: success
  type: list
  elements: dict
"""
