"""A registry of container images on an address of the test's, with images that are made here (docker_host.web())."""

import gzip
import hashlib
import http.client
import json
import pathlib
import ssl
import subprocess
import urllib.parse

from git_servers import answers, stop
from harness import Failed, wait_for

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PORT = 5000


class Registry:
    """docker-registry with TLS; `authority` is a git_servers.Authority."""

    def __init__(self, folder, address, authority, cert):
        self.name = f"{address}:{PORT}"
        self.context = ssl.create_default_context(cafile=authority.pem)
        folder = pathlib.Path(folder)
        config = folder / "registry.yml"
        config.write_text(f"""version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: '{self.name}', tls: {{certificate: {cert}, key: {cert}}}}}
""", encoding="utf-8")
        self.process = subprocess.Popen(["docker-registry", "serve", str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_for(answers(address, PORT), 60, "registry")
        except BaseException:
            self.stop()
            raise

    def stop(self):
        stop(self.process)

    def call(self, method, url, body=None, kind="application/octet-stream"):
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPSConnection(self.name, timeout=60, context=self.context)
        try:
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Failed(f"{method} {url}: {answer.status} {text[:200]}")
        return answer

    def _blob(self, name, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        place = self.call("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
        self.call("PUT", place + ("&" if "?" in place else "?") + f"digest={digest}", data)
        return {"digest": digest, "size": len(data)}

    def push(self, name, tag, tar, command):
        """An image of one layer; returns what a service calls it."""
        layer, digest = gzip.compress(tar, 1, mtime=0), "sha256:" + hashlib.sha256(tar).hexdigest()
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": command, "ExposedPorts": {"80/tcp": {}}},
                             "rootfs": {"type": "layers", "diff_ids": [digest]}}).encode()
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **self._blob(name, config)},
                    "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **self._blob(name, layer)}]}
        self.call("PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), MANIFEST)
        return f"{self.name}/{name}:{tag}"
