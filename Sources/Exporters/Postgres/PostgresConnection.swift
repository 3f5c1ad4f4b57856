import CPostgres
import Glibc

/// One connection of libpq with a deadline for all that it waits for. Used by one thread at a time; that thread may
/// block.
struct PostgresConnection: ~Copyable {
    private let connection: OpaquePointer
    /// Longest time of one operation; zero for no limit.
    private let timeout: Duration
    /// Whether nobody waits any more for what it does.
    private let isLost: @Sendable () -> Bool
    /// Longest wait without a look at that.
    private static let lookMilliseconds: Int32 = 250

    /// Connects: host after host, each within libpq's connect_timeout.
    init(
        _ parameters: [(key: String, value: String)], timeout: Duration, isLost: @escaping @Sendable () -> Bool
    ) throws(PostgresFailure) {
        let opened = try Self.connect(parameters)
        connection = opened
        self.timeout = timeout
        self.isLost = isLost
    }

    deinit { PQfinish(connection) }

    private static func connect(_ parameters: [(key: String, value: String)]) throws(PostgresFailure) -> OpaquePointer {
        var keys = parameters.map { strdup($0.key) as UnsafeMutablePointer<CChar>? }
        var values = parameters.map { strdup($0.value) as UnsafeMutablePointer<CChar>? }
        defer { for text in keys + values { free(text) } }
        keys.append(nil)
        values.append(nil)
        let opened = keys.map { UnsafePointer($0) }.withUnsafeBufferPointer { keys in
            values.map { UnsafePointer($0) }.withUnsafeBufferPointer { values in
                PQconnectdbParams(keys.baseAddress, values.baseAddress, 1)
            }
        }
        guard let opened else { throw PostgresFailure(.connection, "libpq is out of memory") }
        guard PQstatus(opened) == CONNECTION_OK else {
            let words = PostgresFailure.words(opened)
            PQfinish(opened)
            throw PostgresFailure(.connection, words)
        }
        sluice_pq_silence(opened)
        PQsetnonblocking(opened, 1)
        return opened
    }

    /// `host:port/database`.
    var place: String {
        func text(_ value: UnsafeMutablePointer<CChar>?) -> String { value.map { String(cString: $0) } ?? "" }
        return "\(text(PQhost(connection))):\(text(PQport(connection)))/\(text(PQdb(connection)))"
    }

    // MARK: Statements

    /// Runs statements; their rows are left out.
    func execute(_ sql: String) throws(PostgresFailure) { _ = try rows(sql) }

    /// The first column of each row of the last statement.
    func rows(_ sql: String) throws(PostgresFailure) -> [String] {
        guard PQsendQuery(connection, sql) == 1 else { throw PostgresFailure(nil, connection) }
        let deadline = newDeadline()
        try flush(deadline)
        return try finish(deadline)
    }

    /// The first column of each row of one statement with values as text.
    func rows(_ sql: String, texts: [String]) throws(PostgresFailure) -> [String] {
        let copies = texts.map { strdup($0) }
        defer { for text in copies { free(text) } }
        let values = copies.map { UnsafePointer($0) }
        guard PQsendQueryParams(connection, sql, Int32(values.count), nil, values, nil, nil, 0) == 1 else {
            throw PostgresFailure(nil, connection)
        }
        let deadline = newDeadline()
        try flush(deadline)
        return try finish(deadline)
    }

    /// Runs one statement with values in binary form; a nil address is NULL.
    func execute(
        _ sql: String, values: [UnsafePointer<CChar>?], lengths: [Int32], formats: [Int32]
    ) throws(PostgresFailure) {
        let count = Int32(truncatingIfNeeded: values.count)
        guard PQsendQueryParams(connection, sql, count, nil, values, lengths, formats, 1) == 1 else {
            throw PostgresFailure(nil, connection)
        }
        let deadline = newDeadline()
        try flush(deadline)
        _ = try finish(deadline)
    }

