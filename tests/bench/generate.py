"""Writes a repository of one cluster, `big`, with as many services and nodes as one wants.

    generate.py DIR SERVICES NODES KIND      KIND: mixed (image, static and respond) or static

With `static` the cluster can be run on this machine: NODES on loopback, runtime process."""

import pathlib
import sys

INGRESS = {
    "mixed": "ingress: {runtime: system}\n",
    "static": "ingress: {runtime: process, http_port: 18080, https_port: 18443, caddy_port: 18081, health_port: 18405,\n"
              "          stats: {port: 18404}}\n",
}


def image(name, i):
    return {"": f"version: 1\nhosts: [{name}.example.com]\nimage: registry.example.com/{name}:1.{i}\nport: 8080\n"
                f"publish: {20000 + i}\nenv: {{LOG_LEVEL: info, NUMBER: \"{i}\"}}\nvolumes: [\"data:/var/lib/app\"]\n"
                "health: {path: /health}\nresources: {limits: {memory: 256M, cpus: 0.5}}\n"}


def static(name, i):
    return {"service": f"version: 1\nhosts: [{name}.example.com]\nstatic: ./site\n",
            "site/index.html": f"<!doctype html>\n<title>{name}</title>\n<p>{'page of service ' + str(i) + ' '} {'x' * 2000}\n"}


def respond(name, i):
    return {"": f"version: 1\nhosts: [{name}.example.com]\nrespond: {{status: 200, body: \"{name} {i}\"}}\n"}


def write(folder, name, files):
    for path, text in files.items():
        if path == "":
            file = folder / f"{name}.yaml"
        elif path == "service":
            file = folder / name / "service.yaml"
        else:
            file = folder / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def generate(folder, services, nodes, kind, network="10.9.0"):
    cluster = pathlib.Path(folder) / "clusters/big"
    (cluster / "services").mkdir(parents=True, exist_ok=True)
    addresses = "".join(f"  node-{i}: {{address: {network}.{i + 1}}}\n" for i in range(nodes))
    (cluster / "cluster.yaml").write_text(f"version: 1\ndomain: example.com\nnodes:\n{addresses}{INGRESS[kind]}",
                                          encoding="utf-8")
    makers = {"mixed": [image, image, static, respond], "static": [static]}[kind]
    for i in range(services):
        name = f"service-{i:04}"
        write(cluster / "services", name, makers[i % len(makers)](name, i))


if __name__ == "__main__":
    generate(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
