import FoundationEssentials
import Glibc
import Pipeline

/// Keeps the windows over a restart, also one by kill -9: what each batch added is appended to a journal and synced
/// before the batch is acknowledged; the journal is folded into a snapshot now and then.
///
/// A line of the journal is a step of the monitor, so replaying it gives the same windows and open alerts. A line that
/// was torn is the last one, and its batch comes again.
struct AlertStore {
    /// What moved the monitor.
    struct Step: Codable {
        /// Counts steps; given by the store.
        var number: UInt64 = 0
        var time: UInt64
        /// Of the batch, so that one that comes again after a crash does not count twice; 0 for a look at the clock.
        var hash: UInt64
        var samples: [AlertSample]
        var paused: [String]
        /// Rules whose alerts were ended by hand.
        var resolved: [String]
    }

    private struct Snapshot: Codable {
        /// Of the last step that is in it.
        var number: UInt64
        var memory: AlertMonitor.Memory
        var recent: [UInt64]
    }

    /// Batches that are known again.
    private static let recentMax = 256
    private static let journalBytesMax = 4 << 20
    private static let fileBytesMax = 256 << 20

    private let path: String
    private var descriptor: Int32 = -1
    private var journalBytes = 0
    private var number: UInt64 = 0
    private(set) var recent: [UInt64] = []

    init(path: String) { self.path = path }

    // MARK: Reading

    /// Brings the monitor to where it was. Throws when files cannot be opened; what cannot be read is left out, kept
    /// beside its place, and told.
    mutating func open(_ monitor: inout AlertMonitor, warn: (String) -> Void = { _ in }) throws(ProcessFailure) {
        if let bytes = AlertStore.read(path + ".json") {
            if let snapshot = try? JSONDecoder().decode(Snapshot.self, from: Data(bytes)) {
                monitor.memory = snapshot.memory
                recent = snapshot.recent
                number = snapshot.number
            } else {
                unlink(path + ".json.damaged")
                link(path + ".json", path + ".json.damaged")
                warn("\(path).json cannot be read and is kept as .damaged: windows and open alerts begin anew")
            }
        }
        for line in (AlertStore.read(path + ".log") ?? []).split(separator: 0x0A) {
            guard let step = try? JSONDecoder().decode(Step.self, from: Data(line)), step.number > number else {
                continue
            }
            number = step.number
            _ = AlertStore.apply(step, to: &monitor)
            remember(step.hash)
        }
        try fold(monitor)
    }

    /// What a step makes of the monitor.
    static func apply(_ step: Step, to monitor: inout AlertMonitor) -> [AlertMonitor.Event] {
        monitor.add(step.samples, at: step.time)
        var events = monitor.evaluate(at: step.time, paused: Set(step.paused))
        for rule in step.resolved { events += monitor.resolve(rule: rule, at: step.time) }
        return events
    }

    /// The rules of which a snapshot has windows; none when it is no snapshot.
    static func measuredRules(_ snapshot: [UInt8]) -> [String] {
        let snapshot = try? JSONDecoder().decode(Snapshot.self, from: Data(snapshot))
        return snapshot.map { Array($0.memory.groups.keys) } ?? []
    }

    func knows(_ hash: UInt64) -> Bool { recent.contains(hash) }

    private mutating func remember(_ hash: UInt64) {
        guard hash != 0 else { return }
        recent.append(hash)
        if recent.count > AlertStore.recentMax { recent.removeFirst() }
    }

    // MARK: Writing

    /// Makes a step last. Returns why it could not.
    mutating func append(_ step: Step, _ monitor: AlertMonitor) -> String? {
        var step = step
        number += 1
        step.number = number
        remember(step.hash)
        guard descriptor >= 0, var line = try? [UInt8](JSONEncoder().encode(step)) else { return "no journal" }
        line.append(0x0A)
        guard Descriptor.writeAll(line, to: descriptor), fdatasync(descriptor) == 0 else {
            let reason = "\(path).log: \(String(cString: strerror(errno)))"
            // Half a line would swallow the next one.
            ftruncate(descriptor, off_t(journalBytes))
            return reason
        }
        journalBytes += line.count
        guard journalBytes > AlertStore.journalBytesMax else { return nil }
        do throws(ProcessFailure) { try fold(monitor) } catch { return error.reason }
        return nil
    }

    /// Writes the snapshot beside the old one, puts it in its place, and begins a new journal.
    private mutating func fold(_ monitor: AlertMonitor) throws(ProcessFailure) {
        let snapshot = Snapshot(number: number, memory: monitor.memory, recent: recent)
        guard let bytes = try? [UInt8](JSONEncoder().encode(snapshot)) else {
            throw ProcessFailure(reason: "\(path): the windows cannot be written")
        }
        let fresh = Glibc.open(path + ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard fresh >= 0 else { throw AlertStore.failure(path) }
        let isWritten = Descriptor.writeAll(bytes, to: fresh) && fsync(fresh) == 0
        Glibc.close(fresh)
        guard isWritten, rename(path + ".new", path + ".json") == 0 else { throw AlertStore.failure(path) }
        // A crash before the journal is emptied leaves steps that the snapshot has; their numbers say so.
        if descriptor < 0 {
            descriptor = Glibc.open(path + ".log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        }
        guard descriptor >= 0, ftruncate(descriptor, 0) == 0 else { throw AlertStore.failure(path) }
        journalBytes = 0
    }

    mutating func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    // MARK: Files

    private static func failure(_ path: String) -> ProcessFailure {
        ProcessFailure(reason: "\(path): \(String(cString: strerror(errno)))")
    }

    static func read(_ path: String) -> [UInt8]? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { Glibc.close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < fileBytesMax {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
        return nil
    }
}

/// What an operator says while the gateway runs, through `sluice alerts pause`: a small file in the data directory.
package struct AlertControl: Codable, Sendable, Equatable {
    /// Rules by name with the Unix seconds until which they are paused; 0 for without end.
    package var paused: [String: Int] = [:]
    /// Rules whose alerts are ended, with a number that is different for each wish.
    package var resolved: [String: Int] = [:]

    package init() {}

    /// Where it lies.
    package static func path(_ dataDirectory: String) -> String { dataDirectory + "/alerts/control.json" }

    /// What was said; nothing where the file is not there or cannot be read.
    package static func read(_ dataDirectory: String) -> AlertControl {
        guard let bytes = AlertStore.read(path(dataDirectory)) else { return AlertControl() }
        return (try? JSONDecoder().decode(AlertControl.self, from: Data(bytes))) ?? AlertControl()
    }

    /// The file's content.
    package var bytes: [UInt8] { (try? [UInt8](JSONEncoder().encode(self))) ?? [] }

    /// Rules whose pause has not ended at a time in Unix nanoseconds, in order.
    package func pausedRules(at time: UInt64) -> [String] {
        paused.filter { $0.value == 0 || UInt64(max(0, $0.value)) > time / 1_000_000_000 }.keys.sorted()
    }
}
