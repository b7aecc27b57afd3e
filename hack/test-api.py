"""Hooks for `hack/test-api`: some requests name what exists and whose turn it is, so that they get beyond the first check."""

import json
import os
import random
import urllib.request

import schemathesis

SERVER, TOKEN = os.environ["DESKPLANE_SERVER"], os.environ["DESKPLANE_TOKEN"]
KEYS = ["acme", "acme-org", "acme-org-first", "acme-dept", "acme-web", "beta", "tom"]


def ask(method, path, body, headers=None):
    request = urllib.request.Request(SERVER + path, method=method, data=json.dumps(body).encode())
    for name, value in {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **(headers or {})}.items():
        request.add_header(name, value)
    return json.load(urllib.request.urlopen(request))


def furnish():
    session = ask("POST", "/v1/epochs", {"owner": "owner"})
    turn = {"Deskplane-Owner": session["owner"], "Deskplane-Epoch": str(session["epoch"]), "Deskplane-Store": session["storeId"]}
    thing = lambda name: {"namespace": "chat", "name": name}
    person = {"email": "mia@acme.example", "role": "Manager", "suspended": False}
    put = lambda path, body: ask("PUT", path, body, turn)
    put("/v1/accounts/acme", {"object": thing("acme"), "desired": {"ownerEmail": "ada@acme.example", "limits": {"seats": 5}}})
    first = {"key": "acme-org-first", "object": thing("mia"), "desired": person}
    put("/v1/organizations/acme-org", {"object": thing("acme-org"), "account": "acme", "desired": {}, "firstOperator": first})
    put("/v1/departments/acme-dept", {"object": thing("sales"), "organization": "acme-org", "desired": {"displayName": "Sales"}})
    put("/v1/widgets/acme-web", {"object": thing("web"), "organization": "acme-org", "desired": {"allowedOrigins": []}})
    return turn


TURN = furnish()


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "id" in path_parameters and random.random() < 0.5:
        path_parameters["id"] = random.choice(KEYS)
    return path_parameters


@schemathesis.hook
def map_headers(context, headers):
    if headers and "Deskplane-Epoch" in headers and random.random() < 0.7:
        headers.update(TURN)
    return headers


@schemathesis.hook
def map_query(context, query):
    if query and "wait" in query and str(query["wait"]).isdigit():
        query["wait"] = "0"
    return query


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict) and random.random() < 0.5:
        for name in ("account", "organization"):
            if name in body:
                body[name] = "acme" if name == "account" else "acme-org"
    return body
