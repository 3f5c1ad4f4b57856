"""A large database of the sqlite exporter, and how long `sluice query` takes on it: store.py DATABASE [options].

Makes the database unless it is there: traces of ten steps (an agent, five model calls, four tool calls of which one in
twenty fails) over the thirty days before now, ids in no order, five traces a session, 10,000 users. Tables come from
`sluice sql schema`; indices are made behind the rows. Then runs each question as a command of its own, as a user would,
a few times, and prints the middle and the 95th percentile. The file is not dropped from the page cache.
"""
import argparse
import os
import sqlite3
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TRACES_PER_TRANSACTION = 50_000

# Multipliers spread numbers over 32 bits, so that ids come in no order as random ones do.
SPANS = """
INSERT INTO spans (trace_id, span_id, parent_span_id, name, kind, start_time, end_time, duration_ms, status_code,
    service_name, scope_name, operation, provider, request_model, response_model, agent_name, tool_name, tool_type,
    tool_call_id, tool_arguments, tool_result, conversation_id, user_id, input_tokens, output_tokens, cost_usd,
    error_type, input_messages, output_messages, attributes, resource, scope, flags)
WITH RECURSIVE
    t(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM t WHERE n + 1 < :end),
    step(k) AS (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)),
    s AS (
        SELECT n, k, n / 5 AS session, n * 10 + k AS number,
            CASE WHEN k = 0 THEN 'invoke_agent' WHEN k % 2 = 1 THEN 'chat' ELSE 'execute_tool' END AS operation,
            k > 0 AND k % 2 = 0 AND (n * 10 + k) * 2654435761 % 4294967296 < 214748364 AS is_failed,
            :begin + n * :pause + k * 400000000 AS time
        FROM t, step)
SELECT
    printf('%08x%08x%08x%08x', n * 2654435761 % 4294967296, n * 2246822519 % 4294967296,
        n * 3266489917 % 4294967296, n * 668265263 % 4294967296),
    printf('%016x', number), CASE WHEN k > 0 THEN printf('%016x', n * 10) END,
    operation || ' ' || k, 'internal', time, time + 300000000 + number % 7 * 1000000, 300.0 + number % 7,
    CASE WHEN is_failed THEN 'error' ELSE 'unset' END,
    'service-' || (session % 8), 'bench', operation, CASE operation WHEN 'chat' THEN 'openai' END,
    CASE operation WHEN 'chat' THEN 'model-' || (n % 6) END, CASE operation WHEN 'chat' THEN 'model-' || (n % 6) END,
    'agent-' || (session % 20), CASE operation WHEN 'execute_tool' THEN 'tool-' || (number % 50) END,
    CASE operation WHEN 'execute_tool' THEN 'function' END,
    CASE operation WHEN 'execute_tool' THEN 'call-' || number END,
    CASE operation WHEN 'execute_tool' THEN '{"query":"order ' || number || ' of the customer"}' END,
    CASE operation WHEN 'execute_tool' THEN '{"answer":"it was sent on day ' || (number % 30) || '"}' END,
    'session-' || session, 'user-' || (session * 2654435761 % 4294967296 % 10000),
    CASE operation WHEN 'chat' THEN 100 + number % 900 END, CASE operation WHEN 'chat' THEN number % 300 END,
    CASE operation WHEN 'chat' THEN 0.001 * (number % 40) END,
    CASE WHEN is_failed THEN 'timeout' END,
    CASE operation WHEN 'chat' THEN '[{"role":"user","parts":[{"type":"text","content":"where is order ' || number ||
        '?"}]}]' END,
    CASE operation WHEN 'chat' THEN '[{"role":"assistant","parts":[{"type":"text","content":"it was sent on day ' ||
        number % 30 || '"}]}]' END,
    '{"customer.id":"customer-' || (session % 500) || '","customer.tier":' || (number % 3) || ',"region":"eu-' ||
        (n % 3) || '","retry":' || (number % 2) || ',"queue.time":' || (number % 9 * 0.25) || ',"build":"2026.11.' ||
        (number % 28) || '"}',
    '{"service.name":"service-' || (session % 8) || '","service.version":"1.2.3","host.name":"node-' || (n % 40) ||
        '"}',
    '{"name":"bench"}', 1
FROM s
"""


