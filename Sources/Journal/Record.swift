import Pipeline
import Telemetry

/// The fixed part of a record.
struct RecordHeader: Equatable {
    static let magic: UInt32 = 0x524C_538E
    enum Kind: UInt8 { case frame = 1, seal = 2 }

    var kind: Kind
    var signal: UInt8
    var tenantBytes: Int
    /// A multiple of `JournalFormat.metadataUnit`.
    var metadataBytes = 0
    var payloadBytes: Int
    var items: UInt32
    var sequence: UInt64
    var minTime: UInt64
    var maxTime: UInt64
    var bodyChecksum: UInt32

    /// Bytes of the whole record. At most 2^32 + 8703, since the parts came from fields of their width.
    var recordBytes: Int {
        JournalFormat.recordBytes(tenant: tenantBytes, metadata: metadataBytes, payload: payloadBytes)
    }

    /// The same without the zeros behind it.
    var unpaddedBytes: Int { JournalFormat.recordHeaderBytes + tenantBytes + metadataBytes + payloadBytes }

    /// Sequence behind this record; nil when it would pass the end of 64 bits, which no writer does.
    var end: UInt64? {
        let (end, overflow) = sequence.addingReportingOverflow(UInt64(items))
        return overflow ? nil : end
    }

    /// The seal of a segment that holds `frames` records and ends at `sequence`.
    static func seal(sequence: UInt64, frames: Int) -> RecordHeader {
        RecordHeader(
            kind: .seal, signal: 0, tenantBytes: 0, payloadBytes: 0, items: 0, sequence: sequence,
            minTime: UInt64(clamping: frames), maxTime: 0, bodyChecksum: 0)
    }

    /// Writes the 48 bytes of the header to the front of `out`.
    func write(to out: UnsafeMutableRawBufferPointer, seed: UInt32) {
        out.put(Self.magic, at: 0)
        out.put(bodyChecksum, at: 8)
        out.put(UInt32(truncatingIfNeeded: payloadBytes), at: 12)
        out.put(items, at: 16)
        out.put(kind.rawValue, at: 20)
        out.put(signal, at: 21)
        out.put(UInt8(truncatingIfNeeded: tenantBytes), at: 22)
        out.put(UInt8(truncatingIfNeeded: metadataBytes / JournalFormat.metadataUnit), at: 23)
        out.put(sequence, at: 24)
        out.put(minTime, at: 32)
        out.put(maxTime, at: 40)
        let rest = UnsafeRawBufferPointer(out).part(8..<JournalFormat.recordHeaderBytes)
        out.put(crc32c(seed, rest), at: 4)
    }

    /// Reads a header from the front of `bytes`; nil unless it is whole, its checksum holds and its fields make sense.
    static func read(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> RecordHeader? {
        guard bytes.count >= JournalFormat.recordHeaderBytes, bytes.little(0, as: UInt32.self) == magic,
            bytes.little(4, as: UInt32.self) == crc32c(seed, bytes.part(8..<JournalFormat.recordHeaderBytes)),
            let kind = Kind(rawValue: bytes[20])
        else { return nil }
        let header = RecordHeader(
            kind: kind, signal: bytes[21], tenantBytes: Int(bytes[22]),
            metadataBytes: Int(bytes[23]) * JournalFormat.metadataUnit,
            payloadBytes: Int(bytes.little(12, as: UInt32.self)), items: bytes.little(16, as: UInt32.self),
            sequence: bytes.little(24, as: UInt64.self), minTime: bytes.little(32, as: UInt64.self),
            maxTime: bytes.little(40, as: UInt64.self), bodyChecksum: bytes.little(8, as: UInt32.self))
        return header.end == nil || (kind == .frame && header.items == 0) ? nil : header
    }
}

/// What stands at one place of a segment.
enum ParsedRecord {
    case whole(RecordHeader)
    /// The header can be trusted, the rest is not what was written.
    case damagedBody(RecordHeader)
    /// A trustworthy header whose record goes beyond the bytes at hand.
    case incomplete(RecordHeader)
    case noRecord

