#!/usr/bin/env python3
"""What durable acknowledgement costs, and what a backlog does to live traffic. Needs Python, cc and a release build.

delivery.py ack     throughput with `ack: received` and `ack: durable` in turn, requests of 100 spans (46 KB); what is
                    received goes to no exporter, or with --forward to a sink
delivery.py drain   a backlog is drained into a sink that is back, while live traffic goes on at a fixed rate

Journals lie in --directory, whose disk is measured first: what one write and sync of a request take there, alone, is
what no gateway can be quicker than. Gateway and peers run on cores of their own unless --float is given.
"""
import argparse
import json
import mmap
import os
import random
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from wire import field, pair  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SPANS = 100
BODIES = 64


def span(rng, trace):
    start = 1764 * 10**15 + rng.randrange(10**12)
    attributes = [
        ("http.request.method", "GET"),
        ("url.full", "https://shop.example/api/v1/items/%d?page=3" % rng.randrange(10**6)),
        ("http.response.status_code", 200), ("server.address", "shop.example"), ("server.port", 443),
        ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/%d" % rng.randrange(90, 140)),
        ("network.protocol.version", "1.1"), ("client.address", "10.1.%d.3" % rng.randrange(255)),
        ("http.route", "/api/v1/items/{id}"), ("app.tenant", "tenant-%d" % rng.randrange(1000)),
    ]
    out = field(1, trace) + field(2, rng.randbytes(8)) + field(4, rng.randbytes(8))
    out += field(5, b"GET /api/v1/items/{id}")
    out += b"\x30\x02\x39" + struct.pack("<Q", start) + b"\x41" + struct.pack("<Q", start + 5 * 10**7)
    return out + b"".join(field(9, pair(key, value)) for key, value in attributes)


def write_bodies(path):
    rng = random.Random(5)
    with open(path, "wb") as file:
        for _ in range(BODIES):
            resource = field(1, field(1, pair("service.name", "shop")) + field(1, pair("host.name", "node-17")))
            trace = rng.randbytes(16)
            spans = b"".join(field(2, span(rng, trace)) for _ in range(SPANS))
            body = field(1, resource + field(2, field(1, field(1, b"lib") + field(2, b"1.0")) + spans))
            file.write(struct.pack("<I", len(body)) + body)
    return len(body)


