import OTLP
import Telemetry

/// Brings records of equal resources and scopes together: one container for each, in order of first appearance. Points
/// of equal metrics of a scope come together too.
///
/// Two are equal when they have the same fields, in whatever order, and the same schema URL. Works on the encoded
/// request, since the three signals have the same two levels: resource = 1, scopes = 2, schema_url = 3, and below them
/// scope = 1, records = 2, schema_url = 3.
enum RequestCompaction {
    /// Fields of the two kinds of containers: lower level or records, and what comes once.
    private static let content: UInt32 = 2 << 3 | 2
    private static let owner: UInt32 = 1 << 3 | 2
    private static let schema: UInt32 = 3 << 3 | 2

    /// Containers that become one.
    private struct Group {
        var containers: [Range<Int>]
        /// Of scopes in requests of metrics, what is in them, equal metrics together.
        var metrics: [[Range<Int>]]?

        var isSame: Bool { containers.count == 1 && (metrics?.allSatisfy { $0.count == 1 } ?? true) }
    }

    /// Writes the request with equal containers merged; false when there are none, and `output` is as it was.
    static func run(_ request: Text, _ signal: Signal, into output: inout ByteColumn) -> Bool {
        var resources: [Range<Int>] = []
        var others: [Range<Int>] = []
        var cursor = WireCursor(request)
        while let field = cursor.nextField() {
            if field.tag == owner { resources.append(field.content) } else { others.append(field.whole) }
        }
        let groups = grouped(resources, request)
        let scopes = groups.map { group -> [Group] in
            let found = grouped(group.containers.flatMap { contents(of: $0, request) }, request)
            return signal == .metrics ? found.map { withMetrics($0, request) } : found
        }
        let isSame = groups.count == resources.count && scopes.allSatisfy { $0.allSatisfy(\.isSame) }
        if isSame { return false }
        for (group, below) in zip(groups, scopes) {
            let open = output.beginMessage(tag: owner, guess: group.containers.reduce(0) { $0 + $1.count })
            writeHead(group, request, into: &output)
            for scope in below {
                let inner = output.beginMessage(tag: content, guess: scope.containers.reduce(0) { $0 + $1.count })
                writeHead(scope, request, into: &output)
                if let metrics = scope.metrics {
                    for metric in metrics { MetricMerging.write(metric, request, into: &output) }
                } else {
                    for container in scope.containers { writeContents(of: container, request, into: &output) }
                }
                output.endMessage(inner)
            }
            output.endMessage(open)
        }
        for field in others { output.append(request[field]) }
        return true
    }

    private static func withMetrics(_ scope: Group, _ request: Text) -> Group {
        var scope = scope
        scope.metrics = MetricMerging.grouped(scope.containers.flatMap { contents(of: $0, request) }, request)
        return scope
    }

    private static func grouped(_ containers: [Range<Int>], _ request: Text) -> [Group] {
        var groups: [Group] = []
        var places: [[UInt8]: Int] = [:]
        for container in containers {
            let key = key(of: container, request)
            if let place = places[key] {
                groups[place].containers.append(container)
            } else {
                places[key] = groups.count
                groups.append(Group(containers: [container]))
            }
        }
        return groups
    }

    /// What two containers must share: the fields of resource or scope in a fixed order, and the schema URL.
    private static func key(of container: Range<Int>, _ request: Text) -> [UInt8] {
        var key: [UInt8] = []
        var url: [UInt8] = []
        var cursor = WireCursor(request, container)
        while let field = cursor.nextField() {
            if field.tag == schema { url = [UInt8](request[field.whole].bytes) }
            guard field.tag == owner else { continue }
            var parts: [[UInt8]] = []
            var inner = WireCursor(request, field.content)
            while let part = inner.nextField() { parts.append([UInt8](request[part.whole].bytes)) }
            parts.sort { $0.lexicographicallyPrecedes($1) }
            key += parts.joined()
        }
        // An empty URL is as good as none.
        return url.count > 2 ? key + url : key
    }

    private static func contents(of container: Range<Int>, _ request: Text) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var cursor = WireCursor(request, container)
        while let field = cursor.nextField() {
            if field.tag == content { found.append(field.content) }
        }
        return found
    }

    private static func writeContents(of container: Range<Int>, _ request: Text, into output: inout ByteColumn) {
        var cursor = WireCursor(request, container)
        while let field = cursor.nextField() {
            if field.tag == content { output.append(request[field.whole]) }
        }
    }

    /// All but the contents: of the first container whole, of the others what is not known to come once.
    private static func writeHead(_ group: Group, _ request: Text, into output: inout ByteColumn) {
        for (index, container) in group.containers.enumerated() {
            var cursor = WireCursor(request, container)
            while let field = cursor.nextField() {
                let isOnce = field.tag == owner || field.tag == schema
                if field.tag != content, index == 0 || !isOnce { output.append(request[field.whole]) }
            }
        }
    }
}