    /// Runs a COPY FROM STDIN. `feed` hands over pieces of the stream until it has no more.
    func copy(
        _ sql: String, feed: ((UnsafeRawBufferPointer) throws(PostgresFailure) -> Void) throws(PostgresFailure) -> Void
    ) throws(PostgresFailure) {
        guard PQsendQuery(connection, sql) == 1 else { throw PostgresFailure(nil, connection) }
        let deadline = newDeadline()
        try flush(deadline)
        guard let first = try nextResult(deadline) else { throw PostgresFailure(nil, connection) }
        let status = PQresultStatus(first)
        guard status == PGRES_COPY_IN else {
            let failure = PostgresFailure(first, connection)
            PQclear(first)
            _ = try? finish(deadline)
            throw failure
        }
        PQclear(first)
        try feed { (bytes) throws(PostgresFailure) in try self.put(bytes, deadline) }
        while true {
            let taken = PQputCopyEnd(connection, nil)
            if taken == 1 { break }
            if taken < 0 { throw PostgresFailure(nil, connection) }
            try wait(forWriting: true, deadline)
        }
        try flush(deadline)
        _ = try finish(deadline)
    }

    private func put(_ bytes: UnsafeRawBufferPointer, _ deadline: ContinuousClock.Instant?) throws(PostgresFailure) {
        let start = bytes.assumingMemoryBound(to: CChar.self).baseAddress
        while true {
            let taken = PQputCopyData(connection, start, Int32(truncatingIfNeeded: bytes.count))
            if taken == 1 { return }
            if taken < 0 { throw PostgresFailure(nil, connection) }
            try wait(forWriting: true, deadline)
        }
    }

    // MARK: Waiting

    private func newDeadline() -> ContinuousClock.Instant? { timeout == .zero ? nil : ContinuousClock.now + timeout }

    private func flush(_ deadline: ContinuousClock.Instant?) throws(PostgresFailure) {
        while true {
            let left = PQflush(connection)
            if left == 0 { return }
            if left < 0 { throw PostgresFailure(nil, connection) }
            try wait(forWriting: true, deadline)
        }
    }

    /// The next result of the running statements, nil when there are no more.
    private func nextResult(_ deadline: ContinuousClock.Instant?) throws(PostgresFailure) -> OpaquePointer? {
        while PQisBusy(connection) == 1 { try wait(forWriting: false, deadline) }
        return PQgetResult(connection)
    }

    /// Reads all results to the end and throws the first failure.
    private func finish(_ deadline: ContinuousClock.Instant?) throws(PostgresFailure) -> [String] {
        var failure: PostgresFailure?
        var rows: [String] = []
        while let result = try nextResult(deadline) {
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK: rows = []
            case PGRES_TUPLES_OK:
                rows = (0..<PQntuples(result)).map { row in
                    PQgetvalue(result, row, 0).map { String(cString: $0) } ?? ""
                }
            default:
                failure = failure ?? PostgresFailure(result, connection)
                // A broken connection repeats its failure without end.
                if PQstatus(connection) == CONNECTION_BAD { throw failure ?? PostgresFailure(nil, connection) }
            }
        }
        if let failure { throw failure }
        return rows
    }

    /// Waits for the connection for a moment: who calls looks again, and again waits.
    private func wait(forWriting: Bool, _ deadline: ContinuousClock.Instant?) throws(PostgresFailure) {
        if isLost() { throw PostgresFailure(.connection, "the exporter ends") }
        let events = Int16(POLLIN) | (forWriting ? Int16(POLLOUT) : 0)
        var watched = pollfd(fd: PQsocket(connection), events: events, revents: 0)
        var milliseconds = Self.lookMilliseconds
        if let deadline {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else {
                throw PostgresFailure(.connection, "no answer within \(timeout.wholeMilliseconds) ms (timeout)")
            }
            milliseconds = min(milliseconds, Int32(clamping: left.wholeMilliseconds))
        }
        let count = poll(&watched, 1, milliseconds)
        if count < 0 && errno != EINTR {
            throw PostgresFailure(.connection, "poll: \(String(cString: strerror(errno)))")
        }
        if watched.revents & Int16(POLLIN | POLLERR | POLLHUP) != 0, PQconsumeInput(connection) == 0 {
            throw PostgresFailure(nil, connection)
        }
    }
}
