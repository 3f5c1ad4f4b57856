/// A configuration value without places, for options whose form is open, such as an attribute's value.
package enum ConfigValue: Sendable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case list([ConfigValue])
    /// Entries in file order; no key occurs twice.
    case map([(String, ConfigValue)])
}

extension ConfigValue: Equatable {
    /// Equal values of equal kind; the order of a mapping's entries counts.
    package static func == (left: ConfigValue, right: ConfigValue) -> Bool {
        switch (left, right) {
        case (.null, .null): return true
        case (.bool(let one), .bool(let other)): return one == other
        case (.int(let one), .int(let other)): return one == other
        case (.double(let one), .double(let other)): return one == other
        case (.string(let one), .string(let other)): return one == other
        case (.list(let one), .list(let other)): return one == other
        case (.map(let one), .map(let other)): return one.elementsEqual(other) { $0.0 == $1.0 && $0.1 == $1.1 }
        default: return false
        }
    }
}
