"""A double of the service at 169.254.169.254 that tells a droplet who it is: to each what is its own, told apart by who asks."""

import http.server
import ipaddress
import json
import threading

from doubles.digitalocean import GATEWAY

ADDRESS = "169.254.169.254"
NAMESERVERS = ["67.207.67.2", "67.207.67.3"]


def anchor(droplet):
    """The address on a droplet's public interface at which what is sent to a reserved IP arrives."""
    public = ipaddress.ip_address(public_address(droplet))
    return str(ipaddress.ip_address("10.15.0.0") + (int(public) & 0xffff) + 4)


def _of(droplet, kind):
    return next(v4["ip_address"] for v4 in droplet["_v4"] if v4["type"] == kind)


def public_address(droplet):
    return _of(droplet, "public")


def private_address(droplet):
    return _of(droplet, "private")


def mac(droplet, kind):
    return f"04:01:{'01' if kind == 'public' else '02'}:" + ":".join(f"{droplet['id'] >> shift & 0xff:02x}" for shift in (16, 8, 0))


def document(droplet):
    """/metadata/v1.json."""
    return {
        "droplet_id": droplet["id"], "hostname": droplet["name"], "region": droplet["region"]["slug"], "user_data": droplet["_user_data"],
        "vendor_data": "#cloud-config\n{}\n", "public_keys": droplet["_public_keys"], "tags": droplet["tags"], "features": {"dhcp_enabled": False},
        "dns": {"nameservers": NAMESERVERS}, "reserved_ip": {"ipv4": {"active": False}},
        "interfaces": {
            "public": [{"mac": mac(droplet, "public"), "type": "public",
                        "ipv4": {"ip_address": public_address(droplet), "netmask": "255.255.0.0", "gateway": GATEWAY},
                        "anchor_ipv4": {"ip_address": anchor(droplet), "netmask": "255.255.0.0", "gateway": "10.15.0.1"}}],
            "private": [{"mac": mac(droplet, "private"), "type": "private",
                         "ipv4": {"ip_address": private_address(droplet), "netmask": "255.255.240.0", "gateway": "0.0.0.0"}}]}}


class Metadata:
    """Answers for the droplets of `droplets`, a function that lists them."""

    def __init__(self, droplets, address=ADDRESS, port=80):
        self.asked = []  # who asked for what

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(handler):  # noqa: N805
                who = handler.client_address[0]
                self.asked.append((who, handler.path))
                found = [d for d in droplets() if public_address(d) == who]
                if not found or handler.path != "/metadata/v1.json":
                    handler.send_error(404)
                    return
                body = json.dumps(document(found[0])).encode()
                handler.send_response(200)
                handler.send_header("Content-Type", "application/json")
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer((address, port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