def make(arguments):
    dialect = [arguments.binary, "sql", "schema", "--dialect", "sqlite"]
    schema = subprocess.run(dialect, check=True, capture_output=True, text=True).stdout
    tables, indices = [], []
    for statement in schema.split(";\n\n"):
        (indices if "CREATE INDEX" in statement else tables).append(statement)
    partial = arguments.database + ".partial"
    database = sqlite3.connect(partial, isolation_level=None)
    for pragma in [f"page_size = {arguments.page_size}", "auto_vacuum = INCREMENTAL", "journal_mode = OFF",
                   "synchronous = OFF", "cache_size = -2000000"]:
        database.execute("PRAGMA " + pragma)
    for statement in tables:
        database.execute(statement)
    days = 30 * 86_400
    begin = (int(time.time()) - days) * 1_000_000_000
    pause = days * 1_000_000_000 // arguments.traces
    for first in range(0, arguments.traces, TRACES_PER_TRANSACTION):
        end = min(first + TRACES_PER_TRANSACTION, arguments.traces)
        database.execute("BEGIN")
        database.execute(SPANS, {"first": first, "end": end, "begin": begin, "pause": pause})
        database.execute("COMMIT")
        print(f"{end * 10:,} spans", flush=True)
    for statement in indices:
        database.execute(statement)
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    os.rename(partial, arguments.database)


def questions(database):
    """The arguments behind `sluice query`: ids are of the middle of the time."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as reader:
        trace, session = reader.execute(
            "SELECT trace_id, conversation_id FROM spans WHERE start_time >= "
            "(SELECT (min(start_time) + max(start_time)) / 2 FROM spans) ORDER BY start_time LIMIT 1").fetchone()
    day = ["--since", "24h"]
    filters = [
        ["--service", "service-3"], ["--agent", "agent-7"], ["--tool", "tool-14"], ["--model", "model-2"],
        ["--user", "user-77"]]
    rare = [[name, "no-such-one"] for name, _ in filters]
    return (
        [["sessions"], ["traces"], ["tools"], ["findings"], ["sessions", *day], ["traces", *day], ["tools", *day],
         ["tools", "--failed"], ["tools", "--failed", *day], ["session", session], ["trace", trace],
         ["tools", "--failed", "--tool", "tool-14", "--user", "user-77"],
         ["tools", "--failed", "--tool", "tool-14", "--user", "no-such-one"],
         ["tools", "--failed", *day, "--agent", "agent-7"], ["traces", "--where", "customer.tier=2"]]
        + [["traces", *each] for each in filters + rare] + [["tools", *each] for each in filters[:3] + rare[:3]]
        + [["tools", "--failed", *each] for each in filters + rare])


def measure(arguments, question):
    command = [arguments.binary, "query", *question, "--db", arguments.database]
    times, lines = [], 0
    for _ in range(arguments.runs):
        begin = time.perf_counter()
        answer = subprocess.run(command, check=True, capture_output=True)
        times.append((time.perf_counter() - begin) * 1_000)
        lines = answer.stdout.count(b"\n")
    times.sort()
    p95 = times[-(-len(times) * 95 // 100) - 1]
    print(f"{' '.join(question):60} {times[len(times) // 2]:8.0f} ms {p95:8.0f} ms {lines:6} lines", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--binary", default=os.path.join(ROOT, ".build/release/sluice"))
    parser.add_argument("--traces", type=int, default=1_000_000, help="of ten spans each")
    parser.add_argument("--page-size", type=int, default=16_384)
    parser.add_argument("--runs", type=int, default=20, help="of each question; 0 only makes the database")
    arguments = parser.parse_args()
    if not os.path.exists(arguments.database):
        make(arguments)
    size = os.path.getsize(arguments.database) / 1e9
    print(f"{arguments.database}: {size:.1f} GB\n{'question':60} {'p50':>8}    {'p95':>8}", flush=True)
    for question in questions(arguments.database) if arguments.runs > 0 else []:
        measure(arguments, question)


if __name__ == "__main__":
    main()