def sync_times(directory, size=49152, count=300):
    """Median and 95th percentile of a write past the page cache with its fdatasync, ms."""
    path = os.path.join(directory, "sync-time")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
    except OSError:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    memory = mmap.mmap(-1, size)
    memory.write(b"x" * size)
    os.posix_fallocate(handle, 0, size * count)
    times = []
    for turn in range(2 * count):
        # The second time over blocks that are written already, as a journal writes over finished segments.
        begin = time.perf_counter()
        os.pwrite(handle, memory, turn % count * size)
        os.fdatasync(handle)
        if turn >= count:
            times.append((time.perf_counter() - begin) * 1e3)
    os.close(handle)
    os.unlink(path)
    times.sort()
    return times[count // 2], times[count * 95 // 100]


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def configuration(ports, directory, ack, exporter, storage):
    return f"""receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{ports[0]}"}}}}}}
exporters:
{exporter}
extensions:
  file_storage: {{directory: {directory}/journal{storage}}}
service:
  extensions: [file_storage]
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [to], ack: {ack}}}
""".replace("  to:", "  " + ("otlp_http/to:" if "endpoint" in exporter else "nop/to:")).replace(
        "[to]", "[otlp_http/to]" if "endpoint" in exporter else "[nop/to]")


class Gateway:
    def __init__(self, bench, ack, exporter):
        self.directory = tempfile.mkdtemp(prefix="bench-", dir=bench.directory)
        self.port = free_port()
        path = os.path.join(self.directory, "gateway.yaml")
        with open(path, "w") as file:
            file.write(configuration([self.port], self.directory, ack, exporter, bench.storage))
        argv = [bench.binary, "run", "--config", path, "--data-directory", self.directory + "/data"]
        self.process = bench.start(argv, bench.gateway_cores)
        bench.await_port(self.port, self.process)

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Bench:
    def __init__(self, options):
        self.binary = os.path.abspath(options.binary)
        self.options = options
        self.storage = "".join(", " + option for option in options.storage)
        self.directory = tempfile.mkdtemp(prefix="sluice-delivery-", dir=options.directory)
        self.peer = os.path.join(self.directory, "peer")
        subprocess.run(["cc", "-O2", "-o", self.peer, os.path.join(HERE, "peer.c")], check=True)
        self.bodies = os.path.join(self.directory, "bodies")
        self.body_bytes = write_bodies(self.bodies)
        cores = sorted(os.sched_getaffinity(0))
        is_pinned = len(cores) > 1 and not options.float
        self.gateway_cores = set(cores[:-1]) if is_pinned else set(cores)
        self.peer_cores = {cores[-1]} if is_pinned else set(cores)

    def start(self, argv, cores, nice=0, **keywords):
        def prepare():
            os.sched_setaffinity(0, cores)
            os.nice(nice)
        return subprocess.Popen(argv, preexec_fn=prepare, **keywords)

    def await_port(self, port, process, seconds=30):
        end = time.time() + seconds
        while time.time() < end:
            if process.poll() is not None:
                sys.exit("the gateway ended with %s" % process.returncode)
            try:
                return socket.create_connection(("127.0.0.1", port), 0.3).close()
            except OSError:
                time.sleep(0.02)
        sys.exit("nothing listens on %d" % port)

    def load(self, port, connections, seconds, rate=0, cores=None):
        argv = [self.peer, "load", str(port), self.bodies, str(connections), str(seconds), str(rate)]
        run = self.start(argv, cores or self.peer_cores, stdout=subprocess.PIPE, text=True)
        return run

    def start_sink(self, port, nice=0):
        sink = self.start([self.peer, "sink", str(port)], self.peer_cores, nice)
        self.await_port(port, sink)
        return sink

    def exporter(self, sink_port):
        return (
            f"  to: {{endpoint: 'http://127.0.0.1:{sink_port}', compression: none, retry_on_failure: {{"
            f"max_interval: 1s, initial_interval: 200ms}}, sending_queue: {{storage: file_storage, queue_size: 64GiB, "
            f"sizer: bytes}}}}")

    def finish(self, run):
        return json.loads(run.communicate()[0])

    def tell_disk(self):
        median, high = sync_times(self.directory)
        load = os.getloadavg()[0]
        print(f"disk: write of 48 KB and sync alone p50 {median:.3f} ms, p95 {high:.3f} ms; load {load:.1f}")


def measure_ack(bench):
    options = bench.options
    rates = {"received": [], "durable": []}
    for number in range(options.rounds):
        bench.tell_disk()
        for ack in rates:
            sink_port = free_port() if options.forward else None
            sink = bench.start_sink(sink_port) if options.forward else None
            gateway = Gateway(bench, ack, bench.exporter(sink_port) if options.forward else "  to: {}")
            bench.finish(bench.load(gateway.port, options.connections, 1))
            before = gateway.cpu()
            sent, begin = stats(sink_port)["requests"] if sink else 0, time.time()
            told = bench.finish(bench.load(gateway.port, options.connections, options.seconds))
            sent, took = stats(sink_port)["requests"] - sent if sink else 0, time.time() - begin
            cpu = (gateway.cpu() - before) / max(1, told["ok"])
            gateway.stop()
            if sink:
                sink.terminate()
            rates[ack].append(told["rate"])
            print(
                f"{number} {ack:8} {told['rate']:8.0f} requests/s {told['rate'] * SPANS:9.0f} spans/s  "
                f"p50 {told['p50']:.2f} p99 {told['p99']:.2f} ms  {cpu * 1e6:.0f} us CPU a request  "
                f"refused {told['other']} broken {told['broken']}"
                + (f"; to the sink {sent / took:.0f} requests/s" if sink else ""), flush=True)
    ratios = [durable / received for received, durable in zip(rates["received"], rates["durable"])]
    print(f"durable costs {1 - statistics.median(ratios):.0%} (rounds: {', '.join(f'{1 - r:.0%}' for r in ratios)})")


def stats(port):
    return json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10))


