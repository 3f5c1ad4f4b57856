"""Spans per second of a SQL exporter of Sluice: sql.py [options] EXPORTER, needs Python alone and a release build.

Starts a gateway with that exporter behind its default journal on disk, sends it spans of 20 attributes with
1 to 4 KB of JSON and ids of their own over four connections, waits for the last row, and prints spans per second
and per CPU second of the gateway: receiving, journal and rows together. `sqlite` then runs floor.c on the rows that
it has just written, so that both do the same in the same minute.

Servers: `postgres` starts one from Debian's package; `clickhouse` takes --url, or starts the engine of chdb-core when
SLUICE_TEST_CHDB names a Python that has it; `snowflake` starts the stand-in of the tests. `drain` is a server that
reads and forgets, for `clickhouse`: then nothing but the gateway is measured.
"""
import argparse
import http.server
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from wire import field, pair  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PER_REQUEST = 200


def words(rng, size):
    pool = "the user asks for a refund of order and the agent looks up what policy says about it".split()
    out = []
    while size > 0:
        word = rng.choice(pool) if rng.random() < 0.7 else "%x" % rng.getrandbits(28)
        out.append(word)
        size -= len(word) + 1
    return " ".join(out)


def attributes(rng, number):
    """Twenty attributes; the long ones are JSON of 1 to 4 KB together."""
    size = rng.randrange(1_000, 4_000)
    common = [
        ("gen_ai.conversation.id", "session-%d" % (number // 50)), ("gen_ai.agent.name", "agent-%d" % (number % 7)),
        ("gen_ai.agent.id", "a%d" % (number % 7)), ("user.id", "user-%d" % (number % 1_000)),
        ("customer.id", "customer-%d" % (number % 200)), ("customer.tier", number % 3),
        ("deployment.environment.name", "production"), ("region", "eu-%d" % (number % 3)), ("retry", number % 2),
        ("queue.time", 0.25 * (number % 9)), ("build", "2026.11.%d" % (number % 28)),
    ]
    if number % 3:
        text = words(rng, size // 2)
        own = [
            ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "gpt-x"),
            ("gen_ai.response.model", "gpt-x-2026"), ("gen_ai.usage.input_tokens", 100 + number % 900),
            ("gen_ai.usage.output_tokens", number % 300), ("gen_ai.usage.cost", 0.001 * (number % 40)),
            ("gen_ai.input.messages", '[{"role":"user","parts":[{"type":"text","content":"%s"}]}]' % text),
            ("gen_ai.output.messages", '[{"role":"assistant","parts":[{"type":"text","content":"%s"}]}]' % text),
        ]
    else:
        own = [
            ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "tool-%d" % (number % 20)),
            ("gen_ai.tool.type", "function"), ("gen_ai.tool.call.id", "call-%d" % number),
            ("gen_ai.tool.call.arguments", '{"query":"%s"}' % words(rng, size // 3)),
            ("gen_ai.tool.call.result", '{"answer":"%s"}' % words(rng, size * 2 // 3)), ("attempt", number % 4),
            ("cached", number % 2), ("shard", "s%d" % (number % 16)),
        ]
        if number % 30 == 0:
            own[-1] = ("error.type", "timeout")
    return common + own


TRACE, SPAN = b"\xa7" * 16, b"\xa8" * 8


class Body:
    """One request whose ids and times are set anew each time."""

    def __init__(self, rng, first):
        times = b"\x39" + struct.pack("<Q", 1) + b"\x41" + struct.pack("<Q", 2)
        spans = b""
        for number in range(first, first + PER_REQUEST):
            span = field(1, TRACE) + field(2, SPAN) + field(4, SPAN if number % 8 else b"")
            span += field(5, ("step %d" % (number % 50)).encode()) + field(6, 1) + times
            spans += field(2, span + b"".join(field(9, pair(*each)) for each in attributes(rng, number)))
        resource = b"".join(
            field(1, pair(*each))
            for each in [("service.name", "agent"), ("service.version", "1.2.3"), ("host.name", "node-7")])
        self.bytes = bytearray(field(1, field(1, resource) + field(2, field(1, field(1, b"bench")) + spans)))
        self.ids, self.times = self.places(TRACE), self.places(times)
        assert len(self.ids) == len(self.times) == PER_REQUEST

    def places(self, mark):
        found, at = [], self.bytes.find(mark)
        while at >= 0:
            found.append(at)
            at = self.bytes.find(mark, at + len(mark))
        return found

    def number(self, first, rng):
        trace = b""
        for index, (at, time_at) in enumerate(zip(self.ids, self.times)):
            if index % 8 == 0:
                trace = rng.randbytes(16)
            self.bytes[at:at + 16] = trace
            self.bytes[at + 18:at + 26] = (first + index + 1).to_bytes(8, "big")
            begin = 1_790_000_000_000_000_000 + (first + index) * 1_000_000
            self.bytes[time_at + 1:time_at + 9] = struct.pack("<Q", begin)
            self.bytes[time_at + 10:time_at + 18] = struct.pack("<Q", begin + 250_000_000)


def send(port, firsts, seed, bodies):
    rng = random.Random(seed)
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for first in firsts:
        body = bodies[rng.randrange(len(bodies))]
        body.number(first, rng)
        head = "POST /v1/traces HTTP/1.1\r\nHost: b\r\nContent-Type: application/x-protobuf\r\n"
        head += "Content-Length: %d\r\n\r\n"
        connection.sendall((head % len(body.bytes)).encode() + body.bytes)
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = connection.recv(65_536)
            if not piece:
                sys.exit("the gateway closed a connection")
            answer += piece
        if b" 200 " not in answer[:20]:
            sys.exit("refused: %r" % answer[:300])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(what, condition, seconds=60):
    end = time.time() + seconds
    while not condition():
        if time.time() > end:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=2).read()
        return True
    except OSError:
        return False


class Drain(http.server.BaseHTTPRequestHandler):
    """Answers the questions about the schema, and reads and forgets inserts."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        answer = b"1\t1\n"
        if "INSERT%20INTO%20" in self.path and "hash_key" not in self.path:
            answer = b""
        elif "count%28%29" in self.path:
            answer = b"0\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Servers:
    """What the exporter writes to."""

    def __init__(self, folder):
        self.folder, self.started = folder, []

    def start(self, arguments, **more):
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, **more)
        self.started.append(process)
        return process

    def stop(self):
        for process in self.started:
            process.stdin.close()
            process.terminate()
            process.wait()

    def port_of(self, python, name, *arguments):
        script = os.path.join(ROOT, "Tests/TestSupport", name)
        process = self.start([python, script, *arguments], stdout=subprocess.PIPE)
        return int(process.stdout.readline().split()[0])

    def postgres(self):
        versions = sorted(os.listdir("/usr/lib/postgresql"), key=int)
        programs = f"/usr/lib/postgresql/{versions[-1]}/bin"
        data, port = os.path.join(self.folder, "pg"), free_port()
        os.makedirs(data)
        more = {}
        if os.getuid() == 0:
            shutil.chown(data, "postgres")
            os.chmod(self.folder, 0o755)
            more = {"user": "postgres", "extra_groups": []}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **more}
        subprocess.run(
            [f"{programs}/initdb", "-D", data, "-A", "trust", "-U", "sluice", "-E", "UTF8", "--no-locale"],
            check=True, **quiet)
        self.start([f"{programs}/postgres", "-D", data, "-p", str(port), "-k", data], **quiet)
        source = f"host=127.0.0.1 port={port} user=sluice dbname=postgres"
        wait("PostgreSQL", lambda: subprocess.run([f"{programs}/pg_isready", "-q", "-d", source]).returncode == 0)
        return f"datasource: '{source}'"

    def clickhouse(self, url):
        if url == "drain":
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Drain)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}"
        elif not url:
            python = os.environ.get("SLUICE_TEST_CHDB") or sys.exit("name a server with --url, or SLUICE_TEST_CHDB")
            url = f"http://127.0.0.1:{self.port_of(python, 'clickhouse_server.py', self.folder)}"
        return f"endpoint: {url}"


    def snowflake(self):
        key, public = os.path.join(self.folder, "key.p8"), os.path.join(self.folder, "key.pub")
        quiet = {"stderr": subprocess.DEVNULL, "check": True}
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", key], **quiet)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], **quiet)
        python = os.path.join(ROOT, ".build/python-clients/bin/python")
        port = self.port_of(python, "snowflake_server.py", public, "a", "u")
        return [f"account: a, user: u, database: D, endpoint: 'http://127.0.0.1:{port}', private_key_file: {key}"]


def configuration(exporter, options, ports):
    return f"""
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{ports[0]}"}}}}}}}}
exporters: {{{exporter}: {{{", ".join(options)}}}}}
extensions: {{health_check: {{endpoint: "127.0.0.1:{ports[1]}"}}}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {ports[2]}}}}}}}}}]}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [{exporter}]}}}}
"""


def sent(port):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    counts = [
        float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
        if line.startswith("otelcol_exporter_sent_spans") and "{" in line]
    return int(sum(counts))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        parts = file.read().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def measure(arguments, folder, options):
    ports = [free_port() for _ in range(3)]
    path = os.path.join(folder, "config.yaml")
    with open(path, "w") as file:
        file.write(configuration(arguments.exporter, options, ports))
    command = [arguments.binary, "run", "--config", path, "--data-directory", os.path.join(folder, "data")]
    if arguments.core is not None:
        command = ["taskset", "-c", str(arguments.core)] + command
    gateway = subprocess.Popen(command, stderr=open(os.path.join(folder, "log"), "w"))
    try:
        wait("the gateway", lambda: gateway.poll() is not None or answers(f"http://127.0.0.1:{ports[1]}/"))
        rng = random.Random(7)
        # Connections share no body: numbering one is not safe beside another.
        bodies = [[Body(rng, n * PER_REQUEST) for n in range(8)] for _ in range(4)]
        firsts = range(0, arguments.spans, PER_REQUEST)
        before, begin = cpu_seconds(gateway.pid), time.time()
        senders = [
            threading.Thread(target=send, args=(ports[0], firsts[n::4], n, bodies[n])) for n in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        accepted = time.time() - begin
        wait("the last row", lambda: sent(ports[2]) >= arguments.spans, 600)
        took, cpu = time.time() - begin, cpu_seconds(gateway.pid) - before
    finally:
        gateway.terminate()
        gateway.wait()
    print(
        f"{arguments.exporter} {', '.join(arguments.option)}: {arguments.spans} spans in {took:.2f} s "
        f"(accepted in {accepted:.2f} s), {cpu:.2f} CPU s: {arguments.spans / took:,.0f} spans/s, "
        f"{arguments.spans / cpu:,.0f} per CPU second", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exporter", choices=["sqlite", "postgres", "clickhouse", "snowflake", "sql_file"])
    parser.add_argument("--binary", default=os.path.join(ROOT, ".build/release/sluice"))
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--option", action="append", default=[], help="of the exporter, as key: value")
    parser.add_argument("--url", help="ClickHouse server, or the word drain")
    parser.add_argument("--core", type=int, help="core that the gateway and floor.c are bound to")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="sluice-sql-")
    servers = Servers(folder)
    options = list(arguments.option)
    try:
        if arguments.exporter == "postgres":
            options.append(servers.postgres())
        elif arguments.exporter == "clickhouse":
            options.append(servers.clickhouse(arguments.url))
        elif arguments.exporter == "sql_file":
            options.append(f"path: {folder}/out.sql")
        elif arguments.exporter == "snowflake":
            options += servers.snowflake()
        measure(arguments, folder, options)
        if arguments.exporter == "sqlite":
            floor(arguments, folder)
    finally:
        servers.stop()
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)


def floor(arguments, folder):
    """The same rows through bare prepared statements."""
    program = os.path.join(folder, "floor")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "floor.c")
    subprocess.run(["cc", "-O2", "-o", program, source, "-lsqlite3"], check=True)
    command = [program, os.path.join(folder, "data/sluice.db"), os.path.join(folder, "floor.db")]
    if arguments.core is not None:
        command = ["taskset", "-c", str(arguments.core)] + command
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
