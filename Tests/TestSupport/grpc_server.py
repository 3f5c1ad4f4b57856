"""An OTLP receiver over gRPC for tests, made of grpcio and OpenTelemetry's own messages.

    grpc_server.py [--tls CERT KEY] [--limit BYTES] [BEHAVIOUR ...]

Prints the port, then one line of JSON per call. Each call takes the next behaviour; after the last, all are "ok".
"""

import json
import os
import sys
import threading
from concurrent import futures

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace

SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": (trace.ExportTraceServiceRequest, "rejected_spans"),
    "opentelemetry.proto.collector.logs.v1.LogsService": (logs.ExportLogsServiceRequest, "rejected_log_records"),
    "opentelemetry.proto.collector.metrics.v1.MetricsService": (
        metrics.ExportMetricsServiceRequest,
        "rejected_data_points",
    ),
}
ANSWERS = {
    "rejected_spans": trace.ExportTraceServiceResponse,
    "rejected_log_records": logs.ExportLogsServiceResponse,
    "rejected_data_points": metrics.ExportMetricsServiceResponse,
}


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def retry_info(code, message, seconds):
    """A google.rpc.Status with a RetryInfo, as grpc-status-details-bin carries it."""
    delay = b"\x08" + varint(seconds)
    detail = field(1, b"type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, delay))
    return b"\x08" + varint(code) + field(2, message.encode()) + field(3, detail)


class Behaviours:
    def __init__(self, words):
        self.words = list(words)
        self.lock = threading.Lock()

    def next(self):
        with self.lock:
            return self.words.pop(0) if self.words else "ok"


def count(request):
    records = 0
    for resource in list(request.ListFields()[0][1]) if request.ListFields() else []:
        for name in ("scope_spans", "scope_logs", "scope_metrics"):
            for scope in getattr(resource, name, []):
                for inner in ("spans", "log_records", "metrics"):
                    records += len(getattr(scope, inner, []))
    return records


class Handler(grpc.GenericRpcHandler):
    def __init__(self, behaviours):
        self.behaviours = behaviours
        self.print_lock = threading.Lock()

    def service(self, details):
        service, _, method = details.method.lstrip("/").partition("/")
        if service not in SERVICES or method != "Export":
            return None
        kind, rejected = SERVICES[service]
        metadata = {
            name: value if isinstance(value, str) else value.decode("utf-8", "replace")
            for name, value in details.invocation_metadata
        }
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.answer(request, context, rejected, details.method, metadata),
            request_deserializer=kind.FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )

    def answer(self, request, context, rejected, method, metadata):
        word = self.behaviours.next()
        left = context.time_remaining()
        line = {
            "method": method,
            "metadata": metadata,
            "records": count(request),
            "behaviour": word,
            "deadline": left if left is not None and left < 1e6 else None,
        }
        with self.print_lock:
            print(json.dumps(line), flush=True)
        name, _, value = word.partition("=")
        answer = ANSWERS[rejected]()
        if name == "partial":
            setattr(answer.partial_success, rejected, int(value))
            answer.partial_success.error_message = "too old, 100% sure"
        elif name == "warning":
            answer.partial_success.error_message = value
        elif name == "exhausted":
            self.fail(context, 8, "come back later", int(value) if value else None)
        elif name == "unavailable":
            self.fail(context, 14, "rolling restart", int(value) if value else None)
        elif name == "die":
            os._exit(3)
        elif name == "hang":
            threading.Event().wait(30)
        elif name == "status":
            self.fail(context, int(value), "as told", None)
        return answer

    def fail(self, context, code, message, seconds):
        if seconds is not None:
            details = retry_info(code, message, seconds)
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        status = next(status for status in grpc.StatusCode if status.value[0] == code)
        context.abort(status, message)


def main(arguments):
    tls = None
    if arguments[:1] == ["--tls"]:
        tls, arguments = arguments[1:3], arguments[3:]
    options = []
    if arguments[:1] == ["--limit"]:
        options.append(("grpc.max_receive_message_length", int(arguments[1])))
        arguments = arguments[2:]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=options)
    server.add_generic_rpc_handlers((Handler(Behaviours(arguments)),))
    if tls:
        certificate, key = (open(path, "rb").read() for path in tls)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


main(sys.argv[1:])
