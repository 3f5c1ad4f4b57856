import Foundation
import TestSupport
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// SIGHUP: the configuration is read again and takes the place of the one in force.
@Suite(.serialized, .timeLimit(.minutes(15))) struct ReloadTests {
    @Test func `a reload under load loses nothing, refuses nothing, and keeps connections`() async throws {
        let bench = try FaultBench(processors: ["attributes: {actions: [{key: round, value: 0, action: insert}]}"])
        try await bench.gateway.start()
        let clients = bench.load(4)
        var reloads = 0
        for round in 1...6 {
            bench.gateway.replace("value: \(round - 1), ", with: "value: \(round), ")
            if round == 3 {
                bench.gateway.replace("num_consumers: \(FaultBench.consumers)", with: "num_consumers: 2")
            }
            if round == 4 { bench.sink.behave(.slow(300)) }
            if try await bench.gateway.reload() { reloads += 1 }
            let count = bench.ledger.all.count
            try await bench.wait("traffic behind the reload") { bench.ledger.all.count > count + 100 }
            bench.sink.behave(.accept)
        }
        await clients.stop()
        #expect(reloads == 6, "\(bench.gateway.logText)")
        #expect(clients.statuses.keys.sorted() == [200], "a connection ended, or a request was refused")
        try await bench.expectNothingLost(restart: false)
        try await bench.gateway.waitUntilDelivered()
        #expect(bench.sink.duplicates == 0)
        // The counts go on.
        #expect(try await bench.gateway.metric("otelcol_receiver_accepted_spans") == Double(bench.ledger.all.count))
        #expect(try await bench.gateway.metric("otelcol_exporter_sent_spans") == Double(bench.ledger.all.count))
        #expect(try await bench.gateway.metric("sluice_config_reloads_total") == 6)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `a configuration with a fault leaves the one before in force`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        bench.gateway.replace("num_consumers: 4", with: "num_consumers: many")
        #expect(try await bench.gateway.reload() == false)
        #expect(bench.gateway.logText.contains("config.yaml:"), "it says where")
        #expect(try await bench.gateway.metric("sluice_config_last_reload_successful") == 0)
        #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        bench.gateway.replace("num_consumers: many", with: "num_consumers: 5")
        #expect(try await bench.gateway.reload())
        #expect(try await bench.gateway.metric("sluice_config_last_reload_successful") == 1)
        #expect(try await bench.gateway.post(NumberedSpans.request(11), path: "/v1/traces") == 200)
        #expect(try await bench.sink.wait(for: Set(1...20)).isEmpty)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `a configuration that cannot start leaves the one before in force`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        let clients = bench.load(2)
        addReceiverAtTakenPort(bench)
        bench.gateway.replace("exporters:\n  otlp_http:\n", with: "exporters:\n  debug:\n  otlp_http:\n")
        #expect(try await bench.gateway.reload() == false)
        #expect(bench.gateway.logText.contains("otlp/other"))
        let count = bench.ledger.all.count
        try await bench.wait("traffic behind the reload") { bench.ledger.all.count > count + 100 }
        await clients.stop()
        #expect(clients.statuses.keys.sorted() == [200])
        try await bench.expectNothingLost(restart: false)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(arguments: ["memory", "file_storage"])
    func `what a sink did not take yet is delivered by the new configuration`(storage: String) async throws {
        let bench = try FaultBench()
        bench.gateway.replace("storage: file_storage", with: "storage: \(storage)")
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        for first: UInt64 in [1, 11, 21] {
            #expect(try await bench.gateway.post(NumberedSpans.request(first), path: "/v1/traces") == 200)
        }
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        bench.gateway.replace("num_consumers: 4", with: "num_consumers: 1")
        #expect(try await bench.gateway.reload())
        #expect(try await bench.gateway.metric("sluice_exporter_held_items") == 30)
        bench.sink.behave(.accept)
        #expect(try await bench.sink.wait(for: Set(1...30)).isEmpty)
        #expect(try await bench.gateway.metric("sluice_exporter_dropped_items_total") == 0)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `what lies in memory is delivered before its pipeline goes`() async throws {
        let bench = try FaultBench()
        bench.gateway.replace("storage: file_storage", with: "storage: memory")
        // Slow enough that much waits, and fast enough for all of it within the deadline.
        bench.gateway.replace("num_consumers: 4", with: "num_consumers: 4, batch: {flush_timeout: 100ms}")
        bench.sink.behave(.slow(200))
        try await bench.gateway.start()
        let clients = bench.load(3)
        try await bench.wait("traffic") { bench.ledger.all.count >= 60 }
        bench.gateway.replace("    traces: {", with: "    traces/other: {")
        #expect(try await bench.gateway.reload())
        await clients.stop()
        #expect(clients.statuses.keys.sorted() == [200])
        try await bench.expectNothingLost(restart: false)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `a configuration that cannot start loses nothing of what lies in memory`() async throws {
        let bench = try FaultBench()
        bench.gateway.replace("storage: file_storage", with: "storage: memory")
        bench.gateway.arguments = ["--shutdown-timeout", "1"]
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        bench.gateway.replace("storage: memory", with: "storage: file_storage")
        addReceiverAtTakenPort(bench)
        #expect(try await bench.gateway.reload() == false)
        #expect(try await bench.gateway.metric("sluice_exporter_dropped_items_total") == 0)
        bench.sink.behave(.accept)
        #expect(try await bench.sink.wait(for: Set(1...10)).isEmpty)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `a receiver that changes takes connections while exporters end what is under way`() async throws {
        let bench = try FaultBench()
        bench.sink.behave(.slow(1_500))
        try await bench.gateway.start()
        let clients = bench.load(3)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        bench.gateway.replace(
            "\"127.0.0.1:\(bench.gateway.port)\"",
            with: "\"127.0.0.1:\(bench.gateway.port)\", max_request_body_size: 1MiB")
        #expect(try await bench.gateway.reload())
        let count = bench.ledger.all.count
        try await bench.wait("traffic behind the reload") { bench.ledger.all.count > count + 100 }
        bench.sink.behave(.accept)
        await clients.stop()
        // A client whose connection ended was refused no new one.
        #expect(clients.statuses.keys.allSatisfy { $0 == 200 || $0 == 0 } && clients.statuses[0] ?? 0 <= 3)
        try await bench.expectNothingLost(restart: false)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `a log in JSON tells faults in JSON, and what a reload changed by name`() async throws {
        let gateway = try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            exporters: {nop: {}}
            service:
              telemetry:
                logs: {encoding: json}
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines: {traces: {receivers: [otlp], exporters: [nop]}}
            """)
        try await gateway.start()
        gateway.replace("exporters: {nop: {}}", with: "exporters: {nop: {nope: 1}}")
        #expect(try await gateway.reload() == false)
        gateway.replace("exporters: {nop: {nope: 1}}", with: "exporters: {nop: {}, debug: {}}")
        #expect(try await gateway.reload())
        #expect(try await gateway.reload())
        #expect(gateway.end(SIGTERM) == 0)
        let log = gateway.logText
        #expect(log.split(separator: "\n").allSatisfy { $0.hasPrefix("{\"ts\":") && $0.hasSuffix("}") }, "\(log)")
        #expect(log.contains("exporters.nop.nope: ") && log.contains("\"added\":\"exporters.debug\""), "\(log)")
        #expect(log.contains("\"changed\":\"nothing\""), "\(log)")
        #expect(log.components(separatedBy: "exporters.debug: is defined and not used").count == 2, "\(log)")
    }

    @Test func `a receiver whose options changed has the new ones`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        bench.gateway.replace(
            "\"127.0.0.1:\(bench.gateway.port)\"",
            with: "\"127.0.0.1:\(bench.gateway.port)\", max_request_body_size: 200")
        #expect(try await bench.gateway.reload())
        #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 413)
        bench.gateway.replace(", max_request_body_size: 200", with: "")
        #expect(try await bench.gateway.reload())
        #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        #expect(try await bench.sink.wait(for: Set(1...10)).isEmpty)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(arguments: ["memory", "file_storage"])
    func `an exporter under a new name gets what waited for the old one, which is counted`(
        storage: String
    ) async throws {
        let bench = try FaultBench()
        bench.gateway.replace("storage: file_storage", with: "storage: \(storage)")
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        bench.gateway.replace("  otlp_http:\n", with: "  otlp_http/new:\n")
        bench.gateway.replace("exporters: [otlp_http]", with: "exporters: [otlp_http/new]")
        #expect(try await bench.gateway.reload())
        bench.sink.behave(.accept)
        #expect(try await bench.sink.wait(for: Set(1...10)).isEmpty)
        #expect(try await bench.gateway.metric("sluice_exporter_dropped_items_total") == 10)
        let log = bench.gateway.logText
        #expect(log.contains("otlp_http reads this journal no longer, and gives up 10 records"), "\(log)")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(arguments: ["memory", "file_storage"])
    func `an exporter that comes begins at what the journal still holds, which is told`(storage: String) async throws {
        let gateway = try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            exporters:
              otlp_http/down: {endpoint: "http://127.0.0.1:1", sending_queue: {storage: \(storage)}}
              file: {path: FOLDER/out.jsonl, sending_queue: {storage: \(storage)}}
            extensions: {file_storage: {directory: FOLDER/journal}}
            service:
              extensions: [file_storage]
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines: {traces: {receivers: [otlp], exporters: [otlp_http/down]}}
            """)
        gateway.arguments = ["--shutdown-timeout", "1"]
        try await gateway.start()
        #expect(try await gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        gateway.replace("exporters: [otlp_http/down]}", with: "exporters: [otlp_http/down, file]}")
        #expect(try await gateway.reload())
        let told = "exporter file of pipeline traces is new to its journal: it begins 10 records back"
        #expect(gateway.logText.components(separatedBy: told).count == 2, "\(gateway.logText)")
        gateway.replace("out.jsonl", with: "other.jsonl")
        #expect(try await gateway.reload())
        #expect(gateway.logText.components(separatedBy: told).count == 2, "\(gateway.logText)")
        _ = gateway.end(SIGTERM)
    }

    @Test func `what waits in a directory that the new configuration does not have is told`() async throws {
        let bench = try FaultBench()
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        bench.gateway.replace("/journal, ", with: "/other, ")
        #expect(try await bench.gateway.reload())
        #expect(
            bench.gateway.logText.contains("pipeline traces: 10 records that were not delivered wait in "),
            "\(bench.gateway.logText)")
        bench.gateway.replace("/other, ", with: "/journal, ")
        #expect(try await bench.gateway.reload())
        bench.sink.behave(.accept)
        #expect(try await bench.sink.wait(for: Set(1...10)).isEmpty)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `senders that wait for a delivery are answered by the new configuration`() async throws {
        let bench = try FaultBench(pipeline: ["ack: delivered", "ack_timeout: 60s"])
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        let clients = bench.load(2)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        bench.gateway.replace("num_consumers: 4", with: "num_consumers: 3")
        #expect(try await bench.gateway.reload())
        bench.sink.behave(.accept)
        try await bench.wait("an answer") { !bench.ledger.all.isEmpty }
        await clients.stop()
        #expect(clients.statuses.keys.sorted() == [200])
        try await bench.expectNothingLost(restart: false)
        #expect(bench.sink.duplicates == 0)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(arguments: [
        ("ack: delivered", "ack: delivered"), ("ack: delivered", "ack: durable"),
        ("exporters: [otlp_http, file]", "exporters: [file]"),
    ])
    func `a configuration that cannot start answers nobody who waits for a delivery`(
        text: String, other: String
    ) async throws {
        let bench = try FaultBench(pipeline: ["ack: delivered", "ack_timeout: 60s"])
        bench.addExporter("file", "{path: \"\(bench.gateway.folder.appending(path: "out.jsonl").path)\"}")
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        let clients = bench.load(2)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        addReceiverAtTakenPort(bench)
        bench.gateway.replace(text, with: other)
        #expect(try await bench.gateway.reload() == false)
        let count = bench.sink.requests
        try await bench.wait("an attempt behind the reload") { bench.sink.requests > count }
        #expect(bench.ledger.all.isEmpty)
        bench.sink.behave(.accept)
        try await bench.wait("an answer") { !bench.ledger.all.isEmpty }
        await clients.stop()
        #expect(clients.statuses.keys.sorted() == [200])
        try await bench.expectNothingLost(restart: false)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `an exporter that cannot start again ends neither the gateway nor other deliveries`() async throws {
        let bench = try FaultBench()
        let path = bench.gateway.folder.appending(path: "out.jsonl").path
        bench.addExporter("file", "{path: \"\(path)\"}")
        try await bench.gateway.start()
        let clients = bench.load(2)
        try await bench.wait("a file") { FileManager.default.fileExists(atPath: path) && bench.sink.requests > 0 }
        try FileManager.default.moveItem(atPath: path, toPath: path + ".old")
        try Data("not ours\n".utf8).write(to: URL(filePath: path))
        #expect(try await bench.gateway.reload() == false)
        let count = bench.ledger.all.count
        try await bench.wait("traffic behind the reload") { bench.ledger.all.count > count + 20 }
        await clients.stop()
        #expect(clients.statuses.keys.sorted() == [200])
        try await bench.expectNothingLost(restart: false)
        try FileManager.default.removeItem(atPath: path)
        try await bench.wait("the file's exporter") { bench.gateway.logText.contains("exporter file: started") }
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `a receiver that changes takes connections while exporters end and start`() async throws {
        let bench = try FaultBench()
        let path = bench.gateway.folder.appending(path: "sluice.db").path
        bench.addExporter("sqlite", "{path: \"\(path)\", busy_timeout: 1s}")
        try await bench.gateway.start()
        let hold = """
            import sqlite3, sys, time
            d = sqlite3.connect(sys.argv[1], isolation_level=None)
            d.execute('BEGIN IMMEDIATE')
            open(sys.argv[1] + '.held', 'w').close()
            time.sleep(60)
            """
        let holder = try ChildProcess("python3", ["-c", hold, path])
        defer { holder.signal(SIGKILL) }
        try await bench.wait("the lock") { FileManager.default.fileExists(atPath: path + ".held") }
        bench.gateway.replace(
            "\(bench.gateway.port)\"}}}", with: "\(bench.gateway.port)\", max_request_body_size: 5MiB}}}")
        async let isTaken = bench.gateway.reload()
        var refused = 0
        let ends = ["the new configuration is in force", "the configuration stays as it was"]
        while !ends.contains(where: bench.gateway.logText.contains), bench.gateway.isRunning {
            if LoopbackConnection(port: bench.gateway.port) == nil { refused += 1 }
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try await isTaken)
        // Some may fall between the two that listen; for as long as the database is held it would be a hundred.
        #expect(refused <= 10)
        holder.signal(SIGKILL)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `an exporter that hangs keeps no other from delivering while the gateway reloads`() async throws {
        let bench = try FaultBench()
        let path = bench.gateway.folder.appending(path: "pipe").path
        #expect(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDWR | O_NONBLOCK)
        defer { close(reader) }
        bench.addExporter("file", "{path: \"\(path)\", durability: write}")
        try await bench.gateway.start()
        let clients = bench.load(2, padding: 20_000)
        try await bench.wait("more than a pipe holds") { bench.ledger.all.count > 100 }
        for consumers in [5, 6] {
            bench.gateway.replace("num_consumers: \(consumers - 1)", with: "num_consumers: \(consumers)")
            let start = ContinuousClock.now
            #expect(try await bench.gateway.reload())
            #expect(ContinuousClock.now - start < .seconds(9), "less than --shutdown-timeout")
            let count = bench.sink.requests
            try await bench.wait("a delivery behind the reload") { bench.sink.requests > count + 20 }
        }
        #expect(bench.gateway.logText.contains("exporter file of pipeline traces has not ended its attempts"))
        bench.gateway.replace("exporters: [otlp_http, file]", with: "exporters: [otlp_http]")
        #expect(try await bench.gateway.reload())
        await clients.stop()
        #expect(clients.statuses.keys.sorted() == [200])
        try await bench.expectNothingLost(restart: false)
        #expect(bench.sink.duplicates == 0)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `what follows a slow attempt is delivered once it has ended, and nothing twice`() async throws {
        let bench = try FaultBench()
        bench.sink.behave(.slow(4_000))
        try await bench.gateway.start()
        let clients = bench.load(2)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        bench.gateway.replace("num_consumers: 4", with: "num_consumers: 3")
        #expect(try await bench.gateway.reload())
        bench.gateway.replace("num_consumers: 3", with: "num_consumers: 2")
        #expect(try await bench.gateway.reload())
        bench.sink.behave(.accept)
        await clients.stop()
        try await bench.expectNothingLost(restart: false)
        try await bench.gateway.waitUntilDelivered()
        #expect(bench.sink.duplicates == 0)
        #expect(try await bench.gateway.metric("otelcol_exporter_sent_spans") == Double(bench.ledger.all.count))
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `the queues can be looked at while a reload is under way`() async throws {
        let bench = try FaultBench()
        bench.sink.behave(.slow(4_000))
        try await bench.gateway.start()
        #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        bench.gateway.replace("num_consumers: 4", with: "num_consumers: 3")
        async let isTaken = bench.gateway.reload()
        let url = try #require(URL(string: "http://127.0.0.1:\(bench.gateway.metricsPort)/queues"))
        while !bench.gateway.logText.contains("the new configuration is in force"), bench.gateway.isRunning {
            let (body, _) = try await URLSession.shared.data(from: url)
            #expect(String(decoding: body, as: UTF8.self).contains("otlp_http"))
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try await isTaken)
        try await bench.gateway.waitUntilDelivered()
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(arguments: ["memory", "file_storage"])
    func `traces that are gathered pass once, whatever is reloaded`(storage: String) async throws {
        let bench = try FaultBench(processors: [
            "tail_sampling: {decision_wait: 3s, policies: [{name: all, type: always_sample}]}"
        ])
        bench.gateway.replace("storage: file_storage", with: "storage: \(storage)")
        try await bench.gateway.start()
        let clients = bench.load(2)
        for consumers in [3, 5, 6] {
            try await Task.sleep(for: .milliseconds(700))
            bench.gateway.replace(
                "num_consumers: \(consumers == 3 ? 4 : consumers == 5 ? 3 : 5)", with: "num_consumers: \(consumers)")
            #expect(try await bench.gateway.reload())
        }
        await clients.stop()
        #expect(clients.statuses.keys.sorted() == [200])
        try await bench.expectNothingLost(restart: false)
        #expect(bench.sink.duplicates == 0)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `the second signal to end does so at once`() async throws {
        let bench = try FaultBench()
        bench.sink.behave(.status(503))
        bench.gateway.arguments = ["--shutdown-timeout", "600"]
        try await bench.gateway.start()
        #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        bench.gateway.signal(SIGTERM)
        try await bench.wait("the shutdown") { bench.gateway.logText.contains("shutting down") }
        #expect(bench.gateway.isRunning)
        #expect(bench.gateway.end(SIGTERM) == 0)
        #expect(bench.gateway.logText.contains("second signal"))
        bench.gateway.arguments = []
        try await bench.expectNothingLost(restart: true)
        #expect(try await bench.sink.wait(for: Set(1...10)).isEmpty)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    /// The port of the sink is taken, which only shows when the gateway asks for it.
    private func addReceiverAtTakenPort(_ bench: FaultBench) {
        bench.gateway.replace(
            "receivers: {otlp:",
            with:
                "receivers: {otlp/other: {protocols: {http: {endpoint: \"127.0.0.1:\(bench.sink.port)\"}}}, otlp:")
        bench.gateway.replace("receivers: [otlp]", with: "receivers: [otlp, otlp/other]")
    }
}
