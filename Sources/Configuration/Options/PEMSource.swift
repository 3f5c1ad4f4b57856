/// Where a piece of PEM comes from, such as a certificate: options `NAME_file` and `NAME_pem`.
package enum PEMSource: Sendable {
    /// The path of a file, which is read when the piece is needed.
    case file(String)
    /// The text itself.
    case text(Secret)

    /// Reads and declares both options; nil when neither is given or both are empty. The sentence gets its end here.
    package static func read(_ settings: inout Settings, _ name: String, _ sentence: String) -> PEMSource? {
        let file = settings.optionalString("\(name)_file", "\(sentence), in a file.").flatMap { $0.isEmpty ? nil : $0 }
        let text = settings.secret("\(name)_pem", "\(sentence).").flatMap { $0.reveal().isEmpty ? nil : $0 }
        if file != nil, text != nil {
            settings.problem("is given beside \(name)_pem; keep one of them", at: "\(name)_file")
        } else if let text, !text.reveal().contains("-----BEGIN ") {
            settings.problem(
                "holds no PEM: give the text from -----BEGIN to -----END, with its line breaks", at: "\(name)_pem")
        }
        return file.map { .file($0) } ?? text.map { .text($0) }
    }
}
