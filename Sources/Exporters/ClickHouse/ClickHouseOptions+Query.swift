import Configuration

/// The query of the endpoint, in which the Collector's driver has options.
extension ClickHouseOptions {
    /// What the driver knows of connections, and nothing here stands for.
    private static let connectionParameters: Set<String> = [
        "block_buffer_size", "client_info_product", "compress_level", "conn_max_lifetime", "connection_open_strategy",
        "debug", "dial_timeout", "max_compression_buffer", "max_idle_conns", "max_open_conns", "read_timeout",
    ]

    /// Takes the query off the endpoint. A parameter counts as the option of its name, unless the file has that too.
    mutating func takeQuery(_ settings: inout Settings) {
        guard let mark = endpoint.firstIndex(of: "?") else { return }
        let query = endpoint[endpoint.index(after: mark)...]
        endpoint = String(endpoint[..<mark])
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            take(Self.decoded(parts[0]), parts.count > 1 ? Self.decoded(parts[1]) : "", &settings)
        }
    }

    private mutating func take(_ name: String, _ value: String, _ settings: inout Settings) {
        let isOn = value == "true" || value == "1"
        switch name {
        case "database", "username", "password", "async_insert", "compress":
            if !settings.isPresent(name) { set(name, value, isOn: isOn, &settings) }
        case "secure":
            if isOn, endpoint.hasPrefix("http://") {
                settings.problem("has secure=\(value): write https:// in front of the host", at: "endpoint")
            }
        case "skip_verify":
            if isOn {
                settings.problem(
                    "has skip_verify=\(value): write `tls: {insecure_skip_verify: true}` instead", at: "endpoint")
            }
        case _ where Self.connectionParameters.contains(name):
            settings.warning("\(name) of the query has no effect: it is the Collector's driver's", at: "endpoint")
        default:
            settings.warning(
                "\(name.prefix(40)) of the query is not known and not sent",
                fix: "remove it; a setting of the server belongs into the profile of the user", at: "endpoint")
        }
    }

    private mutating func set(_ name: String, _ value: String, isOn: Bool, _ settings: inout Settings) {
        switch name {
        case "database": database = value
        case "username": username = value
        case "password": password = Secret(value)
        case "async_insert": insertsAsynchronously = isOn
        default:
            let names = ["true": "lz4", "1": "lz4", "lz4hc": "lz4", "false": "none", "0": "none"]
            if let known = Compression(rawValue: names[value] ?? value) {
                compression = known
            } else {
                settings.problem("has a compress that is none of lz4, zstd, gzip and none", at: "endpoint")
            }
        }
    }

    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            let digits = Substring(rest.prefix(2))
            if byte == UInt8(ascii: "%"), digits.utf8.count == 2, let code = UInt8(digits, radix: 16) {
                bytes.append(code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
