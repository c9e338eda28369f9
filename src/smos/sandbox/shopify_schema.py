"""The part of Shopify's Admin API that the sandbox answers: types, fields, arguments, and the values of enums."""

from __future__ import annotations

from smos.sandbox.shopify_graphql import Field, Types

PAGE = frozenset({"first", "last", "after", "before", "reverse"})
TEXT = Field()


def _scalars(*names: str) -> dict[str, Field]:
    return dict.fromkeys(names, TEXT)


def _payload(**objects: str) -> dict[str, Field]:
    return {**{name: Field(kind) for name, kind in objects.items()}, "userErrors": Field("UserError")}


def _connection(node: str) -> dict[str, Field]:
    return {"nodes": Field(node), "edges": Field(f"{node}Edge"), "pageInfo": Field("PageInfo")}


def _takes(kind: str | None, *needed: str, also: frozenset[str] = frozenset()) -> Field:
    return Field(kind, frozenset(needed) | also, frozenset(needed))


TYPES: Types = {
    "QueryRoot": {
        "shop": Field("Shop"),
        "currentAppInstallation": Field("AppInstallation"),
        "orders": Field("OrderConnection", PAGE | {"query", "sortKey", "savedSearchId"}),
        "publicApiVersions": Field("ApiVersion"),
        "webhookSubscription": _takes("WebhookSubscription", "id"),
        "webhookSubscriptions": Field(
            "WebhookSubscriptionConnection", PAGE | {"topics", "format", "uri", "callbackUrl", "query", "sortKey"}
        ),
        "webhookSubscriptionsCount": Field("Count", frozenset({"query", "limit"})),
    },
    "Mutation": {
        "webhookSubscriptionCreate": _takes("WebhookSubscriptionCreatePayload", "topic", "webhookSubscription"),
        "webhookSubscriptionUpdate": _takes("WebhookSubscriptionUpdatePayload", "id", "webhookSubscription"),
        "webhookSubscriptionDelete": _takes("WebhookSubscriptionDeletePayload", "id"),
        "metafieldsSet": _takes("MetafieldsSetPayload", "metafields"),
        "metafieldsDelete": _takes("MetafieldsDeletePayload", "metafields"),
    },
    "Shop": {
        **_scalars("id", "name", "email", "contactEmail", "myshopifyDomain", "currencyCode", "ianaTimezone", "url"),
        **_scalars("createdAt", "description", "taxesIncluded", "weightUnit"),
        "primaryDomain": Field("Domain"),
        "plan": Field("ShopPlan"),
        "metafield": Field("Metafield", frozenset({"namespace", "key"}), frozenset({"key"})),
        "metafields": Field("MetafieldConnection", PAGE | {"namespace", "keys"}),
    },
    "Domain": _scalars("id", "host", "url", "sslEnabled"),
    "ShopPlan": _scalars("displayName", "publicDisplayName", "partnerDevelopment", "shopifyPlus"),
    "AppInstallation": {**_scalars("id", "launchUrl"), "accessScopes": Field("AccessScope")},
    "AccessScope": _scalars("handle", "description"),
    "ApiVersion": _scalars("handle", "displayName", "supported"),
    "Count": _scalars("count", "precision"),
    "Order": {
        **_scalars("id", "legacyResourceId", "name", "test", "cancelledAt", "createdAt", "processedAt", "currencyCode"),
        "totalPriceSet": Field("MoneyBag"),
        "currentTotalPriceSet": Field("MoneyBag"),
    },
    "OrderEdge": {"cursor": TEXT, "node": Field("Order")},
    "OrderConnection": _connection("Order"),
    "MoneyBag": {"shopMoney": Field("MoneyV2"), "presentmentMoney": Field("MoneyV2")},
    "MoneyV2": _scalars("amount", "currencyCode"),
    "PageInfo": _scalars("hasNextPage", "hasPreviousPage", "startCursor", "endCursor"),
    "Metafield": _scalars(
        *("id", "namespace", "key", "type", "value", "jsonValue", "compareDigest", "ownerType"),
        *("createdAt", "updatedAt", "legacyResourceId", "sizeInBytes"),
    ),
    "MetafieldEdge": {"cursor": TEXT, "node": Field("Metafield")},
    "MetafieldConnection": _connection("Metafield"),
    "MetafieldIdentifier": _scalars("ownerId", "namespace", "key"),
    "WebhookSubscription": {
        **_scalars("id", "topic", "uri", "callbackUrl", "format", "filter", "includeFields", "metafieldNamespaces"),
        **_scalars("name", "createdAt", "updatedAt", "legacyResourceId"),
        "apiVersion": Field("ApiVersion"),
    },
    "WebhookSubscriptionEdge": {"cursor": TEXT, "node": Field("WebhookSubscription")},
    "WebhookSubscriptionConnection": _connection("WebhookSubscription"),
    "WebhookSubscriptionCreatePayload": _payload(webhookSubscription="WebhookSubscription"),
    "WebhookSubscriptionUpdatePayload": _payload(webhookSubscription="WebhookSubscription"),
    "WebhookSubscriptionDeletePayload": {"deletedWebhookSubscriptionId": TEXT, "userErrors": Field("UserError")},
    "MetafieldsSetPayload": {"metafields": Field("Metafield"), "userErrors": Field("MetafieldsSetUserError")},
    "MetafieldsDeletePayload": _payload(deletedMetafields="MetafieldIdentifier"),
    "UserError": _scalars("field", "message"),
    "MetafieldsSetUserError": _scalars("field", "message", "code", "elementIndex"),
}

# Topics by the scope that subscribing needs; "" for none. Not all that Shopify has, but each kind.
TOPICS: dict[str, str] = {
    "APP_UNINSTALLED": "",
    "APP_SCOPES_UPDATE": "",
    "SHOP_UPDATE": "",
    "CARTS_CREATE": "read_orders",
    "CARTS_UPDATE": "read_orders",
    "CHECKOUTS_CREATE": "read_orders",
    "CHECKOUTS_UPDATE": "read_orders",
    "ORDERS_CREATE": "read_orders",
    "ORDERS_UPDATED": "read_orders",
    "ORDERS_PAID": "read_orders",
    "ORDERS_CANCELLED": "read_orders",
    "ORDERS_DELETE": "read_orders",
    "ORDERS_EDITED": "read_orders",
    "ORDERS_FULFILLED": "read_orders",
    "ORDERS_PARTIALLY_FULFILLED": "read_orders",
    "ORDER_TRANSACTIONS_CREATE": "read_orders",
    "REFUNDS_CREATE": "read_orders",
    "CUSTOMERS_CREATE": "read_customers",
    "CUSTOMERS_UPDATE": "read_customers",
    "CUSTOMERS_DELETE": "read_customers",
    "PRODUCTS_CREATE": "read_products",
    "PRODUCTS_UPDATE": "read_products",
    "PRODUCTS_DELETE": "read_products",
    "INVENTORY_ITEMS_UPDATE": "read_inventory",
    "INVENTORY_LEVELS_UPDATE": "read_inventory",
    "FULFILLMENTS_CREATE": "read_fulfillments",
    "FULFILLMENTS_UPDATE": "read_fulfillments",
}

METAFIELD_TYPES = frozenset(
    {
        "single_line_text_field",
        "multi_line_text_field",
        "boolean",
        "number_integer",
        "number_decimal",
        "json",
        "url",
        "date",
        "date_time",
        "color",
        "id",
    }
)
