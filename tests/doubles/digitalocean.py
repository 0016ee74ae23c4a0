"""A double of the DigitalOcean API: what Dynia uses of it, with state, strict about what it is sent, and as its published
description and documentation say: status codes, envelopes, paging, limits, actions that take their time."""

import ipaddress
import re
import time
import urllib.parse
import uuid

from doubles.api import Double, Refused, Window, stamp

TAG = re.compile(r"[a-zA-Z0-9_\-:]{1,255}")
NAME = re.compile(r"[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]")
FIREWALL_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.\-]+")
VPC_NAME = re.compile(r"[a-zA-Z0-9\-.]+")
PORTS = re.compile(r"\d{1,5}(-\d{1,5})?")
CONTACT = re.compile(r"(dynia-contact:[a-z0-9-]+:)[0-9a-f]{64}")
PRIVATE_KEY = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----[^-]*-----END OPENSSH PRIVATE KEY-----")
USER_DATA_MAX = 64 * 1024
GATEWAY = "198.18.0.1"
REGIONS = ("sgp1", "fra1")
SIZES = {"s-1vcpu-1gb": (1024, 1, 25, 1, 6.0), "s-2vcpu-4gb": (4096, 2, 80, 4, 24.0), "s-4vcpu-8gb": (8192, 4, 160, 5, 48.0)}


