import Glibc

extension [UInt8] {
    /// Whether `part` occurs in these bytes.
    package func contains(_ part: [UInt8]) -> Bool {
        withUnsafeBytes { whole in
            part.withUnsafeBytes { part in
                guard let base = whole.baseAddress, let wanted = part.baseAddress, part.count > 0 else { return true }
                var at = 0
                while at + part.count <= whole.count {
                    let room = whole.count - part.count - at + 1
                    guard let hit = memchr(base + at, Int32(part[0]), room) else { return false }
                    at = UnsafeRawPointer(hit) - base
                    if memcmp(base + at, wanted, part.count) == 0 { return true }
                    at += 1
                }
                return false
            }
        }
    }
}
