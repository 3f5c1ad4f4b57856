package import Configuration
import FoundationEssentials

/// A request header whose value is secret: given in the configuration, or read from a file that may be replaced while
/// the gateway runs, as secret stores do.
package struct HTTPCredential: Sendable {
    /// Where the secret is. Files are read again when they change.
    package enum Source: Sendable {
        case text(Secret)
        /// Path of a file; spaces and line ends around its content do not count.
        case file(String)
        /// The same, of a file of which the first line counts.
        case firstLine(String)
    }

    /// What the header's value is made of.
    package enum Form: Sendable {
        case plain
        /// A scheme of RFC 9110, section 11.4, and a space go in front.
        case scheme(String)
        /// `Basic` with this user, RFC 7617.
        case basic(user: String)
        /// `Basic`, where the secret is user, colon and password.
        case basicPair
    }

    /// Largest file that is read.
    private static let fileMax = 64 << 10

    package var name: String
    package var source: Source
    package var form: Form

    package init(name: String, source: Source, form: Form = .plain) {
        self.name = name
        self.source = source
        self.form = form
    }

    /// Path of the file that the value comes from, nil when there is none.
    package var path: String? {
        switch source {
        case .text: nil
        case .file(let path), .firstLine(let path): path
        }
    }

    /// A value that must not be printed, and what to change when there is none.
    package func value() -> Result<String, Fault> {
        let secret: String
        switch source {
        case .text(let text): secret = text.reveal()
        case .file(let path), .firstLine(let path):
            guard let data = FileManager.default.contents(atPath: path), data.count <= Self.fileMax else {
                return .failure(Fault(text: "\(path) for the header \(name) cannot be read: check path and owner"))
            }
            var text = String(decoding: data, as: UTF8.self).trimmingWhitespace()
            if case .firstLine = source { text = String(text.prefix { !$0.isNewline }) }
            secret = text
            if secret.isEmpty { return .failure(Fault(text: "\(path) for the header \(name) is empty")) }
        }
        guard !HTTPHeaderCheck.holdsControl(secret) else {
            return .failure(Fault(text: "the value of the header \(name) holds a line break or control character"))
        }
        return .success(formed(secret))
    }

    /// Why a value cannot be had; never holds the value.
    package struct Fault: Error {
        package var text: String
    }

    private static func basic(_ pair: String) -> String { "Basic " + Data(pair.utf8).base64EncodedString() }

    private func formed(_ secret: String) -> String {
        switch form {
        case .plain: secret
        case .scheme(let scheme): scheme.isEmpty ? secret : "\(scheme) \(secret)"
        case .basic(let user): Self.basic("\(user):\(secret)")
        case .basicPair: Self.basic(secret)
        }
    }
}

/// What RFC 9110 allows in headers.
enum HTTPHeaderCheck {
    /// A token of section 5.6.2.
    static func isToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// Whether a value holds what would end or break a header line.
    static func holdsControl(_ value: String) -> Bool {
        value.utf8.contains { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F }
    }
}

extension String {
    fileprivate func trimmingWhitespace() -> String {
        let isSpace: (Character) -> Bool = { $0.isWhitespace }
        let front = drop(while: isSpace)
        guard let last = front.lastIndex(where: { !isSpace($0) }) else { return "" }
        return String(front[...last])
    }
}
