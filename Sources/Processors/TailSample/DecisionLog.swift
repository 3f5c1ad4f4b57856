import Glibc
import OTLP
import Pipeline
import Telemetry

/// A file of decisions, appended as they are made. Its owner holds a lock around every call. It is not synced: it
/// survives the process, and what a power loss takes is decided again, since the traces come again from the journal.
///
/// A record, numbers little-endian:
///
///     kind u8 | size of tenant u8 | size of session u16 | trace id 16 | probability f64 | tenant | session | sum u32
///
/// The sum is the FNV-1a of what is before it. Reading ends at the first record that is cut or whose sum is wrong; the
/// rest is cut off.
final class DecisionLog {
    enum Entry: Equatable, Sendable {
        case decision(DecisionCache.Key, SamplingDecision)
        case session(DecisionCache.Session)
    }

    private let path: String
    private var descriptor: Int32 = -1
    private var recovered: [Entry] = []
    private var count = 0

    /// A log larger than this is not read: it is none of ours.
    private static let bytesMax = 1 << 30
    private static let headSize = 28

    /// Opens or makes the log `name` in a folder. Nil when the folder cannot be used; sampling goes on without it.
    init?(folder: String, name: String) {
        guard ContentStore.makeFolder(folder) else { return nil }
        path = folder + "/" + name
        let bytes = DecisionLog.read(path)
        var index = 0
        while let entry = DecisionLog.parse(bytes, &index) { recovered.append(entry) }
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return nil }
        _ = ftruncate(descriptor, off_t(index))
        count = recovered.count
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// What the log held when it was opened; empty when asked again.
    func takeRecovered() -> [Entry] {
        defer { recovered = [] }
        return recovered
    }

    /// Appends a record and returns how many there are. A record that cannot be written is not remembered over a
    /// restart.
    func append(_ entry: Entry) -> Int {
        if Descriptor.writeAll(DecisionLog.encode(entry), to: descriptor) { count += 1 }
        return count
    }

    /// Replaces the file by one with just these entries. On a failure the old file stays in use.
    func rewrite(_ entries: [Entry]) {
        guard entries.count != count else { return }
        let temporary = path + ".new"
        let new = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard new >= 0 else { return }
        var bytes: [UInt8] = []
        for entry in entries { bytes += DecisionLog.encode(entry) }
        guard Descriptor.writeAll(bytes, to: new), rename(temporary, path) == 0 else {
            close(new)
            unlink(temporary)
            return
        }
        close(descriptor)
        descriptor = new
        count = entries.count
    }

    // MARK: Bytes

    private static func read(_ path: String) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_size <= bytesMax else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(facts.st_size))
        var done = 0
        bytes.withUnsafeMutableBytes { buffer in
            while done < buffer.count, let base = buffer.baseAddress {
                let size = Glibc.read(descriptor, base + done, buffer.count - done)
                if size < 0, errno == EINTR { continue }
                guard size > 0 else { return }
                done += size
            }
        }
        return Array(bytes.prefix(done))
    }

    private static func encode(_ entry: Entry) -> [UInt8] {
        var tenant = ""
        var session = ""
        var trace = TraceID(high: 0, low: 0)
        var probability = 0.0
        var kind: UInt8 = 0
        switch entry {
        case .decision(let key, let decision):
            (kind, tenant, trace, probability) = (
                decision.isSampled ? 1 : 2, key.tenant, key.trace, decision.probability
            )
        case .session(let key): (kind, tenant, session) = (3, key.tenant, key.name)
        }
        let names = (Array(tenant.utf8.prefix(255)), Array(session.utf8.prefix(65_535)))
        var bytes: [UInt8] = [kind, UInt8(names.0.count)]
        bytes.reserveCapacity(headSize + names.0.count + names.1.count + 4)
        func add(_ number: UInt64, _ width: Int) {
            for index in 0..<width { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * index))) }
        }
        add(UInt64(names.1.count), 2)
        add(trace.high, 8)
        add(trace.low, 8)
        add(probability.bitPattern, 8)
        bytes += names.0 + names.1
        add(UInt64(FNV.hash32(bytes)), 4)
        return bytes
    }

    private static func parse(_ bytes: [UInt8], _ index: inout Int) -> Entry? {
        guard bytes.count - index >= headSize + 4 else { return nil }
        func number(_ offset: Int, _ width: Int) -> UInt64 {
            (0..<width).reduce(0) { $0 | UInt64(bytes[index + offset + $1]) << UInt64(8 * $1) }
        }
        let tenantEnd = headSize + Int(bytes[index + 1])
        let end = tenantEnd + Int(number(2, 2))
        guard bytes.count - index >= end + 4, number(end, 4) == UInt64(FNV.hash32(bytes[index..<index + end])) else {
            return nil
        }
        let tenant = String(decoding: bytes[index + headSize..<index + tenantEnd], as: UTF8.self)
        let session = String(decoding: bytes[index + tenantEnd..<index + end], as: UTF8.self)
        let key = DecisionCache.Key(trace: TraceID(high: number(4, 8), low: number(12, 8)), tenant: tenant)
        let probability = Double(bitPattern: number(20, 8))
        let kind = bytes[index]
        switch kind {
        case 1, 2:
            guard probability > 0, probability <= 1 else { return nil }
            index += end + 4
            return .decision(key, SamplingDecision(isSampled: kind == 1, probability: probability))
        case 3:
            index += end + 4
            return .session(DecisionCache.Session(name: session, tenant: tenant))
        default: return nil
        }
    }
}

extension DecisionLog {
    /// The log of one processor of one pipeline, nil when nothing is kept on disk.
    static func make(for build: ProcessorPlace) -> DecisionLog? {
        guard let folder = build.stateDirectory else { return nil }
        var name = ""
        for byte in "\(build.pipeline) \(build.id)".utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D: name.unicodeScalars.append(Unicode.Scalar(byte))
            default: name += "~" + String(byte, radix: 16)
            }
        }
        return DecisionLog(folder: folder, name: name + ".decisions")
    }

    /// Where a processor stands.
    struct ProcessorPlace {
        var stateDirectory: String?
        var pipeline: String
        var id: String
    }
}
