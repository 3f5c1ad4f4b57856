import Glibc

/// Calls on a file descriptor that blocks.
package enum Descriptor {
    /// Writes all of the bytes, whatever a signal or a full pipe cuts off. False when that failed: `errno` says why,
    /// and a part may be written.
    package static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            // The system gives no reason when it takes nothing.
            if count == 0 { errno = ENOSPC }
            guard count > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        return true
    }

    /// As the other.
    package static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        bytes.withUnsafeBytes { writeAll($0, to: descriptor) }
    }
}
