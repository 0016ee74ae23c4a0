"""Reads a published OpenAPI 3.0 description, and says where a call that was made, or the answer that it got, is not as described:
unknown operations, parameters, bodies and answers."""

import json
import re

import jsonschema
import yaml


def as_json_schema(node):
    """OpenAPI 3.0's dialect as JSON Schema: `nullable`, and no words that mean nothing there."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: as_json_schema(value) for key, value in node.items() if key not in ("nullable", "discriminator", "example", "examples")}
    for key in ("exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(out.get(key), bool):
            del out[key]
    if node.get("nullable") is True:
        return {"anyOf": [out, {"type": "null"}]}
    return out


class Contract:
    def __init__(self, path, base=""):
        text = path.read_text(encoding="utf-8")
        self.document = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=yaml.CSafeLoader)
        self.base = base
        self.schemas = as_json_schema(self.document)
        self.resolver = jsonschema.RefResolver("", self.schemas)
        self.templates = [(re.compile("^" + re.sub(r"\{[^}]+\}", "[^/]+", template) + "$"), template) for template in self.document["paths"]]
        # One without a parameter in it comes before one that has any: /v2/droplets/actions is no droplet.
        self.templates.sort(key=lambda pair: pair[1].count("{"))

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            at = self.document
            for word in node["$ref"].removeprefix("#/").split("/"):
                at = at[word.replace("~1", "/").replace("~0", "~")]
            node = at
        return node

    def operation(self, method, path):
        for pattern, template in self.templates:
            if pattern.match(path) and method.lower() in self.document["paths"][template]:
                return template, self.document["paths"][template][method.lower()]
        return None, None

    def schema_problems(self, schema, value):
        validator = jsonschema.Draft4Validator(as_json_schema(schema), resolver=self.resolver)
        return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator.iter_errors(value)]

    def parameter_problems(self, template, operation, call):
        declared = [self.resolve(p) for p in operation.get("parameters", []) + self.document["paths"][template].get("parameters", [])]
        query = {p["name"]: p for p in declared if p["in"] == "query"}
        for name, text in call.query.items():
            if name not in query:
                yield f"parameter '{name}' is not described"
                continue
            kind = self.resolve(query[name].get("schema", {})).get("type")
            value = int(text) if kind in ("integer", "number") and text.isdigit() else text
            yield from (f"parameter {name}: {p}" for p in self.schema_problems(query[name].get("schema", {}), value))
        yield from (f"parameter '{name}' is missing" for name, p in query.items() if p.get("required") and name not in call.query)

    def body_schema(self, template, method):
        operation = self.document["paths"][template][method.lower()]
        return self.resolve(operation["requestBody"])["content"]["application/json"].get("schema", {})

    def problems(self, call):
        """What is wrong with a call of tests/doubles/api.py and its answer, as texts."""
        path = call.path.removeprefix(self.base)
        template, operation = self.operation(call.method, path)
        where = f"{call.method} {path} {call.status}"
        if not template:
            return [f"{where}: no such operation"]
        found = list(self.parameter_problems(template, operation, call))
        if call.body is not None:
            found += [f"sent {p}" for p in self.schema_problems(self.body_schema(template, call.method), call.body)]
        found += self.answer_problems(operation, call)
        return [f"{where}: {text}" for text in found]

    def answer_problems(self, operation, call):
        if not call.status:
            return []
        responses = operation["responses"]
        name = next((n for n in (str(call.status), f"{call.status // 100}XX", f"{call.status // 100}xx", "default") if n in responses), None)
        if not name:
            return [f"status {call.status} is not described"]
        content = self.resolve(responses[name]).get("content", {}).get("application/json")
        if content is None:
            return [] if call.answer is None else ["an answer where none is described"]
        if call.answer is None:
            return [] if call.status == 204 else ["no answer where one is described"]
        schema = self.resolve(content.get("schema", {}))
        # Cloudflare describes a failure as a success and a failure at once, which nothing can be: the failure is what is meant.
        if call.status >= 400 and len(schema.get("allOf", [])) == 2:
            schema = schema["allOf"][1]
        return [f"answered {p}" for p in self.schema_problems(schema, call.answer)]
