import OTLP
import Telemetry

/// One metric with its points as a value of its own: what the editors of metrics work on, since they change what a
/// batch, which lies over received bytes, keeps as it is. Read from a Metric message and written as one again; fields
/// that the schema does not know stay.
struct MetricTree {
    /// Encoded texts, so that nothing is converted.
    var name: [UInt8] = []
    var details: [UInt8] = []
    var unit: [UInt8] = []
    var kind = MetricKind.none
    var temporality = UInt64(0)
    var isMonotonic = false
    var points: [MetricPoint] = []
    /// Whole fields beside these: metadata, and what is not known.
    var rest: [[UInt8]] = []
    var dataRest: [[UInt8]] = []

    static let delta: UInt64 = 1
    static let cumulative: UInt64 = 2

    init() {}

    /// Reads a Metric message.
    init(_ message: Text) throws(DecodeFailure) {
        var cursor = WireCursor(message)
        while !cursor.isAtEnd {
            let start = cursor.at
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: name = Self.bytes(message[try cursor.length()])
            case 0x12: details = Self.bytes(message[try cursor.length()])
            case 0x1A: unit = Self.bytes(message[try cursor.length()])
            default:
                if let data = Self.kinds.first(where: { $0.tag == tag }) {
                    if kind != data.kind { (points, temporality, isMonotonic, dataRest) = ([], 0, false, []) }
                    kind = data.kind
                    try readData(message[try cursor.length()])
                } else {
                    try cursor.skip(tag)
                    rest.append(Self.bytes(message[start..<cursor.at]))
                }
            }
        }
    }

    private mutating func readData(_ data: Text) throws(DecodeFailure) {
        var cursor = WireCursor(data)
        while !cursor.isAtEnd {
            let start = cursor.at
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: points.append(try MetricPoint(data[try cursor.length()], kind))
            case 0x10 where kind != .gauge && kind != .summary: temporality = try cursor.varint()
            case 0x18 where kind == .sum: isMonotonic = try cursor.varint() != 0
            default:
                try cursor.skip(tag)
                dataRest.append(Self.bytes(data[start..<cursor.at]))
            }
        }
    }

    /// The Metric message.
    var encoded: [UInt8] {
        var output = ByteColumn()
        for (tag, text) in [(0x0A as UInt32, name), (0x12, details), (0x1A, unit)] where !text.isEmpty {
            text.withUnsafeBytes { output.appendField(tag: tag, Text($0)) }
        }
        if let data = Self.kinds.first(where: { $0.kind == kind }) {
            let open = output.beginMessage(tag: data.tag, guess: 1 << 10)
            for point in points {
                let inner = output.beginMessage(tag: 0x0A, guess: 100)
                point.append(kind, to: &output)
                output.endMessage(inner)
            }
            if kind != .gauge, kind != .summary { output.appendScalar(tag: 0x10, temporality) }
            if kind == .sum { output.appendScalar(tag: 0x18, isMonotonic ? 1 : 0) }
            output.append(whole: dataRest)
            output.endMessage(open)
        }
        output.append(whole: rest)
        return [UInt8](output.bytes)
    }

    private static let kinds: [(tag: UInt32, kind: MetricKind)] = [
        (0x2A, .gauge), (0x3A, .sum), (0x4A, .histogram), (0x52, .exponentialHistogram), (0x5A, .summary),
    ]

    static func bytes(_ text: Text) -> [UInt8] { [UInt8](text.bytes) }

    var hasBuckets: Bool { kind == .histogram || kind == .exponentialHistogram }
}

extension ByteColumn {
    /// Fields that are written as they came.
    mutating func append(whole fields: [[UInt8]]) {
        for field in fields { field.withUnsafeBytes { append(Text($0)) } }
    }

    /// A double that is there, zero too.
    mutating func append(tag: UInt8, _ number: Double?) {
        guard let number else { return }
        append(tag)
        append(littleEndian: number.bitPattern)
    }
}
