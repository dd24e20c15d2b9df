#!/usr/bin/env python3
"""Calls every method of a running server with nothing in hand but its reflection: no generated code, no proto files.

    pip install grpcio-reflection googleapis-common-protos
    category-mirror serve --dev &
    python3 reflection_client.py 127.0.0.1:50051 "$(category-mirror token --dev --role admin --subject reflection)"

Exits 0 when every method answers as it must. It fails when reflection shows a method that STEPS does not call, so a new method
has to be added here. It needs the first of the demo's locations, which `--dev` seeds, and removes what it creates.
"""

import sys
import uuid

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2

OURS, HEALTH = "categorymirror.v1.", "grpc.health.v1.Health"
# Both speak the same messages. Clients of today ask v1; Python's own package and older tools know v1alpha only.
REFLECTIONS = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
ID = f"reflection-{uuid.uuid4().hex[:12]}"
CATEGORY, OTHER = f"platformCategories/{ID}", f"platformCategories/{ID}-2"
TENANT = f"tenants/{ID}"
PLATFORM_TO_GBP = {"tenant": TENANT, "strategy": "STRATEGY_PLATFORM_TO_GBP"}
DEADLINE = 30

# Method, request, and the code that must come. "$run" and "$batch" stand for what the last MirrorCategories answered with.
CATEGORIES, TENANTS, MIRROR, BATCHES, FLAGS, CREDENTIALS = (
    OURS + name
    for name in (
        "CategoryService/", "TenantService/", "CategoryMirrorService/", "BatchService/", "FlagService/", "CredentialService/"))
