# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the documentation of the modules that make a fresh service safe has in common; see ``module_utils/bootstrap/shape.py``."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by Ansible's documentation tools."""

    DOCUMENTATION = r"""
options:
  service:
    description: Name of the Swarm service whose container is spoken to. It must run on this machine.
    type: str
    required: true
  socket:
    description: Socket of the Docker Engine.
    type: path
    default: /var/run/docker.sock
  timeout:
    description: Seconds to wait for it to be ready.
    type: float
    default: 300.0
notes:
  - Runs on the machine that carries the service, as root. It speaks to the service from inside the network of its container,
    so that no route has to lead to it yet.
  - A run that died between two steps is completed by the next one.
"""

    LOGIN = r"""
options:
  email:
    description: Login of the administrator.
    type: str
    required: true
  password:
    description: Password of the administrator.
    type: str
    required: true
"""

    KEY = r"""
options:
  api_key:
    description: The API key that is kept. One that works is left alone; without it, or where it does not work, a new one is made.
    type: str
    default: ""
"""

    KEEP = r"""
options:
  keep:
    description:
      - Name of the secret of C(specs/secrets.yml) under which the vault of the environment keeps what the service made. The result
        does not hold it then, and says all else.
      - Without it the result holds the secret, and the task needs C(no_log).
    type: str
    default: ""
"""

    NAME = r"""
options:
  first_name:
    description: First name of the administrator.
    type: str
    default: SmarterOS
  last_name:
    description: Last name of the administrator.
    type: str
    default: Admin
"""
