"""A double of the Cloudflare API: zones and DNS records, with state, envelopes, paging, limits and error codes as its published
description and documentation say."""

import ipaddress
import re
import time
import uuid

from doubles.api import Double, Refused, Window, stamp

NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*")
WRITABLE = ("name", "type", "content", "ttl", "proxied", "comment", "tags")
TYPES = ("A", "AAAA", "CNAME", "TXT", "MX")
BATCH_MAX, COMMENT_MAX = 200, 100


class Cloudflare(Double):
    prefix = "/client/v4"
    too_many, server_error, bad_request = 10100, 10000, 9207

    def __init__(self, *zones):
        self.zones = {uuid.uuid4().hex: name for name in zones}
        self.records = {ident: {} for ident in self.zones}
        self.window = Window(1200, 300)
        super().__init__()

    def add_zone(self, name):
        ident = uuid.uuid4().hex
        self.zones[ident], self.records[ident] = name, {}
        return ident

    # --- what every answer has ------------------------------------------------------------------------------------------

    @staticmethod
    def envelope(result, info=None):
        document = {"success": True, "errors": [], "messages": [], "result": result}
        return {**document, "result_info": info} if info else document

    def error_document(self, refused):
        return {"success": False, "errors": [{"code": refused.code, "message": refused.message}], "messages": [], "result": None}

    def unauthorized(self):
        return Refused(403, 9109, "Invalid access token")

    def not_found(self):
        return Refused(404, 7003, "Could not route to the request, perhaps your object identifier is invalid?")

    def rate_headers(self):
        return {"Ratelimit": f'"default";r={self.window.left()};t=300', "Ratelimit-Policy": '"default";q=1200;w=300'}

    def take_rate(self, _call):
        wait = self.window.take(time.monotonic())
        if wait is not None:
            raise Refused(429, self.too_many, "Rate limited. Please wait and consider throttling your request speed", {"retry-after": int(wait) + 1})

    def page(self, call, items, default, least, most):
        per_page, page = self.number(call, "per_page", default, least, most), self.number(call, "page", 1, 1, 1 << 30)
        shown = items[(page - 1) * per_page:page * per_page]
        return 200, self.envelope(shown, {"page": page, "per_page": per_page, "count": len(shown), "total_count": len(items),
                                          "total_pages": -(-len(items) // per_page)})

    # --- zones ------------------------------------------------------------------------------------------------------------

    def list_zones(self, call):
        self.known_query(call, "name", "page", "per_page", "status")
        found = [{"id": ident, "name": name, "status": "active", "paused": False, "type": "full", "development_mode": 0,
                  "name_servers": ["a.ns.example", "b.ns.example"], "account": {"id": "a" * 32, "name": "acme"},
                  "owner": {"id": "b" * 32, "name": "acme", "type": "user"}, "original_name_servers": ["a.ns.example"],
                  "original_dnshost": "none", "original_registrar": "none", "meta": {"page_rule_quota": 3}, "permissions": [],
                  "activated_on": stamp(), "created_on": stamp(), "modified_on": stamp()}
                 for ident, name in self.zones.items() if call.query.get("name") in (None, name)]
        return self.page(call, found, 20, 5, 50)

    # --- records ------------------------------------------------------------------------------------------------------------

    def zone(self, ident):
        if ident not in self.zones:
            raise self.not_found()
        return self.records[ident]

    def check(self, call, ident, fields, old=None):
        """A record from what was sent; `old`: the one that it changes, itself left out of the comparison."""
        self.known_keys(call, fields, *WRITABLE)
        record = {"ttl": 1, "proxied": False, "comment": None, "tags": [], **{k: (old or {}).get(k) for k in WRITABLE if old}, **fields}
        name, kind, content = record.get("name"), record.get("type"), record.get("content")
        if kind not in TYPES or not isinstance(name, str) or not isinstance(content, str):
            self.violation(call, f"record {fields}")
            raise Refused(400, 9005, "Content or type is invalid.")
        if not NAME.fullmatch(name) or not (name == self.zones[ident] or name.endswith("." + self.zones[ident])):
            self.violation(call, f"name '{name}'")
            raise Refused(400, 9000, "DNS name is invalid.")
        if kind in ("A", "AAAA"):
            try:
                address = ipaddress.ip_address(content)
            except ValueError:
                address = None
            if not address or address.version != (4 if kind == "A" else 6):
                self.violation(call, f"content '{content}'")
                raise Refused(400, 9005, f"Content for {kind} record must be a valid address.")
        if not (record["ttl"] == 1 or 60 <= record["ttl"] <= 86400) or not isinstance(record["proxied"], bool):
            self.violation(call, f"ttl {record['ttl']}, proxied {record['proxied']}")
            raise Refused(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
        if len(record["comment"] or "") > COMMENT_MAX:
            self.violation(call, "the comment is too long")
            raise Refused(400, 9313, "DNS record has invalid comment.")
        for other in self.records[ident].values():
            if other is old or other["name"] != name:
                continue
            if other["type"] == kind and other["content"] == content:
                raise Refused(400, 81058, "An identical record already exists.")
            if "CNAME" in (kind, other["type"]):
                raise Refused(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
        return record

    def put(self, ident, record, old=None):
        if old is None:
            old = {"id": uuid.uuid4().hex, "created_on": stamp(), "zone_id": ident, "zone_name": self.zones[ident]}
            self.records[ident][old["id"]] = old
        if record["type"] == "MX":
            old["priority"] = 10
        old.update({k: record[k] for k in WRITABLE}, modified_on=stamp(), proxiable=record["type"] in ("A", "AAAA", "CNAME"), meta={})
        return old

    def add(self, kind, name, content, comment=None, proxied=False):
        """A record that is there before the test."""
        ident = next(i for i, zone in self.zones.items() if name == zone or name.endswith("." + zone))
        return self.put(ident, {"type": kind, "name": name, "content": content, "comment": comment, "proxied": proxied, "ttl": 1, "tags": []})

    def list_records(self, call, ident):
        self.known_query(call, "page", "per_page", "name", "type", "content", "comment.exact", "order", "direction")
        found = [r for r in self.zone(ident).values()
                 if all(call.query.get(k) in (None, r[k]) for k in ("name", "type", "content"))
                 and call.query.get("comment.exact") in (None, r["comment"])]
        return self.page(call, found, 100, 1, 5000000)

    def find(self, ident, record):
        try:
            return self.zone(ident)[record]
        except KeyError:
            raise Refused(404, 81044, "Record does not exist.") from None

    def batch(self, call, ident):
        """Deletes, patches, puts, posts, in that order; all of it or nothing."""
        zone, body = self.zone(ident), call.body
        self.known_keys(call, body, "deletes", "patches", "puts", "posts")
        if not 0 < sum(len(body.get(k, [])) for k in ("deletes", "patches", "puts", "posts")) <= BATCH_MAX:
            self.violation(call, "batch of no or too many changes")
            raise Refused(400, 9308, "too many changes")
        before = {k: dict(v) for k, v in zone.items()}
        done = {"deletes": [], "patches": [], "puts": [], "posts": []}
        try:
            for change in body.get("deletes", []):
                self.known_keys(call, change, "id")
                done["deletes"].append(dict(zone.pop(self.find(ident, change.get("id"))["id"])))
            for kind in ("patches", "puts"):
                for change in body.get(kind, []):
                    old = self.find(ident, change.get("id"))
                    fields = {k: v for k, v in change.items() if k != "id"}
                    done[kind].append(dict(self.put(ident, self.check(call, ident, fields, old), old)))
            for change in body.get("posts", []):
                done["posts"].append(dict(self.put(ident, self.check(call, ident, change))))
        except Refused:
            zone.clear()
            zone.update(before)
            raise
        return 200, self.envelope(done)

    routes = {
        ("GET", "/zones"): list_zones, ("GET", "/zones/*/dns_records"): list_records, ("POST", "/zones/*/dns_records/batch"): batch,
    }

    # --- for tests ----------------------------------------------------------------------------------------------------------

    def picture(self):
        with self.lock:
            return sorted((r["name"], r["type"], r["content"], r["proxied"], r["comment"] or "")
                          for zone in self.records.values() for r in zone.values())