class DigitalOcean(Double):
    prefix = ""
    too_many, server_error, bad_request = "too_many_requests", "server_error", "bad_request"

    def __init__(self, boot_seconds=0.02, action_seconds=0.02, on_create=None, on_destroy=None):
        self.droplets, self.keys, self.vpcs, self.reserved, self.firewalls, self.tags, self.actions = {}, {}, {}, {}, {}, {}, {}
        self.boot_seconds, self.action_seconds = boot_seconds, action_seconds
        # Called with the droplet, also with what the API does not show: `_v4`, the addresses that it gets, and `_user_data`.
        self.on_create, self.on_destroy = on_create, on_destroy
        # Called with the name of a tag once it was made, and once droplets have got it, before that is answered.
        self.on_tag, self.on_tagged = None, None
        self.images = {"ubuntu-24-04-x64", "debian-12-x64"}
        self.errored_droplets = set()  # names whose creation ends in an error
        self.next_id = 3164000
        self.hour, self.minute, self.keys_minute = Window(5000, 3600), Window(250, 60), Window(10, 60)
        self.ips = (a for a in ipaddress.ip_network("198.18.0.0/16").hosts() if str(a) != GATEWAY)
        self.reserved_ips = ipaddress.ip_network("203.0.113.0/24").hosts()
        self.reserved_limit = 3
        super().__init__()

    # --- what every answer has ----------------------------------------------------------------------------------------

    def error_document(self, refused):
        return {"id": refused.code, "message": refused.message, "request_id": str(uuid.uuid4())}

    def unauthorized(self):
        return Refused(401, "unauthorized", "Unable to authenticate you")

    def not_found(self):
        return Refused(404, "not_found", "The resource you requested could not be found.")

    def rate_headers(self):
        reset = self.hour.times[0] + 3600 - time.monotonic() if self.hour.times else 0
        return {"ratelimit-limit": 5000, "ratelimit-remaining": self.hour.left(), "ratelimit-reset": int(time.time() + reset)}

    def take_rate(self, call):
        now = time.monotonic()
        if self.hour.take(now) is not None:
            raise Refused(429, self.too_many, "API rate limit exceeded.")
        windows = [self.minute] + ([self.keys_minute] if call.path == "/v2/account/keys" else [])
        for window in windows:
            wait = window.take(now)
            if wait is not None:
                raise Refused(429, self.too_many, "API rate limit exceeded.", {"retry-after": int(wait) + 1})

    def page(self, call, key, items, *more):
        self.known_query(call, "page", "per_page", *more)
        per_page, page = self.number(call, "per_page", 20, 1, 200), self.number(call, "page", 1, 1, 1 << 30)
        shown = items[(page - 1) * per_page:page * per_page]
        last = max(1, -(-len(items) // per_page))

        def link(to):
            more_query = "".join(f"&{k}={v}" for k, v in call.query.items() if k not in ("page", "per_page"))
            return f"{self.base}{call.path}?page={to}&per_page={per_page}{more_query}"

        pages = {}
        if page < last:
            pages.update(next=link(page + 1), last=link(last))
        elif page > 1:
            pages.update(first=link(1), prev=link(page - 1))
        return 200, {key: shown, "links": {"pages": pages} if pages else {}, "meta": {"total": len(items)}}

    def new_id(self):
        self.next_id += 1
        return self.next_id

    def unprocessable(self, call, message):
        self.violation(call, message)
        return Refused(422, "unprocessable_entity", message)

    # --- droplets -----------------------------------------------------------------------------------------------------

    @staticmethod
    def region(slug):
        return {"name": slug, "slug": slug, "features": ["metadata"], "available": True, "sizes": list(SIZES)}

    @staticmethod
    def size(slug):
        memory, vcpus, disk, transfer, price = SIZES[slug]
        return {"slug": slug, "memory": memory, "vcpus": vcpus, "disk": disk, "transfer": transfer, "price_monthly": price,
                "price_hourly": round(price / 672, 5), "regions": list(REGIONS), "available": True, "description": "Basic"}

    def settle(self):
        """Whatever was begun long enough ago is done."""
        now = time.monotonic()
        for droplet in self.droplets.values():
            if droplet["status"] == "new" and now >= droplet["_ready"] and droplet["name"] not in self.errored_droplets:
                droplet["status"] = "active"
                droplet["networks"]["v4"] = droplet["_v4"]
        for action in self.actions.values():
            if action["status"] == "in-progress" and now >= action["_ready"]:
                if action["_errors"]:
                    action["status"] = "errored"
                    continue
                action["status"], action["completed_at"] = "completed", stamp()
                if action["_then"]:
                    action["_then"]()
                    action["_then"] = None

    @staticmethod
    def public(thing):
        return {k: v for k, v in thing.items() if not k.startswith("_")}

    def list_droplets(self, call):
        self.settle()
        tag, name = call.query.get("tag_name"), call.query.get("name")
        if tag and name:
            raise self.unprocessable(call, "tag_name and name exclude one another")
        found = [self.public(d) for d in self.droplets.values()
                 if (not tag or tag in d["tags"]) and (not name or name == d["name"])]
        return self.page(call, "droplets", found, "tag_name", "name", "type")

    def create_droplet(self, call):
        body = call.body
        self.known_keys(call, body, "name", "region", "size", "image", "ssh_keys", "backups", "ipv6", "monitoring", "tags", "user_data",
                        "vpc_uuid", "with_droplet_agent", "public_networking", "volumes")
        for key, kind in (("name", str), ("region", str), ("size", str), ("image", (str, int)), ("ssh_keys", list), ("monitoring", bool),
                          ("tags", list), ("user_data", str), ("vpc_uuid", str)):
            if key in body and not isinstance(body[key], kind):
                raise self.unprocessable(call, f"{key} is of the wrong type")
        if not NAME.fullmatch(body.get("name", "")) or len(body["name"]) > 255:
            raise self.unprocessable(call, "name is no host name")
        if body.get("region") not in REGIONS or body.get("size") not in SIZES:
            raise self.unprocessable(call, "You specified an invalid region or size for Droplet creation.")
        if body.get("image") not in self.images:
            raise self.unprocessable(call, "You specified an invalid image for Droplet creation.")
        if len(body.get("user_data", "").encode()) > USER_DATA_MAX:
            raise self.unprocessable(call, "user_data exceeds 64 KiB")
        known = {k for key in self.keys.values() for k in (key["id"], key["fingerprint"])}
        if any(key not in known for key in body.get("ssh_keys", [])):
            raise self.unprocessable(call, "ssh_keys: invalid key identifier")
        if "vpc_uuid" in body:
            vpc = self.vpcs.get(body["vpc_uuid"])
            if not vpc or vpc["region"] != body["region"]:
                raise self.unprocessable(call, "vpc_uuid is not of this region")
        else:
            vpc = self.default_vpc(body["region"])
        for tag in body.get("tags", []):
            self.add_tag(call, tag)
        size = self.size(body["size"])
        droplet = {
            "id": self.new_id(), "name": body["name"], "memory": size["memory"], "vcpus": size["vcpus"], "disk": size["disk"],
            "locked": False, "status": "new", "created_at": stamp(), "features": ["monitoring"] if body.get("monitoring") else [],
            "backup_ids": [], "next_backup_window": None, "snapshot_ids": [], "volume_ids": [], "size": size, "size_slug": size["slug"],
            "image": {"id": 1, "name": body["image"], "distribution": "Ubuntu", "slug": body["image"], "public": True, "regions": list(REGIONS),
                      "created_at": stamp(), "type": "base", "min_disk_size": 7, "size_gigabytes": 0.6, "tags": [], "status": "available"},
            "networks": {"v4": [], "v6": []}, "region": self.region(body["region"]), "tags": list(body.get("tags", [])), "vpc_uuid": vpc["id"],
            "_ready": time.monotonic() + self.boot_seconds, "_user_data": body.get("user_data", ""), "_ssh_keys": body.get("ssh_keys", [])}
        droplet["_public_keys"] = [k["public_key"] for k in self.keys.values() if {k["id"], k["fingerprint"]} & set(droplet["_ssh_keys"])]
        droplet["_v4"] = [
            {"ip_address": str(next(vpc["_ips"])), "netmask": "255.255.240.0", "gateway": "", "type": "private"},
            {"ip_address": str(next(self.ips)), "netmask": "255.255.0.0", "gateway": GATEWAY, "type": "public"}]
        self.droplets[droplet["id"]] = droplet
        action = self.begin("create", droplet["id"], "droplet", body["region"], None, self.boot_seconds, droplet["name"] in self.errored_droplets)
        if self.on_create:
            self.on_create(droplet)
        return 202, {"droplet": self.public(droplet),
                     "links": {"actions": [{"id": action["id"], "rel": "create", "href": f"{self.base}/v2/actions/{action['id']}"}]}}

    def find_droplet(self, word):
        self.settle()
        droplet = self.droplets.get(int(word)) if word.isdigit() else None
        if not droplet:
            raise self.not_found()
        return droplet

    def get_droplet(self, _call, word):
        return 200, {"droplet": self.public(self.find_droplet(word))}

    def delete_droplet(self, _call, word):
        self.forget(self.find_droplet(word))
        return 204, None

    def forget(self, droplet):
        """It is shown nowhere any more, and its reserved IP is nobody's."""
        del self.droplets[droplet["id"]]
        for address in self.reserved.values():
            if address["_droplet"] == droplet["id"]:
                address["_droplet"] = None
        if self.on_destroy:
            self.on_destroy(droplet)

    def list_sizes(self, call):
        return self.page(call, "sizes", [self.size(slug) for slug in SIZES])

    # --- keys, tags, VPCs ---------------------------------------------------------------------------------------------

    def list_keys(self, call):
        return self.page(call, "ssh_keys", list(self.keys.values()))

    def add_key(self, name, fingerprint="3b:16:bf:e4:8b:00:8b:b8:59:8c:a9:d3:f0:19:45:fa", public_key="ssh-ed25519 AAAA"):
        key = {"id": self.new_id(), "fingerprint": fingerprint, "public_key": public_key, "name": name}
        self.keys[key["id"]] = key
        return key

    def add_tag(self, call, name):
        if not isinstance(name, str) or not TAG.fullmatch(name):
            raise self.unprocessable(call, f"'{name}' is no tag")
        self.tags.setdefault(name, {"name": name})

    def show_tag(self, name):
        tagged = [d for d in self.droplets.values() if name in d["tags"]]
        empty = {"count": 0}
        return {"name": name, "resources": {"count": len(tagged), "droplets": {"count": len(tagged)}, "images": empty, "volumes": empty,
                                            "volume_snapshots": empty, "databases": empty}}

    def list_tags(self, call):
        return self.page(call, "tags", [self.show_tag(name) for name in self.tags])

    def create_tag(self, call):
        self.known_keys(call, call.body, "name")
        self.add_tag(call, call.body.get("name"))
        answer = {"tag": self.show_tag(call.body["name"])}
        if self.on_tag:
            self.on_tag(call.body["name"])
        return 201, answer

    def tag_resources(self, call, name):
        self.known_keys(call, call.body, "resources")
        name = urllib.parse.unquote(name)
        if name not in self.tags:
            raise self.not_found()
        for resource in call.body["resources"]:
            self.known_keys(call, resource, "resource_id", "resource_type")
            if resource["resource_type"] != "droplet" or not isinstance(resource["resource_id"], str):
                raise self.unprocessable(call, "resource_id must be a text, and resource_type droplet")
            droplet = self.find_droplet(resource["resource_id"])
            droplet["tags"] = [*droplet["tags"], *([] if name in droplet["tags"] else [name])]
        if self.on_tagged:
            self.on_tagged(name)
        return 204, None

    def get_tag(self, _call, name):
        if name.replace("%3A", ":") not in self.tags:
            raise self.not_found()
        return 200, {"tag": self.show_tag(name.replace("%3A", ":"))}

    def delete_tag(self, _call, name):
        name = name.replace("%3A", ":")
        if name not in self.tags:
            raise self.not_found()
        del self.tags[name]
        for droplet in self.droplets.values():
            droplet["tags"] = [t for t in droplet["tags"] if t != name]
        return 204, None

    def add_vpc(self, name, region, ip_range=None, description="", default=False):
        taken = {v["ip_range"] for v in self.vpcs.values()}
        ip_range = ip_range or next(r for r in (f"10.{n}.0.0/20" for n in range(110, 250)) if r not in taken)
        ident = str(uuid.uuid4())
        hosts = ipaddress.ip_network(ip_range).hosts()
        next(hosts)
        self.vpcs[ident] = {"id": ident, "urn": f"do:vpc:{ident}", "name": name, "description": description, "region": region,
                            "ip_range": ip_range, "created_at": stamp(), "default": default, "_ips": hosts}
        return self.vpcs[ident]

    def default_vpc(self, region):
        for vpc in self.vpcs.values():
            if vpc["default"] and vpc["region"] == region:
                return vpc
        return self.add_vpc(f"default-{region}", region, default=True)

    def list_vpcs(self, call):
        return self.page(call, "vpcs", [self.public(v) for v in self.vpcs.values()])

    def create_vpc(self, call):
        body = call.body
        self.known_keys(call, body, "name", "region", "ip_range", "description")
        if not VPC_NAME.fullmatch(body.get("name", "")) or body.get("region") not in REGIONS or len(body.get("description", "")) > 255:
            raise self.unprocessable(call, "name, region or description")
        if any(v["name"] == body["name"] for v in self.vpcs.values()):
            raise Refused(422, "unprocessable_entity", "a VPC of this name exists already")
        if "ip_range" in body:
            wanted = ipaddress.ip_network(body["ip_range"])
            if not 16 <= wanted.prefixlen <= 28 or not wanted.is_private or \
                    any(wanted.overlaps(ipaddress.ip_network(v["ip_range"])) for v in self.vpcs.values()):
                raise self.unprocessable(call, "ip_range is not private, of /16 to /28, or overlaps")
        return 201, {"vpc": self.public(self.add_vpc(body["name"], body["region"], body.get("ip_range"), body.get("description", "")))}

    def delete_vpc(self, _call, ident):
        self.settle()
        if ident not in self.vpcs:
            raise self.not_found()
        if any(d["vpc_uuid"] == ident for d in self.droplets.values()):
            raise Refused(403, "forbidden", "Can not delete VPC with members")
        del self.vpcs[ident]
        return 204, None

    # --- reserved IPs and actions ---------------------------------------------------------------------------------------

    def begin(self, kind, resource, resource_type, region, then, seconds, errors=False):
        action = {"id": self.new_id(), "status": "in-progress", "type": kind, "started_at": stamp(), "completed_at": None,
                  "resource_id": resource, "resource_type": resource_type, "region": self.region(region), "region_slug": region,
                  "_ready": time.monotonic() + seconds, "_then": then, "_errors": errors}
        self.actions[action["id"]] = action
        return action

    def get_action(self, _call, word):
        self.settle()
        if not word.isdigit() or int(word) not in self.actions:
            raise self.not_found()
        return 200, {"action": self.public(self.actions[int(word)])}

    def add_reserved(self, region, ip=None, droplet=None):
        ip = ip or next(a for a in map(str, self.reserved_ips) if a not in self.reserved)
        self.reserved[ip] = {"ip": ip, "_region": region, "_droplet": droplet, "_action": None}
        return self.reserved[ip]

    def show_reserved(self, address):
        droplet = self.droplets.get(address["_droplet"])
        action = address["_action"]
        return {"ip": address["ip"], "region": self.region(address["_region"]), "droplet": self.public(droplet) if droplet else None,
                "locked": bool(action and action["status"] == "in-progress"), "project_id": "746c6152-2fa2-11ed-92d3-27aaa54e4988"}

    def list_reserved(self, call):
        self.settle()
        return self.page(call, "reserved_ips", [self.show_reserved(a) for a in self.reserved.values()])

    def find_reserved(self, ip):
        self.settle()
        if ip not in self.reserved:
            raise self.not_found()
        return self.reserved[ip]

    def get_reserved(self, _call, ip):
        return 200, {"reserved_ip": self.show_reserved(self.find_reserved(ip))}

    def create_reserved(self, call):
        self.known_keys(call, call.body, "droplet_id", "region", "project_id")
        if ("droplet_id" in call.body) == ("region" in call.body):
            raise self.unprocessable(call, "either droplet_id or region")
        if len(self.reserved) >= self.reserved_limit:
            raise Refused(422, "unprocessable_entity", "reserved IP limit reached for this account")
        if "region" in call.body:
            if call.body["region"] not in REGIONS:
                raise self.unprocessable(call, "region")
            return 202, {"reserved_ip": self.show_reserved(self.add_reserved(call.body["region"]))}
        droplet = self.droplets.get(call.body["droplet_id"])
        if not droplet:
            raise self.unprocessable(call, "no such droplet")
        if any(a["_droplet"] == droplet["id"] for a in self.reserved.values()):
            raise Refused(422, "unprocessable_entity", "the droplet has a reserved IP already")
        address = self.add_reserved(droplet["region"]["slug"])
        shown = self.show_reserved(address)
        address["_droplet"] = droplet["id"]
        return 202, {"reserved_ip": shown}

    def delete_reserved(self, _call, ip):
        if self.find_reserved(ip)["_droplet"]:
            raise Refused(422, "unprocessable_entity", "The reserved IP is assigned to a droplet.")
        del self.reserved[ip]
        return 204, None

    def act_on_reserved(self, call, ip):
        address, kind = self.find_reserved(ip), call.body.get("type")
        self.known_keys(call, call.body, "type", "droplet_id")
        if kind not in ("assign", "unassign") or (kind == "assign") != ("droplet_id" in call.body):
            raise self.unprocessable(call, "assign with droplet_id, or unassign")
        if address["_action"] and address["_action"]["status"] == "in-progress":
            raise Refused(422, "unprocessable_entity", "The reserved IP already has a pending event.")
        droplet = None
        if kind == "assign":
            droplet = self.droplets.get(call.body["droplet_id"]) if type(call.body["droplet_id"]) is int else None
            if not droplet:
                raise self.unprocessable(call, "no such droplet")
            if droplet["status"] == "new":
                raise Refused(422, "unprocessable_entity", "Droplet already has a pending event.")
            if droplet["region"]["slug"] != address["_region"]:
                raise self.unprocessable(call, "the droplet is in another region")
            if any(a["_droplet"] == droplet["id"] for a in self.reserved.values() if a is not address):
                raise self.unprocessable(call, "the droplet has a reserved IP already")
        elif address["_droplet"] is None:
            raise self.unprocessable(call, "is not assigned")

        def then():
            address["_droplet"] = droplet["id"] if droplet else None

        address["_action"] = self.begin(f"{kind}_ip", None, "reserved_ip", address["_region"], then, self.action_seconds)
        return 201, {"action": {**self.public(address["_action"]), "project_id": "746c6152-2fa2-11ed-92d3-27aaa54e4988"}}

    # --- firewalls ------------------------------------------------------------------------------------------------------

    def check_firewall(self, call):
        body = call.body
        self.known_keys(call, body, "name", "inbound_rules", "outbound_rules", "droplet_ids", "tags")
        if not FIREWALL_NAME.fullmatch(body.get("name", "")):
            raise self.unprocessable(call, "name")
        if not (body.get("inbound_rules") or body.get("outbound_rules")):
            raise self.unprocessable(call, "no rules")
        for side, ends in (("inbound_rules", "sources"), ("outbound_rules", "destinations")):
            for rule in body.get(side, []):
                self.known_keys(call, rule, "protocol", "ports", ends)
                if rule.get("protocol") not in ("tcp", "udp", "icmp") or not isinstance(rule.get(ends), dict) or not rule[ends]:
                    raise self.unprocessable(call, f"{side}: {rule}")
                if rule["protocol"] != "icmp" and not (rule.get("ports") == "0" or PORTS.fullmatch(rule.get("ports", ""))):
                    raise self.unprocessable(call, f"{side}: ports {rule.get('ports')!r}")
                self.known_keys(call, rule[ends], "addresses", "droplet_ids", "tags", "load_balancer_uids", "kubernetes_ids")
                for address in rule[ends].get("addresses", []):
                    try:
                        ipaddress.ip_network(address)
                    except ValueError:
                        raise self.unprocessable(call, f"'{address}' is no address") from None
                for tag in rule[ends].get("tags", []):
                    if tag not in self.tags:
                        raise self.unprocessable(call, f"tag '{tag}' does not exist")
        for tag in body.get("tags") or []:
            if tag not in self.tags:
                raise self.unprocessable(call, f"tag '{tag}' does not exist")
        return {"name": body["name"], "status": "succeeded", "pending_changes": [], "inbound_rules": self.rules(body.get("inbound_rules", [])),
                "outbound_rules": self.rules(body.get("outbound_rules", [])), "droplet_ids": body.get("droplet_ids", []), "tags": body.get("tags", [])}

    @staticmethod
    def rules(rules):
        """As the API shows them: "0" stands for all ports, and for none with ICMP."""
        return [{**r, "ports": r.get("ports", "0")} for r in rules]

    def list_firewalls(self, call):
        return self.page(call, "firewalls", list(self.firewalls.values()))

    def create_firewall(self, call):
        firewall = self.check_firewall(call)
        if any(f["name"] == firewall["name"] for f in self.firewalls.values()):
            raise Refused(409, "conflict", "duplicate name")
        firewall = {"id": str(uuid.uuid4()), "created_at": stamp(), **firewall}
        self.firewalls[firewall["id"]] = firewall
        return 202, {"firewall": firewall}

    def put_firewall(self, call, ident):
        if ident not in self.firewalls:
            raise self.not_found()
        self.firewalls[ident].update(self.check_firewall(call))
        return 200, {"firewall": self.firewalls[ident]}

    def delete_firewall(self, _call, ident):
        if ident not in self.firewalls:
            raise self.not_found()
        del self.firewalls[ident]
        return 204, None

    routes = {
        ("GET", "/v2/droplets"): list_droplets, ("POST", "/v2/droplets"): create_droplet,
        ("GET", "/v2/droplets/*"): get_droplet, ("DELETE", "/v2/droplets/*"): delete_droplet,
        ("GET", "/v2/sizes"): list_sizes, ("GET", "/v2/account/keys"): list_keys, ("GET", "/v2/actions/*"): get_action,
        ("GET", "/v2/vpcs"): list_vpcs, ("POST", "/v2/vpcs"): create_vpc, ("DELETE", "/v2/vpcs/*"): delete_vpc,
        ("GET", "/v2/reserved_ips"): list_reserved, ("POST", "/v2/reserved_ips"): create_reserved,
        ("GET", "/v2/reserved_ips/*"): get_reserved, ("DELETE", "/v2/reserved_ips/*"): delete_reserved,
        ("POST", "/v2/reserved_ips/*/actions"): act_on_reserved,
        ("GET", "/v2/firewalls"): list_firewalls, ("POST", "/v2/firewalls"): create_firewall,
        ("PUT", "/v2/firewalls/*"): put_firewall, ("DELETE", "/v2/firewalls/*"): delete_firewall,
        ("GET", "/v2/tags"): list_tags, ("POST", "/v2/tags"): create_tag, ("GET", "/v2/tags/*"): get_tag, ("DELETE", "/v2/tags/*"): delete_tag,
        ("POST", "/v2/tags/*/resources"): tag_resources,
    }

    # --- for tests --------------------------------------------------------------------------------------------------------

    def named(self, name):
        with self.lock:
            self.settle()
            return next(d for d in self.droplets.values() if d["name"] == name)

    def power_off(self, name):
        """Its machine stopped by itself."""
        self.named(name)["status"] = "off"

    def lose(self, name):
        """Somebody else destroyed it."""
        with self.lock:
            self.forget(self.named(name))

    def picture(self):
        """The state without what differs from run to run: ids, times, contact keys."""
        with self.lock:
            self.settle()
            names = {d["id"]: d["name"] for d in self.droplets.values()}
            vpcs = {v["id"]: v["name"] for v in self.vpcs.values()}
            return {
                "droplets": sorted((d["name"], d["status"], d["size_slug"], d["region"]["slug"], tuple(CONTACT.sub(r"\1*", t) for t in d["tags"]),
                                    vpcs[d["vpc_uuid"]], PRIVATE_KEY.sub("*", d["_user_data"])) for d in self.droplets.values()),
                "vpcs": sorted((v["name"], v["region"], v["description"]) for v in self.vpcs.values()),
                "reserved": sorted((a["ip"], names.get(a["_droplet"])) for a in self.reserved.values()),
                "firewalls": sorted((f["name"], str(f["inbound_rules"]), str(f["outbound_rules"]), str(f["tags"]))
                                    for f in self.firewalls.values()),
                "tags": sorted(CONTACT.sub(r"\1*", t) for t in self.tags),
            }
