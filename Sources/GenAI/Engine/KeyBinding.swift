package import Telemetry

/// Ties the names of the tables to the key numbers of one key table. Made once per key table.
package final class KeyBinding: Sendable {
    let keys: KeyTable
    /// By key number: dialects that the key's presence reveals.
    let masks: [UInt64]
    /// By key number: the table's own name, 0 for foreign keys, which are matched by their text.
    let names: [UInt16]
    /// By name: its key number.
    let keyOfName: [KeyID]

    /// Whether the binding was made for this very table.
    package func isFor(_ keys: KeyTable) -> Bool { self.keys === keys }

    package init(_ keys: KeyTable, _ tables: Tables) {
        self.keys = keys
        var masks = [UInt64](repeating: 0, count: keys.count + 1)
        var names = [UInt16](repeating: 0, count: keys.count + 1)
        var keyOfName = [KeyID](repeating: .unknown, count: tables.layout.names.count)
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
        self.masks = masks
        self.names = names
        self.keyOfName = keyOfName
    }
}
