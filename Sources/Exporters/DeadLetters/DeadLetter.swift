import CSupport
import FoundationEssentials
import OTLP
package import Pipeline
package import Telemetry

/// One batch that will not be delivered any more, with what is known about why.
package struct DeadLetter: Sendable, Equatable {
    /// Why the gateway gave up.
    package enum Cause: String, Sendable, Codable, CaseIterable {
        /// The destination refused it for good.
        case rejected
        /// A single record that the destination does not take.
        case tooLarge = "too_large"
        /// `retry_on_failure.max_elapsed_time` was over.
        case retriesExhausted = "retries_exhausted"
        /// `retry_on_failure` is off.
        case retryDisabled = "retry_disabled"
        /// A processor or connector fails on each of its records.
        case processorFailed = "processor_failed"

        /// For the log.
        var sentence: String {
            switch self {
            case .rejected: "sending again would not help"
            case .tooLarge: "a single record is too large"
            case .retriesExhausted: "retry_on_failure.max_elapsed_time is over"
            case .retryDisabled: "retry_on_failure is off"
            case .processorFailed: "processing fails"
            }
        }
    }

    /// `type/name` of the exporter.
    package var exporter: String
    /// `signal/name` of the pipeline.
    package var pipeline: String
    package var cause: Cause
    /// What the destination answered, made fit for a terminal.
    package var message: String
    package var signal: Signal
    package var itemCount: Int
    package var tenant: String
    /// Headers that went with it, see `ExportBatch.metadata`.
    package var metadata: RequestMetadata
    /// The protobuf bytes of one Export request.
    package var bytes: [UInt8]
    /// See `ExportBatch.rowPlaces`.
    package var rowPlaces: [RowPlace] = []

    package init(
        exporter: String, pipeline: String, cause: Cause, message: String, signal: Signal, itemCount: Int,
        tenant: String, metadata: RequestMetadata = RequestMetadata(), bytes: [UInt8]
    ) {
        self.exporter = exporter
        self.pipeline = pipeline
        self.cause = cause
        self.message = message
        self.signal = signal
        self.itemCount = itemCount
        self.tenant = tenant
        self.metadata = metadata
        self.bytes = bytes
    }

    /// The request as OTLP JSON on one line.
    package var requestJSON: String {
        var text = ByteColumn()
        bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: signal, into: &text) }
        return String(decoding: text.bytes, as: UTF8.self)
    }
}

/// The file of one letter:
///
///     SLUICE DEAD LETTER 1 <LF>
///     {"bytes":..., "cause":..., "exporter":..., "items":..., ...} <LF>
///     the request, as many bytes as the second line says
///
/// so that `head -2` shows what it is, and what follows can be sent as it is.
enum DeadLetterFormat {
    static let firstLine = "SLUICE DEAD LETTER 1"
    /// Longest second line; a message is much shorter.
    static let headMax = 64 << 10
    /// Most records whose places the second line has room for; others are known by their bytes.
    static let placesMax = 500

    /// The second line.
    struct Head: Codable, Equatable {
        var bytes: Int
        var cause: DeadLetter.Cause
        var exporter: String
        var items: Int
        var message: String
        var pipeline: String
        var signal: String
        var tenant: String
        /// Names and values in turn; letters of earlier releases have none.
        var metadata: [String]?
        /// Per record the place in its block, a colon and the block's hash in hexadecimal digits.
        var rows: [String]?
        /// CRC-32C of the request; letters of earlier releases have none.
        var crc32c: UInt32?
    }

    static func encode(_ letter: DeadLetter) -> [UInt8] {
        let head = Head(
            bytes: letter.bytes.count, cause: letter.cause, exporter: letter.exporter, items: letter.itemCount,
            message: letter.message, pipeline: letter.pipeline, signal: letter.signal.description,
            tenant: letter.tenant,
            metadata: letter.metadata.fields.isEmpty ? nil : letter.metadata.fields.flatMap { [$0.name, $0.value] },
            rows: letter.rowPlaces.isEmpty || letter.rowPlaces.count > placesMax
                ? nil : letter.rowPlaces.map(\.text),
            crc32c: letter.bytes.withUnsafeBytes { sluice_crc32c(0, $0.baseAddress, $0.count) })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = (try? encoder.encode(head)) ?? Data()
        return Array((firstLine + "\n").utf8) + Array(line) + [0x0A] + letter.bytes
    }

    /// What the first two lines say; `start` is where the request begins. Nil for anything that `encode` did not write.
    static func head(_ bytes: ArraySlice<UInt8>) -> (head: Head, signal: Signal, start: Int)? {
        let first = Array((firstLine + "\n").utf8)
        guard bytes.starts(with: first) else { return nil }
        let rest = bytes.dropFirst(first.count).prefix(headMax)
        guard let end = rest.firstIndex(of: 0x0A),
            let head = try? JSONDecoder().decode(Head.self, from: Data(rest[..<end])),
            let signal = Signal.allCases.first(where: { $0.description == head.signal })
        else { return nil }
        return (head, signal, end + 1 - bytes.startIndex)
    }

    /// The letter, nil when the file is no letter or its request is not what was written.
    static func decode(_ bytes: [UInt8]) -> DeadLetter? {
        guard let (head, signal, start) = head(bytes[...]), bytes.count - start == head.bytes else { return nil }
        let checksum = bytes.withUnsafeBytes { sluice_crc32c(0, $0.baseAddress.map { $0 + start }, $0.count - start) }
        guard head.crc32c == nil || head.crc32c == checksum else { return nil }
        var letter = DeadLetter(
            exporter: head.exporter, pipeline: head.pipeline, cause: head.cause, message: head.message,
            signal: signal, itemCount: head.items, tenant: head.tenant, metadata: head.requestMetadata,
            bytes: Array(bytes[start...]))
        let places = (head.rows ?? []).compactMap(RowPlace.init)
        if places.count == head.items { letter.rowPlaces = places }
        return letter
    }
}

extension RowPlace {
    fileprivate var text: String {
        let digits = Array("0123456789abcdef")
        return "\(position):" + String(block.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    fileprivate init?(_ text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let position = Int64(parts[0]) else { return nil }
        let digits = parts[1].compactMap(\.hexDigitValue)
        guard digits.count == 32, parts[1].count == 32 else { return nil }
        self.init(block: (0..<16).map { UInt8(digits[2 * $0] << 4 | digits[2 * $0 + 1]) }, position: position)
    }
}

extension DeadLetterFormat.Head {
    /// The headers; a name without a value is left out.
    fileprivate var requestMetadata: RequestMetadata {
        let texts = metadata ?? []
        return RequestMetadata(
            stride(from: 0, to: texts.count - texts.count % 2, by: 2).map {
                .init(name: texts[$0], value: texts[$0 + 1])
            })
    }
}
