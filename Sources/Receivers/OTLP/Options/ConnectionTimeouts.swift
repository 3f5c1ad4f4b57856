import Configuration

/// How long a connection may take for what. Zero switches a limit off, as in the Collector.
package struct ConnectionTimeouts: Sendable, Equatable {
    /// From the first byte of a request, or from connecting, to the end of its head.
    package var readHeader: Duration
    /// From the first byte of a request to the end of its body.
    package var read: Duration
    /// From the end of a request until its answer has left.
    package var write: Duration
    /// Between two requests.
    package var idle: Duration

    package init(
        readHeader: Duration = .seconds(60), read: Duration = .zero, write: Duration = .seconds(30),
        idle: Duration = .seconds(60)
    ) {
        self.readHeader = readHeader
        self.read = read
        self.write = write
        self.idle = idle
    }

    /// Reads the four options.
    init(_ settings: inout Settings) {
        let range: ClosedRange<Duration> = .zero ... .seconds(24 * 3600)
        readHeader = settings.duration(
            "read_header_timeout", default: .seconds(60), in: range,
            "Time for a request's head to arrive; 0 for no limit.")
        read = settings.duration(
            "read_timeout", default: .zero, in: range,
            "Time for a whole request to arrive; 0 for no limit. A body that stalls is cut in any case.")
        write = settings.duration(
            "write_timeout", default: .seconds(30), in: range,
            "Time from the end of a request until its answer has left; 0 for no limit.")
        idle = settings.duration(
            "idle_timeout", default: .seconds(60), in: range,
            "Time a connection may stay open between two requests; 0 for no limit.")
    }
}
