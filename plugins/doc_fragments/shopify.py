# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the documentation of the Shopify modules has in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of ``module_utils/shopify_options.py``."""

    DOCUMENTATION = r"""
options:
  url:
    description: Where a store's Admin API is, with V({shop}) for the store's host name.
    type: str
    default: https://{shop}
  client_id:
    description:
      - Client id of the app, for stores of the app's own organization.
      - Taken from the environment variable E(SHOPIFY_CLIENT_ID) when not given.
    type: str
    default: ""
  client_secret:
    description:
      - Client secret of the app. With it a token for each store is asked for, which is good for a day and kept in memory
        only.
      - Taken from the environment variable E(SHOPIFY_CLIENT_SECRET) when not given.
    type: str
    default: ""
  tokens:
    description:
      - Fixed tokens of stores, by the store's host name, by the tenant's slug, or by the slug as an environment variable
        has it (V(ACME_CL) for V(acme-cl)). They go before the app's.
    type: dict
    default: {}
"""
