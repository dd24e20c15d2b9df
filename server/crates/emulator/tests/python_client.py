#!/usr/bin/env python3
"""Google's own Python client against the emulator: nobody here wrote it, so it judges what we did.

    pip install google-api-python-client
    cargo run -p gbp-emulator -- --listen 127.0.0.1:8765 &
    python3 server/crates/emulator/tests/python_client.py http://127.0.0.1:8765 [discovery.json]

The second argument is a discovery document to build the client from and to check the answers against; without it, the one
that the client brings along. Exits 0 when everything holds. It seeds locations of its own and leaves others alone, but sets
quotas, faults and tokens: give it an emulator of its own.
"""

import json
import sys
import urllib.request
import uuid

import google.auth.exceptions
import google.oauth2.credentials
import googleapiclient.http
import httplib2
from googleapiclient import discovery
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError

API, VERSION = "mybusinessbusinessinformation", "v1"
LOCATION = "locations/9100"
CHECKS = 0


def check(what, holds, seen=None):
    """Ends the run at the first thing that does not hold."""
    global CHECKS
    CHECKS += 1
    if not holds:
        sys.exit(f"FAILED: {what}: {json.dumps(seen, indent=1, default=str)}")


class Schema:
    """The discovery document's schemas: an answer may hold only what they know, and of the type that they say."""

    TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}

    def __init__(self, document):
        self.schemas = document["schemas"]

    def check(self, answer, name):
        self.object(answer, self.schemas[name], name)
        return answer

    def object(self, value, schema, at):
        check(f"{at} is an object", isinstance(value, dict), value)
        for field, inner in value.items():
            check(f"{at}.{field} is in the document", field in schema["properties"], value)
            self.value(inner, schema["properties"][field], f"{at}.{field}")

    def value(self, value, schema, at):
        check(f"{at} is not empty, as proto3 JSON has it", value not in (None, False, "", [], {}), value)
        if "$ref" in schema:
            self.object(value, self.schemas[schema["$ref"]], at)
        elif schema["type"] == "array":
            check(f"{at} is a list", isinstance(value, list), value)
            for index, item in enumerate(value):
                self.value(item, schema["items"], f"{at}[{index}]")
        else:
            check(f"{at} is a {schema['type']}", isinstance(value, self.TYPES[schema["type"]]), value)


class Control:
    """The emulator's control interface."""

    def __init__(self, endpoint):
        self.base = f"{endpoint}/_control"

    def __call__(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request) as response:
            return json.load(response)


def categories(primary, *additional):
    named = lambda slug: {"name": f"categories/gcid:{slug}"}
    return {"primaryCategory": named(primary), "additionalCategories": [named(slug) for slug in additional]}


def slugs(found):
    every = [found["primaryCategory"], *found.get("additionalCategories", [])]
    return [category["name"].removeprefix("categories/gcid:") for category in every]


def refused(request, status, reason=None):
    """The error of a request, which must be one of Google's."""
    try:
        answer = request.execute()
    except HttpError as error:
        body = json.loads(error.content)["error"]
        check(f"the status is {status}", error.status_code == status == body["code"], body)
        check("the envelope", set(body) <= {"code", "message", "status", "details"} and body["message"], body)
        for detail in body.get("details", []):
            check("a detail names its type", detail["@type"].startswith("type.googleapis.com/google.rpc."), body)
        reasons = [detail["reason"] for detail in body.get("details", []) if "reason" in detail]
        check(f"the reason is {reason}", reason is None or reason in reasons, body)
        return body
    sys.exit(f"FAILED: not refused with {status}: {answer}")


