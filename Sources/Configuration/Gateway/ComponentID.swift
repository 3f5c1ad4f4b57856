/// The sections of the configuration that define components.
package enum ComponentKind: String, Sendable, CaseIterable {
    case receiver
    case processor
    case exporter
    case connector
    case `extension`

    /// The section's key: `receivers`.
    package var section: String { rawValue + "s" }
}

/// What names a component: its type, and a name where there are several of one type.
package struct ComponentID: Sendable, Hashable {
    /// The type, such as `otlp_http`.
    package let type: String
    /// What follows the slash; empty when there is none.
    package let name: String

    /// Makes an id from parts that are known to be valid.
    package init(type: String, name: String = "") {
        self.type = type
        self.name = name
    }

    /// Why a text is no id, in words for the user.
    package struct Fault: Error {
        /// What is wrong.
        package var message: String
    }

    /// Reads `type` or `type/name` by the Collector's rules: the type starts with a letter, then letters, digits and
    /// `_`, 63 in all; the name has at most 1024 characters, none of them a space, control character or symbol.
    package init(parsing text: String) throws(Fault) {
        guard let slash = text.firstIndex(of: "/") else {
            type = try ComponentID.checked(type: Substring(text))
            name = ""
            return
        }
        type = try ComponentID.checked(type: text[..<slash])
        let name = ComponentID.trimmed(text[text.index(after: slash)...])
        guard !name.isEmpty else { throw Fault(message: "has nothing after the slash") }
        guard name.unicodeScalars.count <= 1024, name.unicodeScalars.allSatisfy(ComponentID.isAllowed) else {
            throw Fault(message: "has a space, control character or symbol in the name after the slash")
        }
        self.name = String(name)
    }

    private static func checked(type text: Substring) throws(Fault) -> String {
        let type = trimmed(text)
        guard let first = type.utf8.first else { throw Fault(message: "has no type before the slash") }
        guard isLetter(first), type.utf8.count <= 63,
            type.utf8.allSatisfy({ isLetter($0) || $0 == UInt8(ascii: "_") || ($0 >= 0x30 && $0 <= 0x39) })
        else { throw Fault(message: "is no type: use a letter, then letters, digits and _, at most 63") }
        return String(type)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    /// The Collector's `^[^\pZ\pC\pS]+$`.
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .spaceSeparator, .lineSeparator, .paragraphSeparator, .control, .format, .surrogate, .privateUse,
            .unassigned, .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol:
            false
        default: true
        }
    }
}

extension ComponentID: CustomStringConvertible {
    /// The id as it is written in a file.
    package var description: String { name.isEmpty ? type : "\(type)/\(name)" }
}
