package import Telemetry

/// Ties the names of the tables to the key numbers of one key table. Made once per key table.
// Unchecked because of the frozen runs: nothing in them changes after init, and the pool owns their memory.
package final class KeyBinding: @unchecked Sendable {
    let keys: KeyTable
    /// By key number: dialects that the key's presence reveals.
    let masks: Frozen<UInt64>
    /// By key number: the table's own name, 0 for foreign keys, which are matched by their text.
    let names: Frozen<UInt16>
    /// By name: its key number.
    let keyOfName: Frozen<KeyID>
    private let pool = TextPool()

    /// Whether the binding was made for this very table.
    package func isFor(_ keys: KeyTable) -> Bool { self.keys === keys }

    package init(_ keys: KeyTable, _ tables: Tables) {
        self.keys = keys
        var masks = [UInt64](repeating: 0, count: keys.count + 1)
        var names = [UInt16](repeating: 0, count: keys.count + 1)
        var keyOfName = [KeyID](repeating: .unknown, count: tables.names.count)
        for (index, text) in tables.layout.nameTexts.enumerated() where index > 0 {
            let id = keys.id(of: text)
            guard id != .unknown else { continue }
            names[Int(id.value)] = UInt16(index)
            masks[Int(id.value)] = tables.layout.nameDetects[index]
            keyOfName[index] = id
        }
        for number in 1..<max(1, keys.count + 1) where names[number] == 0 {
            var name = keys.names[number - 1]
            masks[number] = name.withUTF8 { tables.detects(Text(UnsafeRawBufferPointer($0))) }
        }
        self.masks = pool.freeze(masks)
        self.names = pool.freeze(names)
        self.keyOfName = pool.freeze(keyOfName)
    }
}
