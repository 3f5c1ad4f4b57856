"""Sends spans, logs and metrics with OpenTelemetry's own exporters and prints how each ended, one a line.

    send.py {grpc|http} ENDPOINT COUNT

The usual OTEL_EXPORTER_OTLP_* variables say the rest: compression, headers, certificate.
"""

import logging
import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

protocol, endpoint, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
resource = Resource.create({"service.name": f"python-{protocol}"})

if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    make = lambda exporter, path: exporter(endpoint=endpoint, timeout=120)
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    make = lambda exporter, path: exporter(endpoint=endpoint + path, timeout=120)


def spans():
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("test")
    for index in range(count):
        with tracer.start_as_current_span(f"step-{index}", attributes={"n": index, "text": "words " * 50}):
            pass
    return kept.get_finished_spans()


def logs():
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    logger = provider.get_logger("test")
    for index in range(count):
        logger.emit(LogRecord(timestamp=index + 1, body=f"line-{index}", severity_number=SeverityNumber.INFO))
    return kept.get_finished_logs()


def metrics():
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader], resource=resource).get_meter("test")
    for index in range(count):
        meter.create_counter(f"counter-{index}").add(index + 1)
    return reader.get_metrics_data()


for name, exporter, path, data in [
    ("spans", OTLPSpanExporter, "/v1/traces", spans()),
    ("logs", OTLPLogExporter, "/v1/logs", logs()),
    ("metrics", OTLPMetricExporter, "/v1/metrics", metrics()),
]:
    client = make(exporter, path)
    print(name, client.export(data).name, flush=True)
    client.shutdown()
