"""The providers' own APIs, spoken to by hand: what a person does in a provider's web interface."""

from __future__ import annotations

from typing import Any

import requests

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_documents import VERSION
from support.instance import ZONE, Instance

OPERATOR = f"operator@{ZONE}"
TOKEN = "sandbox-{}-token"


class ByHand:
    """Changes at the providers of one instance's sandbox. Raises requests.HTTPError when a provider refuses."""

    def __init__(self, smos: Instance) -> None:
        self._url = (smos.sandbox / "url").read_text().strip()
        self._session = requests.Session()
        self._session.trust_env = False

    def _ask(self, method: str, path: str, headers: dict[str, str], **more: Any) -> Any:
        answer = self._session.request(method, f"{self._url}{path}", headers=headers, timeout=60, **more)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def cloudflare(self, method: str, path: str, body: Any = None) -> Any:
        """The `result` of a call below the zone."""
        headers = {"Authorization": f"Bearer {TOKEN.format('cloudflare')}"}
        base = "/cloudflare/client/v4/zones"
        (zone,) = self._ask("GET", f"{base}?name={ZONE}", headers)["result"]
        return self._ask(method, f"{base}/{zone['id']}/{path}", headers, json=body)["result"]

    def record(self, name: str) -> dict[str, Any]:
        """The one DNS record of that name."""
        (found,) = self.cloudflare("GET", f"dns_records?name={name}")
        row: dict[str, Any] = found
        return row

    def n8n(self, method: str, path: str, body: Any = None) -> Any:
        """A call of n8n's public API."""
        return self._ask(method, f"/n8n/api/v1/{path}", {"X-N8N-API-KEY": TOKEN.format("n8n")}, json=body)

    def workflow(self, name: str) -> dict[str, Any]:
        """The one workflow whose name has this in it."""
        (found,) = [each for each in self.n8n("GET", "workflows?limit=250")["data"] if name in each["name"]]
        row: dict[str, Any] = found
        return row

    def chatwoot(self, method: str, path: str, body: Any = None) -> Any:
        """A call of Chatwoot's platform API."""
        return self._ask(
            method, f"/chatwoot/platform/api/v1/{path}", {"api_access_token": TOKEN.format("chatwoot")}, json=body
        )

    def odoo(self, model: str, method: str, *args: Any, **options: Any) -> Any:
        """A call of Odoo's `execute_kw`."""
        params = {
            "service": "object",
            "method": "execute_kw",
            "args": ["smarteros", 2, TOKEN.format("odoo"), model, method, list(args), options],
        }
        answer = self._ask(
            "POST", "/odoo/jsonrpc", {}, json={"jsonrpc": "2.0", "id": 1, "method": "call", "params": params}
        )
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def supabase(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the project's data API with the secret key; `path` is a table with its filter."""
        return self._ask(method, f"/supabase/rest/v1/{path}", {"apikey": TOKEN.format("supabase")}, json=body)

    def metabase(self, method: str, path: str, body: Any = None) -> Any:
        """A call of Metabase's API."""
        return self._ask(method, f"/metabase/api/{path}", {"X-API-Key": TOKEN.format("metabase")}, json=body)

    def botpress(self, method: str, path: str, body: Any = None) -> Any:
        """A call of Botpress by its operator, below the API."""
        base, login = "/botpress/api", {"email": OPERATOR, "password": TOKEN.format("botpress")}
        known = self._ask("POST", f"{base}/v2/admin/auth/login/basic/default", {}, json=login)["payload"]
        headers = {"Authorization": f"Bearer {known['jwt']}", "X-BP-Workspace": "default"}
        return self._ask(method, f"{base}/{path}", headers, json=body)

    def vercel(self, method: str, path: str, body: Any = None) -> Any:
        """A call of Vercel's API for the house's team; `path` with its version."""
        headers = {"Authorization": f"Bearer {TOKEN.format('vercel')}"}
        return self._ask(method, f"/vercel/{path}?slug=smarteros-sandbox", headers, json=body)

    def shopify(self, store: str, document: str, **variables: Any) -> Any:
        """The `data` of a GraphQL document in a store."""
        base, app = (
            f"/shopify/{store}/admin",
            {"client_id": "sandbox-shopify-client", "client_secret": TOKEN.format("shopify")},
        )
        granted = self._ask("POST", f"{base}/oauth/access_token", {}, json={**app, "grant_type": "client_credentials"})
        headers = {"X-Shopify-Access-Token": granted["access_token"]}
        asked = {"query": document, "variables": variables}
        answer = self._ask("POST", f"{base}/api/{VERSION}/graphql.json", headers, json=asked)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]
