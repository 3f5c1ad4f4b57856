/// A value that must never be shown: it prints as `[REDACTED]` in descriptions, interpolations, dumps and mirrors.
package struct Secret: Sendable, Hashable {
    /// What stands in the place of a secret wherever it would be printed.
    package static let mask = "[REDACTED]"

    private let text: String

    /// Wraps a secret text.
    package init(_ text: String) {
        self.text = text
    }

    /// The secret itself; call it only where it leaves for its purpose, such as a request header.
    package func reveal() -> String { text }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The mask.
    package var description: String { Secret.mask }
    /// The mask.
    package var debugDescription: String { Secret.mask }
    /// Nothing to look into.
    package var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}
