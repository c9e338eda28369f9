#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_pin
short_description: Write down which digests the tags of a release stand for
description:
  - Asks the image registries which digest each tag of the current release stands for, and writes them into
    C(specs/smos-version.yml). Comments and order of that file stay as they are. No image is pulled.
  - For an image with several platforms that is the digest of the list of them.
  - What a registry does not tell is an error; the digests of the others are written nevertheless.
  - E(SMOS_REGISTRY_MIRROR) names the registry that is asked in place of Docker's own.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  components:
    description: Components of the release; all when none is named.
    type: list
    elements: str
    default: []
  timeout:
    description: How long to wait for an answer, in seconds.
    type: float
    default: 20.0
requirements:
  - requests
  - ruamel.yaml
attributes:
  check_mode:
    support: full
    description: The registries are asked, and nothing is written.
  diff_mode:
    support: full
    description: The lines of the file that change.
notes:
  - Runs on the controller. Use it with C(run_once).
  - The variable C(smos_specs) says where the specs are.
"""

EXAMPLES = r"""
- name: Pin the whole release
  smartercl.smarteros.release_pin:

- name: Pin what was changed
  smartercl.smarteros.release_pin:
    components: [n8n, n8n-runners]
"""

RETURN = r"""
release:
  description: Version of the release.
  returned: success
  type: str
digests:
  description: What the registries told, by component.
  returned: success
  type: dict
changes:
  description: The digests that are new or other ones.
  returned: success
  type: list
  elements: dict
"""
