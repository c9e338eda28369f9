# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The zone: the system's own records, the mail that it sends, who may issue certificates, and the settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Count, Domain, Email, Identifier, Port, Strict, text
from smos.specs.cost import Priced, Usd

_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"

RecordName = Annotated[
    str,
    text(
        rf"(?:@|\*|(?:\*\.)?{_LABEL}(?:\.{_LABEL})*)",
        "A record name is @, *, or labels below the zone, as odoo or _sip._tcp.",
        longest=190,
    ),
]
DnsName = Annotated[
    str,
    text(
        rf"{_LABEL}(?:\.{_LABEL})+",
        "A host name in DNS is lower-case, as _spf.example.com.",
        longest=253,
    ),
]
Address = Annotated[str, text("[0-9a-f.:]{2,45}", "An address is written as 203.0.113.10 or 2001:db8::10.")]
Ttl = Annotated[int, Field(ge=1, le=86400, description="Seconds; 1 lets the provider choose.")]
OwnTtl = Annotated[
    int | None, Field(ge=1, le=86400, description="Seconds; 1 lets the provider choose. Else `ttl` of the zone.")
]
Text = Annotated[
    str, text(r"[\x20-\x7e]{1,2048}", "A text record has 1 to 2048 printable ASCII characters; no quotes around it.")
]
Number = Annotated[int, Field(ge=0, le=65535)]
Selector = Annotated[str, text("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "A selector is one label, as mail2026.")]
PublicKey = Annotated[
    str, text("[A-Za-z0-9+/]{40,1600}={0,2}", "A public key is one line of base64, without p= and without spaces.")
]


class AddressRecord(Strict):
    """A name that leads to a machine of vps.yml, or to an address."""

    type: Literal["A", "AAAA"]
    name: RecordName
    host: Identifier | None = Field(None, description="A machine of vps.yml; the inventory has its real address.")
    address: Address | None = Field(None, description="An address elsewhere, in place of host.")
    proxied: bool
    ttl: OwnTtl = None


class AliasRecord(Strict):
    """A name that leads to another name."""

    type: Literal["CNAME"]
    name: RecordName
    target: DnsName
    proxied: bool
    ttl: OwnTtl = None


class TextRecord(Strict):
    """A text, as a provider asks for to see that the zone is ours. SPF, DKIM and DMARC are better written in `mail`."""

    type: Literal["TXT"]
    name: RecordName
    text: Text
    ttl: OwnTtl = None


class MailRecord(Strict):
    """Who takes mail for a name."""

    type: Literal["MX"]
    name: RecordName
    target: DnsName
    priority: Number
    ttl: OwnTtl = None


class ServiceRecord(Strict):
    """Where a service is (SRV)."""

    type: Literal["SRV"]
    name: RecordName
    priority: Number
    weight: Number
    port: Port
    target: DnsName
    ttl: OwnTtl = None


class AuthorityRecord(Strict):
    """A property of CAA by its own name. Issuers are better written in `caa`."""

    type: Literal["CAA"]
    name: RecordName
    flags: Literal[0, 128] = 0
    tag: Literal["issue", "issuewild", "issuemail", "iodef"]
    value: Text
    ttl: OwnTtl = None


class Spf(Strict):
    """Who may send mail with addresses of a name: one text record."""

    name: RecordName = "@"
    hosts: list[Identifier] = Field(default=[], description="Machines of vps.yml that send by themselves.")
    addresses: list[Address] = Field(default=[], description="Addresses of other machines that send.")
    mx: bool = Field(False, description="Whether those who take the mail also send it.")
    include: list[DnsName] = Field(
        default=[], description="Names whose senders are ours too, as the mail provider says."
    )
    others: Literal["neutral", "softfail", "fail"] = Field(
        "softfail", description="What becomes of mail from anybody else."
    )


class Dkim(Strict):
    """The key that mail is signed with: a text record with the key, or an alias of the record at the mail provider."""

    selector: Selector
    name: RecordName = "@"
    key: PublicKey | None = Field(None, description="The public key; it is no secret.")
    algorithm: Literal["rsa", "ed25519"] = "rsa"
    testing: bool = Field(False, description="Whether others are asked to let mail pass that is signed wrongly.")
    target: DnsName | None = Field(None, description="Where the mail provider keeps the key, in place of key.")


class Dmarc(Strict):
    """What others do with mail that is neither sent nor signed as told."""

    name: RecordName = "@"
    policy: Literal["none", "quarantine", "reject"]
    subdomains: Literal["none", "quarantine", "reject"] | None = Field(
        None, description="For names below; else the same."
    )
    percent: Annotated[int, Field(ge=0, le=100)] = 100
    strict_spf: bool = Field(False, description="Whether the sender's name must be the very same.")
    strict_dkim: bool = Field(False, description="Whether the signer's name must be the very same.")
    reports_to: list[Email] = Field(default=[], description="Who gets the daily figures.")
    failures_to: list[Email] = Field(default=[], description="Who gets single failures.")


class Mail(Strict):
    """The mail that is sent with addresses of the zone, in words; the records are made of it."""

    spf: list[Spf] = Field(default=[])
    dkim: list[Dkim] = Field(default=[])
    dmarc: list[Dmarc] = Field(default=[])


class Caa(Strict):
    """Who may issue certificates for a name and those below. An empty list lets nobody."""

    name: RecordName = "@"
    issuers: list[DnsName]
    wildcard_issuers: list[DnsName] | None = Field(None, description="For wildcards; else the same.")
    report_to: Email | None = Field(None, description="Who is told when somebody else is asked for one.")


class FrontendRecord(Strict):
    """The record of each frontend whose host name has none among `records`."""

    type: Literal["CNAME"]
    target: DnsName
    proxied: bool
    ttl: OwnTtl = None


class TenantRecord(Strict):
    """The record that each tenant gets: <slug> leads to this target."""

    type: Literal["CNAME"]
    target: Domain
    proxied: bool
    ttl: Ttl


class ZoneSettings(Strict):
    """Settings of the zone at the provider."""

    ssl: Literal["off", "flexible", "full", "strict"]
    always_use_https: bool
    min_tls_version: Literal["1.0", "1.1", "1.2", "1.3"]
    brotli: bool
    http3: bool
    zero_rtt: bool
    websockets: bool
    edge_cache_ttl_s: Count
    browser_cache_ttl_s: Count


class Dns(Strict):
    """The zone and its records."""

    provider: Identifier
    zone: Domain = Field(description="The zone of tenants/registry.yml.")
    ttl: Ttl
    records: list[AddressRecord | AliasRecord | TextRecord | MailRecord | ServiceRecord | AuthorityRecord]
    frontend_record: FrontendRecord | None = None
    mail: Mail | None = None
    caa: list[Caa] = Field(default=[], description="Who may issue certificates; anybody where it is empty.")
    tenant_record: TenantRecord
    settings: ZoneSettings
    monthly_usd: Usd
    priced: Priced | None = Field(None, description="Where the figure is from.")