    /// Looks at the front of `bytes`.
    init(_ bytes: UnsafeRawBufferPointer, seed: UInt32) {
        guard let header = RecordHeader.read(bytes, seed: seed) else {
            self = .noRecord
            return
        }
        let bodyStart = JournalFormat.recordHeaderBytes
        let bodyEnd = bodyStart + header.tenantBytes + header.metadataBytes + header.payloadBytes
        if header.recordBytes > bytes.count {
            self = .incomplete(header)
        } else if crc32c(0, bytes.part(bodyStart..<bodyEnd)) == header.bodyChecksum {
            self = .whole(header)
        } else {
            self = .damagedBody(header)
        }
    }
}

extension RecordHeader {
    /// The header of a record that will hold `frame` with its metadata in so many bytes.
    init(_ frame: Frame, metadataBytes: Int, sequence: UInt64, bodyChecksum: UInt32) {
        self.init(
            kind: .frame, signal: frame.header.signal.rawValue, tenantBytes: frame.header.tenant.utf8.count,
            metadataBytes: metadataBytes, payloadBytes: frame.bytes.count, items: frame.header.itemCount,
            sequence: sequence, minTime: frame.header.minTime, maxTime: frame.header.maxTime,
            bodyChecksum: bodyChecksum)
    }

    /// The frame in the whole record `bytes`; nil for a signal this release does not know.
    func frame(in bytes: UnsafeRawBufferPointer) -> Frame? {
        guard let signal = Signal(rawValue: signal) else { return nil }
        let metadataStart = JournalFormat.recordHeaderBytes + tenantBytes
        let payloadStart = metadataStart + metadataBytes
        let tenant = String(
            decoding: bytes.part(JournalFormat.recordHeaderBytes..<metadataStart), as: UTF8.self)
        let header = FrameHeader(
            signal: signal, itemCount: items, minTime: minTime, maxTime: maxTime, tenant: tenant,
            metadata: RecordMetadata.decode(bytes.part(metadataStart..<payloadStart)))
        return Frame(header: header, bytes: Array(bytes.part(payloadStart..<payloadStart + payloadBytes)))
    }
}

/// Headers of a request as they lie in a record, see `JournalFormat`.
enum RecordMetadata {
    /// Largest that byte 23 of a record's header can say.
    private static let bytesMax = 255 * JournalFormat.metadataUnit

    /// The bytes of what is kept, filled up with zeros; none when there is nothing. What would be too long to be told
    /// is left out; `RequestMetadata.kept` lets nothing through that is.
    static func encode(_ metadata: RequestMetadata) -> [UInt8] {
        var bytes: [UInt8] = []
        for field in metadata.fields {
            let (name, value) = (field.name.utf8, field.value.utf8)
            guard let (nameCount, valueCount) = counts(of: field, behind: bytes.count) else { continue }
            bytes.append(nameCount)
            bytes.append(UInt8(truncatingIfNeeded: valueCount))
            bytes.append(UInt8(truncatingIfNeeded: valueCount >> 8))
            bytes.append(contentsOf: name)
            bytes.append(contentsOf: value)
        }
        bytes.append(contentsOf: repeatElement(0, count: filled(bytes.count) - bytes.count))
        return bytes
    }

    /// How many bytes `encode` makes.
    static func byteCount(of metadata: RequestMetadata) -> Int {
        var count = 0
        for field in metadata.fields {
            guard let (nameCount, valueCount) = counts(of: field, behind: count) else { continue }
            count += 3 + Int(nameCount) + Int(valueCount)
        }
        return filled(count)
    }

    /// The lengths of a field behind `count` bytes of others; nil when there is no room for it.
    private static func counts(
        of field: RequestMetadata.Field, behind count: Int
    ) -> (name: UInt8, value: UInt16)? {
        let (name, value) = (field.name.utf8.count, field.value.utf8.count)
        guard name > 0, let nameCount = UInt8(exactly: name), let valueCount = UInt16(exactly: value),
            count + 3 + name + value <= bytesMax
        else { return nil }
        return (nameCount, valueCount)
    }

    private static func filled(_ count: Int) -> Int {
        (count + JournalFormat.metadataUnit - 1) / JournalFormat.metadataUnit * JournalFormat.metadataUnit
    }

    /// Reads what `encode` wrote; total on any bytes.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> RequestMetadata {
        var metadata = RequestMetadata()
        var at = 0
        while at + 3 <= bytes.count, bytes[at] > 0 {
            let nameEnd = at + 3 + Int(bytes[at])
            let end = nameEnd + Int(bytes.little(at + 1, as: UInt16.self))
            guard end <= bytes.count else { break }
            metadata.fields.append(
                RequestMetadata.Field(
                    name: String(decoding: bytes.part(at + 3..<nameEnd), as: UTF8.self),
                    value: String(decoding: bytes.part(nameEnd..<end), as: UTF8.self)))
            at = end
        }
        return metadata
    }
}
