/// Two sinks, and the exporters of a configuration that send to them.
struct TwoSinks {
    let first: FaultySink
    let second: FaultySink

    init() throws {
        first = try FaultySink()
        second = try FaultySink()
    }

    func stop() {
        first.stop()
        second.stop()
    }

    /// Two entries of `exporters`, each indented by as much as a line of that block.
    var exporters: String {
        [("first", first), ("second", second)].map { name, sink in
            "  otlp_http/\(name): {endpoint: \"http://127.0.0.1:\(sink.port)\", compression: none, timeout: 60s}"
        }.joined(separator: "\n")
    }
}
