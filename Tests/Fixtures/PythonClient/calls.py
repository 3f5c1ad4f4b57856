"""Makes one call of the trace service with gRPC's own stub and prints how it ended, as one line of JSON.

    calls.py ADDRESS KIND TIMEOUT [CERTIFICATE]

KIND: `mixed` sends three spans of which two have broken ids; `good` sends one. TIMEOUT is in seconds.
"""

import json
import sys

import grpc
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

address, kind, timeout = sys.argv[1], sys.argv[2], float(sys.argv[3])
request = ExportTraceServiceRequest()
spans = request.resource_spans.add().scope_spans.add().spans
spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="good")
if kind == "mixed":
    spans.add(trace_id=b"t" * 15, span_id=b"s" * 8, name="short")
    spans.add(trace_id=b"t" * 16, span_id=b"\0" * 8, name="zero")

if len(sys.argv) > 4:
    with open(sys.argv[4], "rb") as file:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))
else:
    channel = grpc.insecure_channel(address)
result = {"code": "OK", "rejected": 0, "message": "", "retry_seconds": None}
# Time to connect is not the call's.
grpc.channel_ready_future(channel).result(60)
try:
    response = TraceServiceStub(channel).Export(request, timeout=timeout)
    result["rejected"] = response.partial_success.rejected_spans
    result["message"] = response.partial_success.error_message
except grpc.RpcError as error:
    result["code"] = error.code().name
    result["message"] = error.details()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    result["retry_seconds"] = info.retry_delay.seconds
print(json.dumps(result))