ACCOUNT = {"account": f"accounts/{ID}"}
FLAG = "flags/FF_TENANT_PLATFORM_CATEGORY"
STEPS = [
    (HEALTH + "/Check", {}, "OK"),
    (HEALTH + "/Check", {"service": OURS + "CategoryMirrorService"}, "OK"),
    (HEALTH + "/Watch", {"service": OURS + "TenantService"}, "OK"),
    (CATEGORIES + "CreatePlatformCategory", {"platform_category": {"name": CATEGORY, "display_name": "Groceries", "gbp_category": "gcid:grocery_store"}}, "OK"),
    (CATEGORIES + "CreatePlatformCategory", {"platform_category": {"name": OTHER, "display_name": "Other"}}, "OK"),
    (CATEGORIES + "CreatePlatformCategory", {"platform_category": {"name": OTHER, "display_name": "Other"}}, "ALREADY_EXISTS"),
    (CATEGORIES + "CreatePlatformCategory", {"platform_category": {"name": "", "gbp_category": "gcid:a-b"}}, "INVALID_ARGUMENT"),
    (CATEGORIES + "GetPlatformCategory", {"name": CATEGORY}, "OK"),
    (CATEGORIES + "ListPlatformCategories", {"unmapped_only": True, "page_size": 1}, "OK"),
    (CATEGORIES + "UpdatePlatformCategory", {"platform_category": {"name": OTHER, "gbp_category": "gcid:deli"}, "update_mask": "gbpCategory"}, "OK"),
    (CATEGORIES + "SearchCategories", {"query": "groc", "region_code": "ZZ", "language_code": "en"}, "NOT_FOUND"),
    (CATEGORIES + "RefreshTaxonomy", {"region_code": "us"}, "INVALID_ARGUMENT"),
    (CATEGORIES + "RefreshTaxonomy", {"region_code": "US", "language_code": "en"}, "OK"),
    (CATEGORIES + "ListTaxonomyVersions", {"region_code": "US"}, "OK"),
    (CATEGORIES + "SearchCategories", {"query": "groc", "region_code": "US", "language_code": "en"}, "OK"),
    (CATEGORIES + "ListMappingSuggestions", {"region_code": "US", "language_code": "en", "match_count": 1}, "OK"),
    (CATEGORIES + "ImportPlatformCategories", {"platform_categories": [{"name": OTHER, "display_name": "A &amp; B"}], "validate_only": True}, "OK"),
    (CATEGORIES + "UpdatePlatformCategory", {"platform_category": {"name": OTHER, "regional_gbp_categories": {"US": "gcid:no_such"}}}, "INVALID_ARGUMENT"),
    (TENANTS + "ImportTenants", {"tenants": [{"tenant": {"name": TENANT}}], "validate_only": True}, "OK"),
    (TENANTS + "ImportTenants", {}, "INVALID_ARGUMENT"),
    (TENANTS + "CreateTenant", {"tenant": {"name": TENANT, "display_name": "Reflection", "region_code": "US", "language_code": "en"}}, "OK"),
    (TENANTS + "GetTenant", {"name": TENANT}, "OK"),
    (TENANTS + "ListTenants", {}, "OK"),
    (MIRROR + "MirrorCategories", PLATFORM_TO_GBP, "FAILED_PRECONDITION"),
    (TENANTS + "UpdateTenant", {"tenant": {"name": TENANT, "gbp_account": "accounts/1001", "gbp_location": "locations/2001"}}, "OK"),
    (FLAGS + "ListFlags", {}, "OK"),
    (FLAGS + "UpdateFlag", {"flag": {"name": FLAG, "state": "STATE_OFF"}, "reason": "reflection"}, "OK"),
    (FLAGS + "EvaluateFlag", {"name": FLAG, "tenant": TENANT}, "OK"),
    (TENANTS + "SetTenantCategories", {"tenant": TENANT, "categories": {"primary": CATEGORY}}, "FAILED_PRECONDITION"),
    (FLAGS + "UpdateFlag", {"flag": {"name": FLAG, "state": "STATE_PARTIAL", "tenants": [TENANT]}, "expected_revision": 99999}, "ABORTED"),
    (FLAGS + "UpdateFlag", {"flag": {"name": FLAG, "tenants": ["tenants/nobody"]}}, "INVALID_ARGUMENT"),
    (FLAGS + "UpdateFlag", {"flag": {"name": FLAG, "tenants": ["tenants/nobody"]}, "allow_unknown": True}, "OK"),
    (FLAGS + "UpdateFlag", {"flag": {"name": FLAG, "state": "STATE_ON"}}, "OK"),
    (FLAGS + "GetFlag", {"name": FLAG}, "OK"),
    (FLAGS + "GetFlag", {"name": "flags/FF_" + FLAG.removeprefix("flags/")}, "NOT_FOUND"),
    (FLAGS + "ListFlagChanges", {"flag": FLAG, "page_size": 1}, "OK"),
    (TENANTS + "SetTenantCategories", {"tenant": TENANT, "categories": {"primary": CATEGORY, "additional": [OTHER]}}, "OK"),
    (TENANTS + "GetTenantCategories", {"tenant": TENANT}, "OK"),
    (MIRROR + "MirrorCategories", {"tenant": TENANT}, "INVALID_ARGUMENT"),
    (MIRROR + "MirrorCategories", {**PLATFORM_TO_GBP, "dry_run": True, "request_id": ID}, "OK"),
    (MIRROR + "StreamRunUpdates", {"name": "$run"}, "OK"),
    (MIRROR + "GetRun", {"name": "$run"}, "OK"),
    (MIRROR + "GetLastRun", PLATFORM_TO_GBP, "OK"),
    (MIRROR + "CancelRun", {"name": "$run"}, "OK"),
    (MIRROR + "RevertRun", {"name": "$run"}, "FAILED_PRECONDITION"),
    (MIRROR + "RevertRun", {"name": "", "override_guards": ["all"], "reason": ""}, "INVALID_ARGUMENT"),
    (MIRROR + "ListSyncLogs", {"tenant": TENANT}, "OK"),
    (MIRROR + "GetSyncStats", {"window": "3600s"}, "OK"),
    (MIRROR + "GetSyncStats", {"tenant": "tenants/nobody"}, "NOT_FOUND"),
    (MIRROR + "ListSyncLogs", {"tenant": "tenants/nobody"}, "NOT_FOUND"),
    (MIRROR + "StreamRunUpdates", {"name": "tenants/nobody"}, "NOT_FOUND"),
    (TENANTS + "GetTenantSync", {"name": TENANT + "/sync"}, "OK"),
    (TENANTS + "GetTenantSync", {"name": TENANT}, "INVALID_ARGUMENT"),
    (TENANTS + "ListTenantSyncs", {"causes": ["CAUSE_NEVER_SYNCED", "CAUSE_UNKNOWN"], "page_size": 1}, "OK"),
    (TENANTS + "ListTenantSyncs", {"causes": ["CAUSE_IN_SYNC"], "out_of_sync_only": True}, "INVALID_ARGUMENT"),
    (TENANTS + "DecideTenantSync", {"name": TENANT + "/sync", "decision": "DECISION_IGNORE"}, "INVALID_ARGUMENT"),
    (TENANTS + "DecideTenantSync", {"name": TENANT + "/sync", "decision": "DECISION_IGNORE", "reason": "reflection"}, "OK"),
    (MIRROR + "MirrorCategories", {"all_tenants": True, "strategy": "STRATEGY_PLATFORM_TO_GBP", "dry_run": True}, "INVALID_ARGUMENT"),
    (MIRROR + "MirrorCategories", {"organization": f"organizations/{ID}", "strategy": "STRATEGY_PLATFORM_TO_GBP"}, "NOT_FOUND"),
    (TENANTS + "UpdateTenant", {"tenant": {"name": TENANT, "organization": f"organizations/{ID}"}}, "OK"),
    (MIRROR + "MirrorCategories", {"organization": f"organizations/{ID}", "strategy": "STRATEGY_PLATFORM_TO_GBP", "dry_run": True}, "OK"),
    (MIRROR + "StreamRunUpdates", {"name": "$batch"}, "OK"),
    (BATCHES + "GetBatch", {"name": "$batch"}, "OK"),
    (BATCHES + "CancelBatch", {"name": "$batch"}, "OK"),
    (BATCHES + "ListBatches", {"page_size": 1}, "OK"),
    (CREDENTIALS + "SetCredentials", {**ACCOUNT, "client_id": "", "client_secret": "a b"}, "INVALID_ARGUMENT"),
    (CREDENTIALS + "SetCredentials", {**ACCOUNT, "client_id": "reflection", "client_secret": "not-a-secret", "refresh_token": "not-a-token"}, "OK"),
    (CREDENTIALS + "GetCredentials", ACCOUNT, "OK"),
    (CREDENTIALS + "ListCredentials", {"page_size": 1}, "OK"),
    (CREDENTIALS + "VerifyCredentials", ACCOUNT, "OK"),
    (CREDENTIALS + "ReencryptCredentials", {}, "OK"),
    (CREDENTIALS + "DeleteCredentials", ACCOUNT, "OK"),
    (CREDENTIALS + "GetCredentials", ACCOUNT, "NOT_FOUND"),
    (TENANTS + "DeleteTenant", {"name": TENANT}, "OK"),
    (TENANTS + "GetTenant", {"name": TENANT}, "NOT_FOUND"),
    (CATEGORIES + "DeletePlatformCategory", {"name": CATEGORY}, "OK"),
    (CATEGORIES + "DeletePlatformCategory", {"name": OTHER}, "OK"),
]


