/// Details of a google.rpc.Status, the same over HTTP and gRPC.
enum StatusDetails {
    /// A RetryInfo: `{retry_delay = 1 {seconds = 1}}`.
    static func retryInfo(seconds: Int) -> [UInt8] {
        any("google.rpc.RetryInfo", field(1, field(1, UInt64(max(seconds, 0)))))
    }

    /// A BadRequest that names the part of the request at fault; the status's message says what is wrong with it:
    /// `{field_violations = 1 {field = 1}}`.
    static func badRequest(_ name: String) -> [UInt8] {
        any("google.rpc.BadRequest", field(1, field(1, Array(name.utf8))))
    }

    /// The field `details` of a Status: `{3: Any {type_url = 1, value = 2}}`.
    private static func any(_ type: String, _ value: [UInt8]) -> [UInt8] {
        field(3, field(1, Array("type.googleapis.com/\(type)".utf8)) + field(2, value))
    }

    static func field(_ number: UInt8, _ value: UInt64) -> [UInt8] { [number << 3] + varint(value) }

    static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2] + varint(UInt64(bytes.count)) + bytes
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}

extension RefusalReason {
    /// The part of the request that can never be accepted as it is, for a BadRequest (OTLP, "Failures"); nil for
    /// passing problems and for those that concern no data.
    var violatedField: String? {
        switch self {
        case .invalidData, .wrongSignal, .corruptBody: "body"
        default: nil
        }
    }
}

extension [UInt8] {
    /// An encoded google.rpc.Status with a BadRequest for `field`, or as it is when that is nil.
    func adding(_ field: String?, json: Bool) -> [UInt8] {
        guard let field else { return self }
        guard json else { return self + StatusDetails.badRequest(field) }
        let details =
            #"{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"\#(field)"}]}"#
        // The Status is an object with at least its code.
        return dropLast() + Array(#","details":[\#(details)]}"#.utf8)
    }
}
