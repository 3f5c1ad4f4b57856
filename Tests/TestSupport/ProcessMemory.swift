import Foundation

/// Memory of a running process.
package enum ProcessMemory {
    package struct Unreadable: Error { let pid: Int32 }

    /// The highest resident size that it has had, in bytes.
    package static func peak(_ pid: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        guard let kibibytes = line.flatMap({ Int($0.filter(\.isNumber)) }) else { throw Unreadable(pid: pid) }
        return kibibytes << 10
    }
}
