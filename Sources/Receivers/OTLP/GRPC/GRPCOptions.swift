package import Configuration

/// Options under `protocols.grpc`, named as the Collector's.
package struct GRPCOptions: ComponentOptions {
    package var endpoint: ListenEndpoint
    /// Bytes of one message, as sent and after inflating.
    package var messageSizeMax: Int
    private static let messageMiBDefault = 4
    package var streamsMax: Int
    package var connections: ConnectionLimits
    package var keepsMetadata: Bool
    package var lifetime: HTTP2Lifetime
    package var timeouts: ConnectionTimeouts
    package var tls: ReceiverTLSOptions?
    package var authenticator: String?

    package init(_ settings: inout Settings) {
        endpoint = ListenEndpoint.read(&settings, port: 4317)
        let messageMiB = settings.int(
            "max_recv_msg_size_mib", default: Self.messageMiBDefault, in: 0...1024, unit: "MiB",
            "Largest message, as sent and again after inflating; a larger one is RESOURCE_EXHAUSTED. "
                + "0 stands for the default.")
        messageSizeMax = (messageMiB == 0 ? Self.messageMiBDefault : messageMiB) << 20
        let streams = settings.int(
            "max_concurrent_streams", default: HTTP2Limits.streamsMax, in: 0...10_000,
            "Calls that one connection may have open at once; 0 stands for the default.")
        streamsMax = streams == 0 ? HTTP2Limits.streamsMax : streams
        connections = ConnectionLimits(&settings, beyond: "closed")
        timeouts = ConnectionTimeouts(idle: .zero)
        timeouts.write = settings.duration(
            "write_timeout", default: .seconds(30), in: .zero ... .seconds(86_400),
            "Time from the end of a request until its answer has left; 0 for no limit.")
        lifetime = Self.lifetime(&settings)
        tls = ReceiverTLSOptions.read(&settings)
        authenticator = AuthOption.read(&settings)
        TransportOption.read(&settings)
        settings.accepted("read_buffer_size", "Reads grow and shrink with what comes.")
        settings.accepted("write_buffer_size", "Answers are small and sent whole.")
        keepsMetadata = MetadataOption.read(&settings)
        Middlewares.refuse(&settings)
    }

    private static func lifetime(_ settings: inout Settings) -> HTTP2Lifetime {
        let range: ClosedRange<Duration> = .zero ... .seconds(365 * 86_400)
        return settings.group("keepalive", "How long connections live and how they are watched.") { keepalive in
            let lifetime = keepalive.group("server_parameters", "What the receiver does.") { server in
                HTTP2Lifetime(
                    idle: server.duration(
                        "max_connection_idle", default: .zero, in: range, "Time without a call; 0 for no limit."),
                    age: server.duration(
                        "max_connection_age", default: .zero, in: range, "Time in all; 0 for no limit."),
                    ageGrace: server.duration(
                        "max_connection_age_grace", default: .zero, in: range,
                        "Time for calls that are open when a connection ends; 0 for no limit."),
                    ping: server.duration(
                        "time", default: .seconds(7200), in: range,
                        "Silence after which the sender is asked for a sign of life; 0 for never."),
                    pingTimeout: server.duration(
                        "timeout", default: .seconds(20), in: range, "Time for that sign."))
            }
            keepalive.group("enforcement_policy", "What senders may do.") { policy in
                policy.accepted("min_time", "Senders that flood with pings are cut off in any case.")
                policy.accepted("permit_without_stream", "Pings are answered with and without calls.")
            }
            return lifetime
        }
    }
}

/// `auth` of a protocol: the name of an authentication extension.
enum AuthOption {
    /// The extension's name, nil when everybody may send.
    static func read(_ settings: inout Settings) -> String? {
        let name = settings.optionalGroup(
            "auth", "Who may send; everybody when left out.",
            whenNull: "has nothing behind it, as in the Collector no authentication: everybody may send"
        ) { auth in
            let name = auth.requiredString(
                "authenticator", "Extension that checks requests: bearertokenauth, basicauth or api_key, with its name."
            )
            let parameters = auth.value("request_params", "Credentials in the query are not supported.")
            if parameters != nil {
                auth.problem("credentials in the query end up in logs; send them in a header", at: "request_params")
            }
            return name
        }
        return name
    }
}

/// `include_metadata` of a protocol.
enum MetadataOption {
    static func read(_ settings: inout Settings) -> Bool {
        settings.bool(
            "include_metadata", default: false,
            "Whether request headers, but for the credential, go on to processors (from_context: metadata.NAME).")
    }
}

/// `middlewares` of a protocol, whose silent loss would open what the user meant to close.
enum Middlewares {
    static func refuse(_ settings: inout Settings) {
        let value = settings.value(
            "middlewares", "Middleware of the Collector; not supported in this version, refused when there is any.")
        if value == nil || value == .null || value == .list([]) { return }
        settings.problem("is not supported in this version; remove it", at: "middlewares")
    }
}

/// `transport` of a protocol: TCP alone is served.
enum TransportOption {
    static func read(_ settings: inout Settings) {
        let name = settings.string("transport", default: "tcp", "What is listened on: tcp, the only one here.")
        if !["tcp", "tcp4", "tcp6", ""].contains(name) {
            settings.problem("only tcp is served: write tcp, and host:port as the endpoint", at: "transport")
        }
    }
}
