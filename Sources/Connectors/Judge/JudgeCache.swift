import FoundationEssentials
import GenAI
import Glibc
import Pipeline

/// Judgements by the hash of what was asked, in memory and in a file, so that a restart asks nothing anew.
///
/// The file has a line for each judgement and is only ever added to; it is written anew when half of it is of no use
/// any more. Nothing is synced: a line that is lost costs one more question. Lines that cannot be read are passed over.
struct JudgeCache {
    private struct Line: Codable {
        var hash: UInt64
        var score: Double
        var label: String
        var explanation: String
    }

    private static let fileBytesMax = 64 << 20

    private let capacity: Int
    private var known: BoundedMap<Judgement>
    private var path: String?
    private var descriptor: Int32 = -1
    private var lines = 0

    /// Without room nothing is kept.
    init(capacity: Int) {
        self.capacity = capacity
        known = BoundedMap(capacity: max(4, capacity))
    }

    mutating func use(_ hash: UInt64) -> Judgement? { capacity > 0 ? known.use(hash) : nil }

    /// Keeps a judgement. The file is left behind when it cannot be written; the memory goes on.
    mutating func set(_ hash: UInt64, _ judgement: Judgement) {
        guard capacity > 0 else { return }
        known.set(hash, judgement)
        guard descriptor >= 0 else { return }
        if !write(hash, judgement) { return close() }
        lines += 1
        if lines > 2 * capacity, let path { rewrite(path) }
    }

    // MARK: File

    /// Reads what earlier runs left and adds to it from now on. Returns why that cannot be.
    mutating func open(_ path: String) -> String? {
        guard capacity > 0 else { return nil }
        self.path = path
        let decoder = JSONDecoder()
        for line in (AlertStore.read(path) ?? []).split(separator: 0x0A) {
            lines += 1
            guard let one = try? decoder.decode(Line.self, from: Data(line)) else { continue }
            known.set(one.hash, Judgement(score: one.score, label: one.label, explanation: one.explanation))
        }
        var status = stat()
        let isLarge = stat(path, &status) == 0 && status.st_size > JudgeCache.fileBytesMax
        if lines > 2 * capacity || isLarge { rewrite(path) } else { reopen(path) }
        return descriptor >= 0 ? nil : "\(path): \(String(cString: strerror(errno)))"
    }

    private mutating func reopen(_ path: String) {
        close()
        descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        // A line that was torn by a crash ends here.
        if descriptor >= 0, lines > 0, Glibc.write(descriptor, "\n", 1) != 1 { close() }
    }

    /// Writes what is in memory into a fresh file and puts it in the old one's place.
    private mutating func rewrite(_ path: String) {
        close()
        descriptor = Glibc.open(path + ".new", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        lines = 0
        var isWritten = true
        for (hash, judgement) in known.all where isWritten {
            isWritten = write(hash, judgement)
            lines += 1
        }
        if !isWritten || rename(path + ".new", path) != 0 { close() }
    }

    private func write(_ hash: UInt64, _ judgement: Judgement) -> Bool {
        let line = Line(
            hash: hash, score: judgement.score, label: judgement.label, explanation: judgement.explanation)
        guard var bytes = try? [UInt8](JSONEncoder().encode(line)) else { return false }
        bytes.append(0x0A)
        return Descriptor.writeAll(bytes, to: descriptor)
    }

    mutating func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }
}
