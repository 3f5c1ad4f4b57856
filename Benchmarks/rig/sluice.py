"""Sluice for the gateway rig: writes a configuration for a scenario and says how to start it.

Environment: SLUICE_BIN, path of a release build of `sluice`. Scenarios that answer None are not supported.
"""
import os
import subprocess

from common import REDACT, RENAMES

BINARY = os.environ.get("SLUICE_BIN", "sluice")


def version():
    run = subprocess.run([BINARY, "version"], capture_output=True, text=True)
    return run.stdout.strip()


def available():
    return bool(os.environ.get("SLUICE_BIN"))


def exporter(scenario, context):
    """The exporter's part of the file, and its name."""
    if scenario == "discard":
        return "  nop:\n    sending_queue: {storage: memory, sizer: bytes, queue_size: 256MiB}\n", "nop"
    if scenario.startswith("file"):
        form = "proto" if scenario == "file_pb" else "json"
        return (
            "  file:\n"
            f"    path: {context.workdir}/out.json\n"
            f"    format: {form}\n"
            "    sending_queue: {storage: memory, sizer: bytes, queue_size: 256MiB}\n"
        ), "file"
    spans = context.batch_spans
    # The journal on disk always syncs before it answers, so `queue` and `queue_fsync` are the same here.
    storage = "file_storage" if scenario.startswith("queue") else "memory"
    compression = "gzip" if context.out_gzip else "none"
    return (
        "  otlp_http:\n"
        f"    endpoint: {context.out_url}\n"
        f"    compression: {compression}\n"
        "    sending_queue:\n"
        f"      storage: {storage}\n"
        "      sizer: bytes\n"
        "      queue_size: 256MiB\n"
        f"      batch: {{flush_timeout: 200ms, min_size: {spans}, max_size: {spans}, sizer: items}}\n"
    ), "otlp_http"


def processors(scenario):
    """The processors' part of the file, and their names."""
    if scenario != "proc":
        return "", []
    actions = []
    for old, new in RENAMES:
        actions.append(f"{{key: {new}, from_attribute: {old}, action: insert}}")
        actions.append(f"{{key: {old}, action: delete}}")
    actions.append("{key: deployment.region, value: eu-1, action: insert}")
    actions.append("{key: user.id, action: hash}")
    lines = ["processors:", "  attributes:", "    actions:"]
    lines += [f"      - {action}" for action in actions]
    lines += ["  redaction:", "    allow_all_keys: true", "    blocked_values:"]
    lines += [f"      - '{pattern}'" for pattern in REDACT]
    return "\n".join(lines) + "\n", ["attributes", "redaction"]


def launch(scenario, context):
    exporter_text, exporter_name = exporter(scenario, context)
    processor_text, processor_names = processors(scenario)
    extensions = ""
    names = ""
    if scenario.startswith("queue"):
        extensions = f"extensions:\n  file_storage: {{directory: {context.workdir}/journal}}\n"
        names = "file_storage"
    text = (
        "receivers:\n"
        "  otlp:\n"
        "    protocols:\n"
        "      http:\n"
        f"        endpoint: 127.0.0.1:{context.in_port}\n"
        "        max_request_body_size: 67108864\n"
        f"{processor_text}"
        f"exporters:\n{exporter_text}"
        f"{extensions}"
        "service:\n"
        f"  extensions: [{names}]\n"
        "  telemetry:\n"
        "    metrics: {level: none}\n"
        "    logs: {level: error}\n"
        "  pipelines:\n"
        "    traces:\n"
        "      receivers: [otlp]\n"
        f"      processors: [{', '.join(processor_names)}]\n"
        f"      exporters: [{exporter_name}]\n"
    )
    path = f"{context.workdir}/sluice.yaml"
    with open(path, "w") as file:
        file.write(text)
    return {
        "argv": [BINARY, "run", "--config", path, "--data-directory", f"{context.workdir}/data"],
        "env": {},
    }