def fail(text):
    sys.exit(f"FAILED: {text}")


class Reflection:
    """What the server tells about itself, as descriptors."""

    def __init__(self, channel, service):
        self.ask = channel.stream_stream(
            f"/{service}/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        self.pool, self.files = descriptor_pool.DescriptorPool(), set()

    def answer(self, **request):
        message = reflection_pb2.ServerReflectionRequest(**request)
        answer = next(iter(self.ask(iter([message]), timeout=DEADLINE)))
        if answer.HasField("error_response"):
            fail(f"reflection on {request}: {answer.error_response.error_message}")
        return answer

    def services(self):
        return [service.name for service in self.answer(list_services="").list_services_response.service]

    def methods(self):
        """Every method by its full name, `package.Service/Method`."""
        services = self.services()
        for service in services:
            self.add(self.answer(file_containing_symbol=service))
        described = (self.pool.FindServiceByName(service) for service in services)
        return {f"{method.containing_service.full_name}/{method.name}": method for s in described for method in s.methods}

    def add(self, answer):
        """Adds files after those that they import, which are asked for when they did not come along."""
        files = [descriptor_pb2.FileDescriptorProto.FromString(raw) for raw in answer.file_descriptor_response.file_descriptor_proto]
        for file in files:
            if file.name in self.files:
                continue
            self.files.add(file.name)
            for name in file.dependency:
                if name not in self.files:
                    self.add(self.answer(file_by_filename=name))
            self.pool.Add(file)


class Caller:
    """Calls methods that are known by their descriptors only."""

    def __init__(self, channel, methods, token):
        self.channel, self.methods = channel, methods
        self.identity = [("authorization", f"Bearer {token}")]

    def __call__(self, name, fields, metadata=None):
        """The code and the messages of a call, and the ErrorInfo of its error, or its words where there is none."""
        method = self.methods[name]
        request_class, answer_class = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
        request = json_format.ParseDict(fields, request_class())
        kind = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        call = kind(f"/{name}", request_serializer=request_class.SerializeToString, response_deserializer=answer_class.FromString)
        try:
            answer = call(request, timeout=DEADLINE, metadata=self.identity if metadata is None else metadata)
            if not method.server_streaming:
                return "OK", [answer], None
            # A run's stream ends by itself; that of health would go on for ever.
            messages = [next(answer)] if name.startswith(HEALTH) else list(answer)
            answer.cancel()
            return "OK", messages, None
        except grpc.RpcError as error:
            return error.code().name, [], error_info(error) or error.details()


def error_info(error):
    """The ErrorInfo that each error of ours carries."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info
    return None


def main():
    address, token = sys.argv[1:3]
    channel = grpc.insecure_channel(address)
    described = [Reflection(channel, service).methods() for service in REFLECTIONS]
    methods = described[0]
    ours = {name for name in methods if name.startswith(OURS)}
    if not ours or {name for name in described[1] if name.startswith(OURS)} != ours:
        fail(f"the two reflections differ: {sorted(described[0])}, {sorted(described[1])}")

    # Reflection's own method is the one that all of this came by.
    callable_ = {name for name in methods if not name.startswith("grpc.reflection.")}
    called = {name for name, _, _ in STEPS}
    if callable_ != called:
        fail(f"shown but not in STEPS: {sorted(callable_ - called)}; in STEPS but not shown: {sorted(called - callable_)}")

    call = Caller(channel, methods, token)
    for name in sorted(ours):
        code, _, info = call(name, {}, metadata=[])
        if code != "UNAUTHENTICATED" or getattr(info, "reason", None) != "UNAUTHENTICATED":
            fail(f"{name} without a token: {code} {info}")

    made = {"$run": "", "$batch": ""}
    for name, fields, expected in STEPS:
        fields = {key: made.get(value, value) if isinstance(value, str) else value for key, value in fields.items()}
        code, answers, info = call(name, fields)
        print(f"{code:20} {name}")
        if code != expected:
            fail(f"{name} {fields}: {code} and not {expected}: {info}")
        if code != "OK" and (getattr(info, "domain", None) != OURS.rstrip(".") or not info.reason):
            fail(f"{name} {fields}: an error of ours carries ErrorInfo, this one {info}")
        if name == MIRROR + "MirrorCategories" and answers:
            made["$run" if answers[0].HasField("run") else "$batch"] = answers[0].run.name or answers[0].batch.name
        if name == MIRROR + "StreamRunUpdates" and "/runs/" in fields["name"]:
            last = json_format.MessageToDict(answers[-1])["run"]
            if last.get("state") != "STATE_SUCCEEDED":
                fail(f"{name} ended with {last}")
    print(f"{len(STEPS)} calls of {len(called)} methods answered as they must; {len(ours)} of them refuse a caller without a token")


if __name__ == "__main__":
    main()
