#!/usr/bin/env python3
"""Plays recorded runs of tau-bench (github.com/sierra-research/tau-bench, MIT licence) through agent_findings and
counts findings by whether the run reached its goal.

    tau_bench.py CHECKOUT RUNS.json SLUICE

CHECKOUT is a copy of that repository, RUNS.json one of its historical_trajectories, SLUICE the binary. Nothing of the
repository is run: tool definitions are read as literals.
"""
import ast
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

CONFIG = """
receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:4318}}}}
processors: {agent_findings: {}}
exporters: {nop: {}}
service: {pipelines: {traces: {receivers: [otlp], processors: [agent_findings], exporters: [nop]}}}
"""


def definitions(checkout, domain):
    """The dictionaries that the tools' get_info return."""
    found = []
    for path in sorted(pathlib.Path(checkout, "tau_bench/envs", domain, "tools").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "get_info":
                for step in node.body:
                    if isinstance(step, ast.Return):
                        function = ast.literal_eval(step.value)["function"]
                        found.append({"type": "function", **function})
    return found


def attribute(key, value):
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return {"key": key, "value": {"stringValue": text}}


def parts(message):
    made = []
    if message.get("content"):
        made.append({"type": "text", "content": message["content"]})
    for call in message.get("tool_calls") or []:
        function = call["function"]
        try:
            arguments = json.loads(function["arguments"])
        except ValueError:
            arguments = function["arguments"]
        made.append({"type": "tool_call", "id": call["id"], "name": function["name"], "arguments": arguments})
    if message["role"] == "tool":
        made = [{"type": "tool_call_response", "id": message["tool_call_id"], "response": message["content"]}]
    return {"role": message["role"], "parts": made}


def spans(run, number, tools):
    """One trace: the agent, its model calls and its tool calls."""
    made = []

    def span(name, attributes):
        start = 1_790_000_000_000_000_000 + number * 10**12 + len(made) * 10**9
        made.append({
            "traceId": f"{number + 1:032x}", "spanId": f"{len(made) + 1:016x}", "name": name, "kind": 1,
            "parentSpanId": "" if not made else f"{1:016x}",
            "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 5 * 10**8),
            "attributes": [attribute(*pair) for pair in attributes] + [
                attribute("gen_ai.agent.name", "airline"), attribute("gen_ai.conversation.id", f"run-{number}")],
        })

    span("invoke_agent", [("gen_ai.operation.name", "invoke_agent")])
    history, called = [], {}
    for message in run["traj"]:
        if message["role"] == "assistant":
            calls = message.get("tool_calls") or []
            called.update({call["id"]: call["function"] for call in calls})
            span("chat", [
                ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o"),
                ("gen_ai.tool.definitions", tools), ("gen_ai.input.messages", list(history)),
                ("gen_ai.output.messages", [parts(message)])])
        elif message["role"] == "tool":
            function = called.get(message["tool_call_id"], {"arguments": "{}"})
            span("execute_tool", [
                ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", message["name"]),
                ("gen_ai.tool.call.id", message["tool_call_id"]),
                ("gen_ai.tool.call.arguments", function["arguments"]),
                ("gen_ai.tool.call.result", message["content"])])
        if message["role"] != "system":
            history.append(parts(message))
    return made


def main(checkout, runs_file, sluice):
    runs = json.load(open(runs_file))
    tools = definitions(checkout, "airline" if "airline" in pathlib.Path(runs_file).name else "retail")
    with tempfile.TemporaryDirectory() as folder:
        config, file = pathlib.Path(folder, "config.yaml"), pathlib.Path(folder, "runs.jsonl")
        config.write_text(CONFIG)
        with file.open("w") as out:
            for number, run in enumerate(runs):
                request = {"resourceSpans": [{"scopeSpans": [{"spans": spans(run, number, tools)}]}]}
                out.write(json.dumps(request, separators=(",", ":")) + "\n")
        output = subprocess.run(
            [sluice, "replay", "--config", config, file], capture_output=True, text=True, check=True).stdout
    found = collections.defaultdict(set)
    for line in output.splitlines():
        match = re.match(r"\s*(\w{32}) (\w{16}) (\w+) \((\w+)\)", line)
        if match:
            found[int(match[1], 16) - 1].add((match[3], match[4]))
    good = {number for number, run in enumerate(runs) if run["reward"] == 1}
    bad = set(range(len(runs))) - good
    print(f"{len(runs)} runs, {len(good)} reached their goal; definitions of {len(tools)} tools")
    names = sorted({pair for pairs in found.values() for pair in pairs})
    print(f"{'finding':44}{'of the failed':>16}{'of the good':>16}{'precision':>11}{'recall':>8}")

    def row(name, runs_with):
        hits, alarms = len(runs_with & bad), len(runs_with & good)
        precision = hits / max(1, hits + alarms)
        print(f"{name:44}{hits:>8}{100 * hits / len(bad):>6.1f} %{alarms:>8}{100 * alarms / len(good):>6.1f} %"
              f"{precision:>11.2f}{hits / len(bad):>8.2f}")

    for name in names:
        row(f"{name[0]} ({name[1]})", {number for number, pairs in found.items() if name in pairs})
    for tiers in [{"alert"}, {"alert", "tag"}]:
        row("any of " + " and ".join(sorted(tiers)),
            {number for number, pairs in found.items() if any(pair[1] in tiers for pair in pairs)})


if __name__ == "__main__":
    main(*sys.argv[1:])
