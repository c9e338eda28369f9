# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What all tests share: Ansible's way of importing collections.

Ansible finds the plugins of a collection only when its own finder has imported the collection. The finder has to come
before the first import of ``ansible_collections`` in the process, so it comes here, before any test module is read.
"""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([str(Path(__file__).resolve().parents[1] / "collections")])
