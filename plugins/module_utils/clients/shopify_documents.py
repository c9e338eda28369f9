# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Every GraphQL document that is sent to Shopify, and the API version that they are written for.

The contract tests hold each one against Shopify's own schema of that version.
"""

from __future__ import annotations

import typing as t

VERSION = "2026-10"  # supported for about a year; the only place that names it
PAGE = 100  # subscriptions per page: a query costs in proportion to it, and a store has a handful

_SHOP = """\
shop {
    id
    name
    myshopifyDomain
    currencyCode
    primaryDomain { host }
    plan { publicDisplayName partnerDevelopment shopifyPlus }
    metafields(first: 50, namespace: "smarteros") { nodes { key type value compareDigest } }
  }"""

STORE = f"""\
query SmosStore {{
  {_SHOP}
}}"""

STORE_AND_WEBHOOKS = f"""\
query SmosStoreAndWebhooks($first: Int!, $after: String) {{
  {_SHOP}
  webhookSubscriptions(first: $first, after: $after, sortKey: ID) {{
    nodes {{ id topic uri format filter includeFields }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""

WHO = """\
query SmosWho {
  shop { name myshopifyDomain }
  currentAppInstallation { id accessScopes { handle } }
  publicApiVersions { handle supported }
}"""

ORDERS = """\
query SmosOrders($first: Int!, $after: String, $query: String!) {
  orders(first: $first, after: $after, query: $query, sortKey: PROCESSED_AT) {
    nodes { id test cancelledAt processedAt currentTotalPriceSet { shopMoney { amount currencyCode } } }
    pageInfo { hasNextPage endCursor }
  }
}"""

CREATE_WEBHOOK = """\
mutation SmosCreateWebhook($topic: WebhookSubscriptionTopic!, $webhook: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $webhook) {
    webhookSubscription { id topic uri format filter includeFields }
    userErrors { field message }
  }
}"""

UPDATE_WEBHOOK = """\
mutation SmosUpdateWebhook($id: ID!, $webhook: WebhookSubscriptionInput!) {
  webhookSubscriptionUpdate(id: $id, webhookSubscription: $webhook) {
    webhookSubscription { id topic uri format filter includeFields }
    userErrors { field message }
  }
}"""

DELETE_WEBHOOK = """\
mutation SmosDeleteWebhook($id: ID!) {
  webhookSubscriptionDelete(id: $id) {
    deletedWebhookSubscriptionId
    userErrors { field message }
  }
}"""

SET_METAFIELDS = """\
mutation SmosSetMetafields($metafields: [MetafieldsSetInput!]!) {
  metafieldsSet(metafields: $metafields) {
    metafields { key type value compareDigest }
    userErrors { field message code elementIndex }
  }
}"""

DELETE_METAFIELDS = """\
mutation SmosDeleteMetafields($metafields: [MetafieldIdentifierInput!]!) {
  metafieldsDelete(metafields: $metafields) {
    deletedMetafields { ownerId namespace key }
    userErrors { field message }
  }
}"""

ALL: t.Mapping[str, str] = {
    "SmosStore": STORE,
    "SmosStoreAndWebhooks": STORE_AND_WEBHOOKS,
    "SmosWho": WHO,
    "SmosOrders": ORDERS,
    "SmosCreateWebhook": CREATE_WEBHOOK,
    "SmosUpdateWebhook": UPDATE_WEBHOOK,
    "SmosDeleteWebhook": DELETE_WEBHOOK,
    "SmosSetMetafields": SET_METAFIELDS,
    "SmosDeleteMetafields": DELETE_METAFIELDS,
}
