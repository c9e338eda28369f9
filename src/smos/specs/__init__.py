# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Typed models of the specs: the definition from which ``specs/schemas/*.json`` is generated.

The models serve at development time only. At run time everything judges by the committed schemas, so neither Ansible
nor the command needs pydantic.
"""
