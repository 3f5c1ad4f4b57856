import Telemetry

/// What a name in a journal's directory stands for.
enum JournalFileName: Equatable {
    static let lock = "LOCK"

    case segment(UInt64)
    case quarantined(UInt64)
    /// Holds the exporter's name, decoded.
    case cursor(String)
    /// Half made by an earlier run.
    case leftover
    case foreign

    /// Reads a name; total on any string.
    init(_ name: String) {
        if let digits = name.stem(before: ".segment"), let number = Self.number(digits) {
            self = .segment(number)
        } else if let digits = name.stem(before: ".segment.quarantined"), let number = Self.number(digits) {
            self = .quarantined(number)
        } else if let stem = name.stem(before: ".cursor"), let cursor = Self.decode(stem) {
            self = .cursor(cursor)
        } else if let digits = name.stem(before: ".segment.tmp"), Self.number(digits) != nil {
            self = .leftover
        } else if let stem = name.stem(before: ".cursor.tmp"), Self.decode(stem) != nil {
            self = .leftover
        } else {
            self = .foreign
        }
    }

    /// The file name of segment `number`.
    static func segment(number: UInt64) -> String { number.hexDigits + ".segment" }

    /// The file name of an exporter's cursor, nil when it would be longer than file systems allow.
    static func cursor(named name: String) -> String? {
        let encoded = encode(name) + ".cursor"
        // 255 is the limit of Linux file systems; four more for ".tmp".
        return name.isEmpty || encoded.utf8.count > 251 ? nil : encoded
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func encode(_ name: String) -> String {
        var out = ""
        for byte in name.utf8 {
            if isPlain(byte) {
                out.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                out += byte < 16 ? "%0" + digits : "%" + digits
            }
        }
        return out
    }

    /// The inverse of `encode`, nil for anything that `encode` does not write.
    private static func decode(_ stem: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Substring(stem).utf8
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        guard let name = String(validating: bytes, as: UTF8.self), encode(name) == stem, !name.isEmpty else {
            return nil
        }
        return name
    }

    private static func number(_ digits: String) -> UInt64? {
        // The upper limit leaves room to count on; no journal of ours gets there.
        guard digits.utf8.count == 16, let number = UInt64(digits, radix: 16), number < 1 << 62 else { return nil }
        return segment(number: number).hasPrefix(digits) ? number : nil
    }
}

extension String {
    /// What stands before `suffix`, nil when the string does not end in it or nothing stands there.
    fileprivate func stem(before suffix: String) -> String? {
        guard hasSuffix(suffix), utf8.count > suffix.utf8.count else { return nil }
        return String(decoding: utf8.dropLast(suffix.utf8.count), as: UTF8.self)
    }
}
