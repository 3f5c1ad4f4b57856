"""Reads pairs of protobuf requests with OpenTelemetry's own messages: both must be read, and as the same.

    judge.py LIST, where each line of LIST is a signal and two files, separated by tabs

Prints what is wrong, one a line.
"""

import sys

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

kinds = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
judged = 0
for line in open(sys.argv[1]):
    signal, *paths = line.rstrip("\n").split("\t")
    read = []
    for path in paths:
        try:
            with open(path, "rb") as file:
                read.append(kinds[signal].FromString(file.read()))
        except DecodeError as error:
            print(f"{path}: {error}")
    # Text, since JSON knows one NaN only.
    if len(read) == 2 and str(read[0]) != str(read[1]):
        print(f"{paths[0]}: another request behind JSON")
    judged += 1
print(f"judged {judged}")
