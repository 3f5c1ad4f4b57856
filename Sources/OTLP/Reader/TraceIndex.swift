package import Telemetry

/// Where the spans of each trace lie in a traces request, found without decoding more than ids.
///
/// A value that is filled again and again, so that its memory is kept.
package struct TraceIndex: ~Copyable {
    /// Neighbouring spans of one trace and scope.
    package struct Run: Sendable {
        package var trace: TraceID
        /// The fields of the spans in the request, or the whole request.
        package var bytes: Range<Int>
        /// Numbers for `resource` and `scope`; -1 when `bytes` is the whole request.
        package var resource: Int
        package var scope: Int
        package var items: Int
        /// Whether a span without parent is among them.
        package var hasRoot: Bool

        package init(trace: TraceID, bytes: Range<Int>, resource: Int, scope: Int, items: Int, hasRoot: Bool) {
            self.trace = trace
            self.bytes = bytes
            self.resource = resource
            self.scope = scope
            self.items = items
            self.hasRoot = hasRoot
        }
    }

    package private(set) var runs: [Run] = []
    /// Fields around the spans: those of each ResourceSpans and ScopeSpans but for the repeated children.
    private var heads = ByteColumn()
    /// Fields of the request that are no resources.
    private var others = ByteColumn()
    private var resources: [Range<Int>] = []
    private var scopes: [Range<Int>] = []

    package init() {}

    package var resourceCount: Int { resources.count }
    package var scopeCount: Int { scopes.count }
    /// The encoded fields of a ResourceSpans without its scopes; `number` as in a run.
    package func resource(_ number: Int) -> Text { heads.text[resources[number]] }
    /// The encoded fields of a ScopeSpans without its spans.
    package func scope(_ number: Int) -> Text { heads.text[scopes[number]] }
    /// The encoded fields of the request that stand beside its resources, which no schema knows; empty when a run is
    /// the whole request, which has them.
    package var unknown: Text { others.text }

    /// Reads a request, forgetting the one before. A request whose spans are all of one trace is one run.
    package mutating func read(_ request: Text) throws(DecodeFailure) {
        runs.removeAll(keepingCapacity: true)
        resources.removeAll(keepingCapacity: true)
        scopes.removeAll(keepingCapacity: true)
        heads.removeAll()
        others.removeAll()
        var cursor = WireCursor(request)
        while !cursor.isAtEnd {
            let from = cursor.at
            let tag = try cursor.tag()
            guard tag != 0x0A else {
                try readResource(request, try cursor.length())
                continue
            }
            try cursor.skip(tag)
            others.append(request[from..<cursor.at])
        }
        guard let first = runs.first, runs.allSatisfy({ $0.trace == first.trace }) else { return }
        join(request)
    }

    /// Bytes of the requests that `TraceAssembly` makes of the traces, or more: a resource counts once per trace, and
    /// so does what stands beside the resources.
    package var assembledBytes: Int {
        var last: [TraceID: (resource: Int, scope: Int)] = [:]
        var bytes = 0
        for run in runs {
            bytes += run.bytes.count
            guard run.resource >= 0 else { continue }
            let before = last.updateValue((run.resource, run.scope), forKey: run.trace)
            if before?.resource != run.resource { bytes += resources[run.resource].count }
            if before?.scope != run.scope { bytes += scopes[run.scope].count }
        }
        return bytes + last.count * others.count
    }

    /// Makes one run of all, as if every span were of the first one's trace.
    package mutating func join(_ request: Text) {
        guard let first = runs.first else { return }
        let items = runs.reduce(0) { $0 + $1.items }
        let hasRoot = runs.contains(where: \.hasRoot)
        runs.removeAll(keepingCapacity: true)
        others.removeAll()
        runs.append(
            Run(
                trace: first.trace, bytes: 0..<request.count, resource: -1, scope: -1, items: items, hasRoot: hasRoot))
    }

    private mutating func readResource(_ request: Text, _ range: Range<Int>) throws(DecodeFailure) {
        let number = resources.count
        let start = heads.count
        var cursor = WireCursor(request, range)
        while !cursor.isAtEnd {
            let from = cursor.at
            let tag = try cursor.tag()
            try cursor.skip(tag)
            if tag != 0x12 { heads.append(request[from..<cursor.at]) }
        }
        resources.append(start..<heads.count)
        cursor = WireCursor(request, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            if tag == 0x12 { try readScope(request, try cursor.length(), number) } else { try cursor.skip(tag) }
        }
    }

    private mutating func readScope(
        _ request: Text, _ range: Range<Int>, _ resource: Int
    ) throws(DecodeFailure) {
        let number = scopes.count
        let start = heads.count
        var cursor = WireCursor(request, range)
        while !cursor.isAtEnd {
            let from = cursor.at
            let tag = try cursor.tag()
            guard tag == 0x12 else {
                try cursor.skip(tag)
                heads.append(request[from..<cursor.at])
                continue
            }
            let (trace, isRoot) = try TraceIndex.identify(request, try cursor.length())
            add(trace, from..<cursor.at, resource, number, isRoot)
        }
        scopes.append(start..<heads.count)
    }

    private mutating func add(_ trace: TraceID, _ bytes: Range<Int>, _ resource: Int, _ scope: Int, _ isRoot: Bool) {
        if let last = runs.indices.last, runs[last].trace == trace, runs[last].scope == scope,
            runs[last].bytes.upperBound == bytes.lowerBound
        {
            runs[last].bytes = runs[last].bytes.lowerBound..<bytes.upperBound
            runs[last].items += 1
            if isRoot { runs[last].hasRoot = true }
        } else {
            runs.append(Run(trace: trace, bytes: bytes, resource: resource, scope: scope, items: 1, hasRoot: isRoot))
        }
    }

    /// The trace of a span, and whether it has no parent. As in a record, the last of repeated fields counts.
    private static func identify(_ request: Text, _ range: Range<Int>) throws(DecodeFailure) -> (TraceID, Bool) {
        var cursor = WireCursor(request, range)
        var trace = 0..<0
        var isRoot = true
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: trace = try cursor.length()
            case 0x22: isRoot = try cursor.length().isEmpty
            default: try cursor.skip(tag)
            }
        }
        return (TraceID(request[trace]), isRoot)
    }
}

/// Puts spans that `TraceIndex` found under their resource and scope again.
package enum TraceAssembly {
    /// Begins a ResourceSpans with one scope, whose spans, whole fields of so many bytes, are to follow.
    package static func begin(resource: Text, scope: Text, spansSize: Int, in output: inout ByteColumn) {
        begin(resource: resource, scopesSize: scopeSize(scope: scope, spansSize: spansSize), in: &output)
        begin(scope: scope, spansSize: spansSize, in: &output)
    }

    /// Begins a ResourceSpans whose scopes, so many bytes by `scopeSize`, are to follow.
    package static func begin(resource: Text, scopesSize: Int, in output: inout ByteColumn) {
        output.appendVarint(0x0A)
        output.appendVarint(UInt64(resource.count + scopesSize))
        output.append(resource)
    }

    /// Begins a scope in a ResourceSpans; its spans are to follow.
    package static func begin(scope: Text, spansSize: Int, in output: inout ByteColumn) {
        output.appendVarint(0x12)
        output.appendVarint(UInt64(scope.count + spansSize))
        output.append(scope)
    }

    /// Bytes of a scope with spans of so many bytes, in a ResourceSpans.
    package static func scopeSize(scope: Text, spansSize: Int) -> Int { WireSize.field(scope.count + spansSize) }
}
