import Foundation
import Patterns
import Processors
import Telemetry

@testable import Processors

/// One line of planted.txt.
struct Plant: Sendable, CustomStringConvertible {
    var detector: Detector
    var text: String
    /// The part that must not be left.
    var secret: String

    var description: String { "\(detector.rawValue): \(text.prefix(30))" }

    /// The secret as it is, and as JSON may write it once and twice.
    var forms: [String] {
        let once = jsonEscaped(secret)
        return [secret, once, jsonEscaped(once), unicodeEscaped(secret), secret.replacing("/", with: "\\/")]
    }
}

/// The fixtures, read once.
enum SecretCorpus {
    static let plants: [Plant] = lines("planted.txt").compactMap { line in
        let parts = line.split(separator: "\t", maxSplits: 1).map(String.init)
        guard parts.count == 2, let detector = Detector(rawValue: parts[0]),
            let open = parts[1].firstIndex(of: "⟦"), let close = parts[1].firstIndex(of: "⟧")
        else { return nil }
        let secret = String(parts[1][parts[1].index(after: open)..<close])
        let text = parts[1].replacing("⟦", with: "").replacing("⟧", with: "")
        return Plant(detector: detector, text: text, secret: secret)
    }

    static let lookalikes = lines("lookalikes.txt")

    private static func lines(_ name: String) -> [String] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/Redaction")
        let text = (try? String(contentsOf: folder.appending(path: name), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
            String($0).replacing("·", with: "").replacing("\\n", with: "\n")
        }
    }
}

/// The content of a JSON string for a text.
func jsonEscaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
}

/// The same with every character as `\uXXXX`.
func unicodeEscaped(_ text: String) -> String {
    text.utf16.map { "\\u" + String(format: "%04x", $0) }.joined()
}

/// All but ASCII letters, digits and `also` as `%XX`.
func urlEscaped(_ text: String, also: String = "-_.~") -> String {
    let plain = Set((also.isEmpty ? "" : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" + also).utf8)
    return text.utf8.map { plain.contains($0) ? String(UnicodeScalar($0)) : String(format: "%%%02X", $0) }.joined()
}

/// All but ASCII letters, digits and white space as numbered entities of HTML.
func htmlEscaped(_ text: String, radix: Int) -> String {
    text.unicodeScalars.map { scalar in
        let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
        if isPlain || scalar == " " || scalar == "\n" { return String(scalar) }
        return "&#" + (radix == 16 ? "x" : "") + String(scalar.value, radix: radix) + ";"
    }.joined()
}

/// Ways to hold a text inside another.
enum Wrapping: String, CaseIterable, Sendable {
    case plain, sentence, json, jsonInJSON, jsonInJSONInJSON, unicode, unicodeInJSON, slashes, prettyJSON, python,
        member, url, urlTwice, urlWhole, urlInJSON, jsonInURL, form, entities, hexEntities, entitiesInJSON, invisible,
        invisibleInJSON

    var isJSON: Bool {
        switch self {
        case .plain, .sentence, .python, .url, .urlTwice, .urlWhole, .jsonInURL, .form, .entities, .hexEntities,
            .invisible:
            false
        default: true
        }
    }

    /// A secret as this wrapping writes it.
    func form(of secret: String) -> String {
        switch self {
        case .url, .urlInJSON: urlEscaped(secret)
        case .jsonInURL: urlEscaped(jsonEscaped(secret))
        case .urlTwice: urlEscaped(urlEscaped(secret))
        case .urlWhole: urlEscaped(secret, also: "")
        case .form: urlEscaped(secret).replacing("%20", with: "+")
        case .entities: htmlEscaped(secret, radix: 10)
        case .entitiesInJSON: jsonEscaped(htmlEscaped(secret, radix: 10))
        case .hexEntities: htmlEscaped(secret, radix: 16)
        case .invisible: secret.unicodeScalars.map { String($0) }.joined(separator: "\u{200B}")
        case .invisibleInJSON: secret.unicodeScalars.map { jsonEscaped(String($0)) }.joined(separator: "\\u2060")
        default: secret
        }
    }

    func wrap(_ text: String) -> String {
        switch self {
        case .plain: text
        case .sentence: "He said: (\(text)), and “that” was it…"
        case .json: Wrapping.message("\"" + jsonEscaped(text) + "\"")
        case .jsonInJSON: "{\"arguments\":\"\(jsonEscaped(Wrapping.json.wrap(text)))\"}"
        case .jsonInJSONInJSON: "[\"\(jsonEscaped(Wrapping.jsonInJSON.wrap(text)))\"]"
        case .unicode: Wrapping.message("\"" + unicodeEscaped(text) + "\"")
        case .unicodeInJSON: "{\"arguments\":\"\(jsonEscaped(Wrapping.unicode.wrap(text)))\"}"
        case .slashes:
            Wrapping.message("\"caf\\u00e9 \\u2019" + jsonEscaped(text).replacing("/", with: "\\/") + "\"")
        case .prettyJSON: "[\n  {\n    \"a\" : [ 1, true, null, \"\(jsonEscaped(text))\" ]\n  }\n]\n"
        case .python: "{'role': 'user', 'content': '\(text.replacing("\n", with: "\\n"))', 'n': None}"
        case .member: "{\"\(jsonEscaped(text))\":1}"
        case .url: "https://api.example/find?n=10&q=\(form(of: text))"
        case .urlTwice, .urlWhole, .entities, .hexEntities, .invisible: form(of: text)
        case .invisibleInJSON: Wrapping.message("\"" + form(of: text) + "\"")
        case .urlInJSON: "{\"url\":\"/v1/find?q=\(form(of: text))\"}"
        case .jsonInURL: "/v1/find?q=\(urlEscaped("{\"a\":\"\(jsonEscaped(text))\"}"))"
        case .form: "first=1&q=\(form(of: text))"
        case .entitiesInJSON: "{\"html\":\"<p>\(form(of: text))</p>\"}"
        }
    }

    private static func message(_ content: String) -> String {
        "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\(content)}],\"id\":\"msg_1\",\"n\":1.50}]"
    }
}

/// Runs the text walk alone.
func redact(
    _ text: String, _ detectors: DetectorSet = .all, mask: Mask = Mask(), blocked: [String] = [],
    allowed: [String] = [], blockedKeys: [String] = [], decodesBase64: Bool = false, usesPlaces: Bool = true
) throws -> (text: String, found: [Detector]) {
    let redaction = TextRedaction(
        detectors: DetectorScan(detectors),
        blockedValues: BlockedValueScan(try blocked.map { try CompiledPattern($0) }, usesPlaces: usesPlaces),
        allowedValues: try allowed.map { try CompiledPattern($0) }, mask: mask, decodesBase64: decodesBase64,
        members: MemberRules(
            blocked: try blockedKeys.map { try CompiledPattern($0) }, ignored: [], ignoredNames: []))
    var state = RedactionState()
    var copy = text
    let isChanged = copy.withUTF8 { redaction.redact(Text(UnsafeRawBufferPointer($0)), &state) }
    let found = Detector.allCases.filter { state.counts[Int($0.tag.rawValue)] > 0 }
    return (isChanged ? state.output.text.string : text, found)
}