def run(api, schema, control):
    """Every call that the emulator answers, and what Google would object to."""
    account = "accounts/9001"
    for number in range(12):
        seed = {"account": account, "title": f"Store {number}", "regionCode": "US", "categories": categories("bakery", "deli")}
        control("PUT", f"/locations/{9100 + number}", seed)
    control("DELETE", "/calls")

    # Reading.
    location = schema.check(api.locations().get(name=LOCATION, readMask="name,title,categories,metadata").execute(), "Location")
    check("the categories", slugs(location["categories"]) == ["bakery", "deli"], location)
    check("the display name", location["categories"]["primaryCategory"]["displayName"] == "Bakery", location)
    body = refused(api.locations().get(name=LOCATION), 400)
    violation = body["details"][0]["fieldViolations"][0]
    check("the missing mask", violation == {"field": "read_mask", "description": "Field is required"}, body)
    refused(api.locations().get(name=LOCATION, readMask="categories.additionalCategories.name"), 400)
    refused(api.locations().get(name="locations/9999", readMask="name"), 404)

    # Writing.
    patch = lambda found, **more: api.locations().patch(
        name=LOCATION, updateMask=more.pop("updateMask", "categories"), body={"categories": found}, **more
    )
    check("a validation answers nothing", patch(categories("cafe"), validateOnly=True).execute() == {})
    schema.check(patch(categories("cafe", "bakery")).execute(), "Location")
    read = api.locations().get(name=LOCATION, readMask="categories").execute()
    check("the patch, not the validation", slugs(read["categories"]) == ["cafe", "bakery"], read)
    schema.check(patch({"primaryCategory": {"name": "categories/gcid:cafe"}}).execute(), "Location")
    read = schema.check(api.locations().get(name=LOCATION, readMask="categories").execute(), "Location")
    check("what was left out is gone", slugs(read["categories"]) == ["cafe"], read)
    refused(patch(categories("made_up_here")), 400, "INVALID_CATEGORY")
    refused(patch(categories("cafe", *["bar", "pub", "deli", "bakery", "diner", "bistro", "gym", "bank", "zoo", "hotel"])), 400, "TOO_MANY_ENTRIES")
    refused(patch({"additionalCategories": []}), 400, "REQUIRED_FIELD_MISSING_VALUE")
    body = refused(patch(categories("bar"), updateMask="categories.primaryCategory"), 400)
    check("the recorded words", "primary or additional categories cannot be updated independently." in json.dumps(body), body)

    # The public's view.
    updated = lambda: schema.check(
        api.locations().getGoogleUpdated(name=LOCATION, readMask="categories").execute(), "GoogleUpdatedLocation"
    )
    check("no difference", "diffMask" not in updated(), updated())
    control("POST", "/locations/9100:edit", {"by": "google", "categories": categories("night_club")})
    check("Google's edit", updated()["diffMask"] == "categories", updated())
    metadata = api.locations().get(name=LOCATION, readMask="metadata").execute()
    check("the flag for it", schema.check(metadata, "Location")["metadata"]["hasGoogleUpdated"], metadata)

    # Lists, with the client's own paging.
    request, sizes = api.accounts().locations().list(parent=account, readMask="name,categories", pageSize=5), []
    while request is not None:
        page = schema.check(request.execute(), "ListLocationsResponse")
        sizes.append(len(page["locations"]))
        request = api.accounts().locations().list_next(request, page)
    check("pages of five", sizes == [5, 5, 2], sizes)
    refused(api.accounts().locations().list(parent=account, readMask="name", pageToken="made up"), 400)
    where = {"regionCode": "US", "languageCode": "en", "view": "BASIC"}
    request, names = api.categories().list(**where, pageSize=100), []
    while request is not None:
        page = schema.check(request.execute(), "ListCategoriesResponse")
        names += [category["name"] for category in page["categories"]]
        request = api.categories().list_next(request, page)
    check("hundreds of categories, none twice", len(names) == len(set(names)) > 200, len(names))
    found = schema.check(api.categories().list(**where, filter="displayName=food").execute(), "ListCategoriesResponse")
    check("a search", all(c["displayName"].lower().startswith("food") for c in found["categories"]), found)
    refused(api.categories().list(regionCode="US"), 400)

    # A few names travel in the URL; many make the client send a POST with X-HTTP-Method-Override.
    batch = lambda wanted, **more: schema.check(
        api.categories().batchGet(names=wanted, **{**where, **more}).execute(), "BatchGetCategoriesResponse"
    )
    few = batch(["categories/gcid:butcher_shop", "categories/gcid:cafe", "categories/gcid:no_such_thing"])
    check("the known ones", {c["name"] for c in few["categories"]} == {"categories/gcid:butcher_shop", "categories/gcid:cafe"}, few)
    butcher = batch(["categories/gcid:butcher_shop"], regionCode="IN")["categories"][0]
    check("the name in India", butcher["displayName"] == "Chicken & Mutton Shop", butcher)
    many = names[:150]
    request = api.categories().batchGet(names=many, **where)
    check("the URL is too long", len(request.uri) > googleapiclient.http.MAX_URI_LENGTH, len(request.uri))
    check("all of them", {c["name"] for c in batch(many)["categories"]} == set(many))

    # What Google counts and limits.
    calls = control("GET", "/calls")
    check("validations are counted apart", (calls["locations.patch.validateOnly"], len(calls["writes"])) == (1, 2), calls)
    control("PUT", "/quota", {"requests_per_minute": 0})
    body = refused(api.locations().get(name=LOCATION, readMask="name"), 429, "RATE_LIMIT_EXCEEDED")
    check("no access", body["details"][0]["metadata"]["quota_limit_value"] == "0", body)
    control("PUT", "/quota", {})
    control("POST", "/faults", {"method": "locations.get", "status": 503, "times": 1})
    refused(api.locations().get(name=LOCATION, readMask="name"), 503)


def main():
    endpoint = sys.argv[1].rstrip("/")
    text = open(sys.argv[2]).read() if len(sys.argv) > 2 else get_static_doc(API, VERSION)
    control, schema = Control(endpoint), Schema(json.loads(text))

    def client(credentials):
        return discovery.build_from_document(text, credentials=credentials, client_options={"api_endpoint": endpoint})

    fixed = google.oauth2.credentials.Credentials("a-fixed-token")
    run(client(fixed), schema, control)
    refresh = f"python-{uuid.uuid4()}"
    renewing = google.oauth2.credentials.Credentials(
        None, refresh_token=refresh, token_uri=f"{endpoint}/token", client_id="id", client_secret="secret"
    )
    run(client(renewing), schema, control)

    # A token that dies between two calls is renewed without the caller noticing; a revoked refresh token is an error.
    read = lambda: client(renewing).locations().get(name=LOCATION, readMask="name").execute()
    issued, before = renewing.token, control("GET", "/calls").get("token", 0)
    control("POST", "/tokens", {"expire_access": True})
    check("the call succeeds", read() == {"name": LOCATION})
    check("with a new token", renewing.token != issued and control("GET", "/calls")["token"] == before + 1)
    control("POST", "/tokens", {"revoke_refresh": [refresh], "expire_access": True})
    try:
        read()
    except google.auth.exceptions.RefreshError as error:
        check("invalid_grant", "invalid_grant" in str(error), str(error))
    else:
        sys.exit("FAILED: a revoked refresh token still works")
    anonymous = discovery.build_from_document(text, http=httplib2.Http(), client_options={"api_endpoint": endpoint})
    refused(anonymous.locations().get(name=LOCATION, readMask="name"), 401, "CREDENTIALS_MISSING")
    print(f"{CHECKS} checks hold")


if __name__ == "__main__":
    main()
