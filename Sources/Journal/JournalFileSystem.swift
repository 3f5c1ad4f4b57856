import Glibc
import Pipeline

/// A failed system call.
package struct SystemError: Error, Equatable, CustomStringConvertible {
    /// Name of the call, such as "fdatasync".
    package var call: String
    package var path: String
    package var code: Int32

    package init(call: String, path: String, code: Int32) {
        self.call = call
        self.path = path
        self.code = code
    }

    package var description: String { "\(call) \(path): \(Self.text(of: code))" }

    /// True when the disk or the user's share of it is full: passing, and nobody's data is harmed.
    package var isFull: Bool { code == ENOSPC || code == EDQUOT }

    private static func text(of code: Int32) -> String {
        // strerror keeps one static buffer; strerror_r fills ours.
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The effects of a journal on files, one system call each, so that tests can be a disk that fails or crashes.
///
/// Paths are absolute or relative to the process. Calls block; only the journal's own threads and `open` make them.
package protocol JournalFileSystem: Sendable {
    /// Makes a directory of mode 0700; no error when it is there already.
    func makeDirectory(_ path: String) throws(SystemError)
    /// Names in a directory without "." and "..", in no order.
    func names(in directory: String) throws(SystemError) -> [String]
    /// Opens an existing file.
    func open(_ path: String, writable: Bool) throws(SystemError) -> any JournalFile
    /// Makes a file of mode 0600, or opens the one that is there; `exclusive` refuses that. `isDirect` is for a file
    /// that is written in whole blocks from aligned memory alone: its writes go past the page cache where that is
    /// possible.
    func create(_ path: String, exclusive: Bool, isDirect: Bool) throws(SystemError) -> any JournalFile
    func rename(_ path: String, to newPath: String) throws(SystemError)
    func unlink(_ path: String) throws(SystemError)
    /// Makes creations, renames and removals in `path` durable.
    func syncDirectory(_ path: String) throws(SystemError)
}

extension JournalFileSystem {
    /// A file that is written in any way.
    func create(_ path: String, exclusive: Bool) throws(SystemError) -> any JournalFile {
        try create(path, exclusive: exclusive, isDirect: false)
    }
}

/// An open file. Not for two threads at once, unless both only read.
package protocol JournalFile: AnyObject, Sendable {
    func size() throws(SystemError) -> Int
    /// One pread: may give fewer bytes than asked for; 0 at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int
    /// Reads from now on fetch what they ask for and no more. What the system reads ahead otherwise, up to megabytes at
    /// a time, stands before the writes that senders wait for.
    func stopReadingAhead()
    /// As `stopReadingAhead`, and past the page cache where that is possible: for reads of whole blocks of 4 KiB into
    /// memory that is aligned to them.
    func bypassCache()
    /// One pwrite: may take fewer bytes than offered.
    func write(_ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) -> Int
    /// Writes all of `bytes` and syncs; an error is one of either. Calls `waiting` before it waits for the disk.
    func writeSynced(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, waiting: () -> Void) throws(SystemError)
    /// Reserves blocks for the first `bytes` bytes and makes the file that long.
    func allocate(_ bytes: Int) throws(SystemError)
    func truncate(_ bytes: Int) throws(SystemError)
    /// fdatasync. After an error the state of what was written is unknown for good: close, never call again.
    func sync() throws(SystemError)
    /// True when `path` leads to this file: not when it, or a folder above it, was removed or moved away.
    func isAt(_ path: String) throws(SystemError) -> Bool
    /// True when no name leads to this file any more: it was removed, and not only moved away or unmounted.
    func isRemoved() throws(SystemError) -> Bool
    /// Takes the exclusive lock of the file, false when another open file has it.
    func tryLock() throws(SystemError) -> Bool
    /// Closes; safe to call twice. Also done when the last reference goes.
    func close()
}

extension JournalFile {
    package func writeSynced(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, waiting: () -> Void
    ) throws(SystemError) {
        waiting()
        try writeAll(bytes, at: offset)
        try sync()
    }

    /// Writes all of `bytes`, however often the system takes only a part or is interrupted.
    func writeAll(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            do throws(SystemError) {
                let count = try write(bytes.part(done..<bytes.count), at: offset + done)
                // POSIX lets a write of something return 0; treated as a full disk, or the loop would never end.
                if count <= 0 { throw SystemError(call: "pwrite", path: "journal file", code: ENOSPC) }
                done += count
            } catch  where error.code == EINTR || error.code == EAGAIN {
                continue
            }
        }
    }

    /// Writes all of `bytes`.
    func writeAll(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
        try bytes.withUnsafeBufferPointer { bytes throws(SystemError) in
            try writeAll(UnsafeRawBufferPointer(bytes), at: offset)
        }
    }

    /// Up to `count` bytes, fewer where the file ends.
    func readAll(count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try bytes.withUnsafeMutableBufferPointer { bytes throws(SystemError) in
            try readAll(into: UnsafeMutableRawBufferPointer(bytes), at: offset)
        }
        bytes.removeLast(count - got)
        return bytes
    }

    /// Reads until `buffer` is full or the file ends; gives the bytes read.
    func readAll(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        var done = 0
        while done < buffer.count {
            do throws(SystemError) {
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
                let count = try read(into: rest, at: offset + done)
                if count <= 0 { break }
                done += count
            } catch  where error.code == EINTR || error.code == EAGAIN {
                continue
            }
        }
        return done
    }
}

extension JournalFileSystem {
    /// Whether a journal lies in the directory: while that is moved or unmounted, no file of it is lost.
    func isJournal(in directory: String) -> Bool {
        do throws(SystemError) { return try names(in: directory).contains(JournalFileName.lock) } catch {
            return false
        }
    }

    /// Makes a directory for good, and with `parents` those above it that are missing.
    func makeDirectory(_ path: String, parents: Bool) throws(SystemError) {
        let parent = PathCheck.parent(of: path)
        do throws(SystemError) {
            try makeDirectory(path)
        } catch {
            guard parents, error.code == ENOENT, parent.utf8.count < path.utf8.count else { throw error }
            try makeDirectory(parent, parents: true)
            try makeDirectory(path)
        }
        do throws(SystemError) {
            try syncDirectory(parent)
        } catch  where error.code == EACCES {
            // One that only lets us through cannot be opened for a sync.
        }
    }
}
