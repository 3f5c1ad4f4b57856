/// Maps that outlive the process, as one: what a processor knows of earlier traces.
package protocol KeptMemory: Sendable {
    /// Raised whenever the hashes, the maps or their values change: what another version wrote is not read.
    static var version: UInt32 { get }
    /// Keeps what the traces since the last call changed.
    mutating func keep()
    /// Takes back what the traces since `keep` changed.
    mutating func undo()
    /// What the traces since `keep` changed, for `restore`.
    func changes() -> [UInt8]
    /// Everything, in parts for `restore`.
    func writeAll(_ part: ([UInt8]) -> Void)
    /// Brings back one entry. False when it is none of these maps.
    mutating func restore(_ entry: MemoryEntry) -> Bool
}

extension KeptMemory {
    /// Brings back what was written. False when the bytes are something else.
    package mutating func restore(_ bytes: ArraySlice<UInt8>) -> Bool {
        var reader = MemoryReader(bytes)
        while !reader.isAtEnd {
            guard let entry = MemoryEntry(&reader), restore(entry) else { return false }
        }
        keep()
        return true
    }
}