def measure_drain(bench):
    options = bench.options
    bench.tell_disk()
    sink_port = free_port()
    gateway = Gateway(bench, "durable", bench.exporter(sink_port))
    # It shares its core with the load generator, whose times are to be the gateway's and not the sink's.
    sink = bench.start_sink(sink_port, nice=19)
    top = bench.finish(bench.load(gateway.port, options.connections, 3))
    rate = options.rate or top["rate"] * options.share
    print(f"capacity {top['rate']:.0f} requests/s; live traffic {rate:.0f} requests/s")

    def wait_until_idle():
        last = -1
        while last != (last := stats(sink_port)["requests"]):
            time.sleep(1)

    def live(what, seconds):
        before, begin = stats(sink_port)["bytes"], time.time()
        cpu = gateway.cpu()
        told = bench.finish(bench.load(gateway.port, options.connections, seconds, rate))
        took = time.time() - begin
        drained = (stats(sink_port)["bytes"] - before) / took / 1e6
        print(
            f"{what:28} p50 {told['p50']:.2f} p99 {told['p99']:.2f} max {told['max']:.1f} ms  "
            f"{told['rate']:.0f} requests/s "
            f"refused {told['other']} broken {told['broken']}; to the sink {drained:.0f} MB/s; "
            f"CPU {(gateway.cpu() - cpu) / took:.2f}", flush=True)
        return told

    for number in range(options.rounds):
        wait_until_idle()
        alone = live("without a backlog", options.seconds)
        if options.control:
            plain = bench.load(
                sink_port, 10, options.seconds + 1, options.control * 1e6 / bench.body_bytes, bench.gateway_cores)
            time.sleep(0.5)
            control = live("beside a plain sender", options.seconds)
            bench.finish(plain)
        wait_until_idle()
        sink.terminate()
        sink.wait()
        wanted = options.backlog * 1e9
        count = 0
        while count * bench.body_bytes < wanted:
            count += bench.finish(bench.load(gateway.port, options.connections, 1))["ok"]
        print(f"backlog of {count * bench.body_bytes / 1e9:.1f} GB", flush=True)
        sink = bench.start_sink(sink_port, nice=19)
        while stats(sink_port)["requests"] < 10:
            time.sleep(0.05)
        # Only while there is a backlog.
        drained = live("while the backlog is drained", options.seconds)
        left = stats(sink_port)["bytes"]
        begin = time.time()
        wait_until_idle()
        rest = stats(sink_port)["bytes"] - left
        ratios = f"p99 is {drained['p99'] / alone['p99']:.2f} times that without a backlog"
        if options.control:
            ratios += f", {drained['p99'] / control['p99']:.2f} times that beside a plain sender"
        print(f"behind it {rest / 1e6:.0f} MB more in {time.time() - begin - 1:.1f} s; {ratios}", flush=True)
    gateway.stop()
    sink.terminate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ack", "drain"])
    parser.add_argument("--binary", default=os.path.join(ROOT, ".build/release/sluice"))
    parser.add_argument("--directory", default=os.path.join(ROOT, ".build"), help="a directory on the disk to measure")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--share", type=float, default=0.4, help="live traffic as a share of the capacity")
    parser.add_argument("--rate", type=float, default=0, help="live traffic, requests a second; instead of --share")
    parser.add_argument("--backlog", type=float, default=4, help="GB")
    parser.add_argument(
        "--storage", action="append", default=[], metavar="KEY: VALUE",
        help="an option of file_storage, such as 'catch_up_rate: 0'")
    parser.add_argument(
        "--control", type=float, default=0, metavar="MB",
        help="of `drain`: live traffic also beside a process that sends as much to the sink from the gateway's core")
    parser.add_argument("--forward", action="store_true", help="of `ack`: deliver what is received to a sink")
    parser.add_argument("--float", action="store_true", help="do not pin anything to cores")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        {"ack": measure_ack, "drain": measure_drain}[options.what](bench)
    finally:
        shutil.rmtree(bench.directory, ignore_errors=True)


if __name__ == "__main__":
    main()
