import Glibc
import Pipeline
package import Telemetry

/// What `list` tells of a letter without reading its request.
package struct DeadLetterEntry: Sendable, Equatable {
    /// Name of the letter, unique in its exporter's folder and in the order of time.
    package var id: String
    /// When the gateway gave up, Unix nanoseconds.
    package var time: UInt64
    package var exporter: String
    package var pipeline: String
    package var cause: DeadLetter.Cause
    package var message: String
    package var signal: Signal
    package var itemCount: Int
    /// Size of the file.
    package var fileBytes: Int
    /// Whether the file is as long as its beginning says. Otherwise the letter cannot be read.
    package var isWhole: Bool
}

/// A failed call of the system.
package struct DeadLetterFailure: Error, CustomStringConvertible, Equatable {
    package var description: String
    /// No other attempt can do better.
    package var isFinal = false

    init(_ text: String, isFinal: Bool = false) {
        description = text
        self.isFinal = isFinal
    }

    init(_ call: String, _ path: String, _ code: Int32 = errno) {
        description = "\(call) \(path): \(String(cString: strerror(code)))"
    }
}

/// The letters of one exporter: one file each in a folder of their own, readable by the owner alone.
///
/// Writing makes a file under another name, syncs it and renames it, so that a letter is whole or not there. Not safe
/// for two writers of one process; `DeadLetterBox` sees to that.
package struct DeadLetterFolder: Sendable {
    /// Folder of all exporters' letters below the data directory.
    package static func root(_ dataDirectory: String) -> String { dataDirectory + "/dead-letters" }

    private static let suffix = ".letter"
    package let path: String

    /// `path` need not exist yet.
    package init(path: String) { self.path = path }

    /// The folders of a data directory, by name.
    package static func all(_ dataDirectory: String) -> [DeadLetterFolder] {
        names(in: root(dataDirectory)).map { DeadLetterFolder(path: root(dataDirectory) + "/" + $0) }
    }

    /// Why this process may not read all letters of a data directory, which would pass for none; nil when it may.
    package static func refusal(_ dataDirectory: String) -> String? {
        for path in [dataDirectory, root(dataDirectory)] {
            if let refusal = PathCheck.refusal(toRead: path) { return refusal }
        }
        for folder in all(dataDirectory) {
            if let refusal = PathCheck.refusal(toRead: folder.path) { return refusal }
            for name in names(in: folder.path) where name.hasSuffix(suffix) {
                if let refusal = PathCheck.refusal(toRead: folder.path + "/" + name) { return refusal }
            }
        }
        return nil
    }

    /// When a letter came or went last; empty when there is no folder.
    var changeTime: [Int] {
        var status = stat()
        guard stat(path, &status) == 0 else { return [] }
        return [Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec)]
    }

    /// Makes a letter durable. `time` is Unix nanoseconds and becomes its name. Two processes that write have each its
    /// own `draft`.
    func write(
        _ letter: DeadLetter, time: UInt64, draft: String = "new"
    ) -> Result<(id: String, bytes: Int), DeadLetterFailure> {
        let bytes = DeadLetterFormat.encode(letter)
        let partial = path + "/" + draft
        if let failure = writeFile(bytes, partial) {
            _ = Glibc.unlink(partial)
            return .failure(failure)
        }
        var time = time
        while true {
            let id = Self.name(time)
            // A link fails where a rename would replace a letter of the same nanosecond.
            if link(partial, file(id)) == 0 {
                _ = Glibc.unlink(partial)
                guard let failure = syncFolder() else { return .success((id, bytes.count)) }
                // It will be written again, under another name.
                _ = Glibc.unlink(file(id))
                return .failure(failure)
            }
            guard errno == EEXIST else {
                let failure = DeadLetterFailure("link", file(id))
                _ = Glibc.unlink(partial)
                return .failure(failure)
            }
            time += 1
        }
    }

    /// Ids with sizes, oldest first, without opening a file.
    package func sizes() -> [(id: String, time: UInt64, bytes: Int)] {
        Self.names(in: path).compactMap { name in
            guard name.hasSuffix(Self.suffix) else { return nil }
            let id = String(name.dropLast(Self.suffix.count))
            var status = stat()
            guard let time = Self.time(of: id), stat(file(id), &status) == 0 else { return nil }
            return (id, time, Int(status.st_size))
        }
    }

    /// All letters, oldest first, but for those whose beginning cannot be read.
    package func list() -> [DeadLetterEntry] {
        sizes().compactMap { id, time, bytes in
            guard let front = front(of: id), let (head, signal, start) = DeadLetterFormat.head(front[...]) else {
                return nil
            }
            return DeadLetterEntry(
                id: id, time: time, exporter: head.exporter, pipeline: head.pipeline, cause: head.cause,
                message: head.message, signal: signal, itemCount: head.items, fileBytes: bytes,
                isWhole: bytes - start == head.bytes)
        }
    }

    /// The files that `list` leaves out since they are no letters, with their paths and sizes.
    package func damaged() -> [(id: String, path: String, bytes: Int)] {
        sizes().compactMap { id, _, bytes in
            // One that cannot be read at all may have just gone, or be sound.
            guard let front = front(of: id), DeadLetterFormat.head(front[...]) == nil else { return nil }
            return (id, file(id), bytes)
        }
    }

    private func front(of id: String) -> [UInt8]? { Self.read(file(id), atMost: DeadLetterFormat.headMax) }

    /// The letter with its request, nil when there is none of this id or it is damaged.
    package func read(_ id: String) -> DeadLetter? {
        guard Self.time(of: id) != nil, let bytes = Self.read(file(id), atMost: Int.max) else { return nil }
        return DeadLetterFormat.decode(bytes)
    }

    /// Removes a letter; false when there is none.
    @discardableResult
    package func remove(_ id: String) -> Bool { Self.time(of: id) != nil && Glibc.unlink(file(id)) == 0 }

    /// Puts what is left of a letter in its place, with its time. For the holder of the `ReplayLock`: the gateway may
    /// be writing letters meanwhile. When it fails the letter is still there.
    package func replace(_ id: String, with letters: [DeadLetter]) -> DeadLetterFailure? {
        guard let time = Self.time(of: id) else { return DeadLetterFailure("\(id) is no letter") }
        var written: [String] = []
        for letter in letters {
            switch write(letter, time: time, draft: Self.leftDraft) {
            case .success(let new): written.append(new.id)
            case .failure(let failure):
                for id in written { remove(id) }
                return failure
            }
        }
        return remove(id) ? nil : DeadLetterFailure("unlink", file(id))
    }

    /// What `replace` writes before it has a name.
    private static let leftDraft = "left"

    /// Removes what a replay that was killed has left behind, which nothing else shows. For the holder of the
    /// `ReplayLock`.
    func removeDraft() { _ = Glibc.unlink(path + "/" + Self.leftDraft) }

    /// Makes the folder, and that of all exporters above it.
    func makeFolder() -> DeadLetterFailure? {
        var parent = path
        if let slash = parent.lastIndex(of: "/") { parent = String(parent[..<slash]) }
        for folder in [parent, path] where mkdir(folder, 0o700) != 0 && errno != EEXIST {
            return DeadLetterFailure("mkdir", folder)
        }
        return nil
    }

    // MARK: Files

    private func file(_ id: String) -> String { path + "/" + id + Self.suffix }

    private static func name(_ time: UInt64) -> String {
        let digits = String(time)
        return String(repeating: "0", count: max(0, 20 - digits.utf8.count)) + digits
    }

    /// The time that an id says, nil for what is no id: nothing else may become part of a path.
    private static func time(of id: String) -> UInt64? {
        id.utf8.count == 20 && id.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt64(id) : nil
    }

    private static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private func writeFile(_ bytes: [UInt8], _ partial: String) -> DeadLetterFailure? {
        // What a crash left may be linked to a letter by now: it goes, and is never written into.
        _ = Glibc.unlink(partial)
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return DeadLetterFailure("open", partial) }
        defer { close(descriptor) }
        guard Descriptor.writeAll(bytes, to: descriptor) else { return DeadLetterFailure("write", partial) }
        return fsync(descriptor) == 0 ? nil : DeadLetterFailure("fsync", partial)
    }

    private func syncFolder() -> DeadLetterFailure? {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return DeadLetterFailure("open", path) }
        defer { close(descriptor) }
        return fsync(descriptor) == 0 ? nil : DeadLetterFailure("fsync", path)
    }

    private static func read(_ path: String, atMost limit: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < limit {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }
}
