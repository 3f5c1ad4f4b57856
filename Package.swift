// swift-tools-version: 6.2
import PackageDescription

/// Settings every Swift target shares. `package` is the default visibility of the house; nothing is `public`.
let house: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

/// For tests with raw sockets: NIO's C modules claim the members of `sockaddr_in`, so MemberImportVisibility is off.
let socketTests: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
]
/// TLS and HTTP/2 of the receivers, hashes of their credentials.
let receiving: [Target.Dependency] = [
    .product(name: "NIOTLS", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
    .product(name: "NIOHTTP2", package: "swift-nio-http2"),
    .product(name: "NIOHPACK", package: "swift-nio-http2"),
    .product(name: "Crypto", package: "swift-crypto"),
]
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "sluice",
    products: [.executable(name: "sluice", targets: ["sluice"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // C libraries of the system, one thin module each.
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
        .systemLibrary(name: "CDeflate", pkgConfig: "libdeflate", providers: [.apt(["libdeflate-dev"])]),
        .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CSnappy", pkgConfig: "snappy", providers: [.apt(["libsnappy-dev"])]),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(name: "CCrypt", providers: [.apt(["libcrypt-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        // Small C pieces of our own: CRC32C, string scanning, embedded data files.
        .target(name: "CSupport"),
        // Output of script/generate from Proto/.
        .target(name: "COTLP", dependencies: ["CProtobufC"]),

        .target(name: "Telemetry", dependencies: ["CSupport"], swiftSettings: house),
        .target(name: "OTLP", dependencies: ["Telemetry", "COTLP", "CProtobufC", "CSupport"], swiftSettings: house),
        .target(name: "Configuration", dependencies: ["Yams"], swiftSettings: house),
        .target(name: "Pipeline", dependencies: ["Telemetry", "OTLP", "Configuration"], swiftSettings: house),
        // The dialect tables, embedded as they stand in the folder.
        .target(name: "CGenAITables"),
        .target(
            name: "GenAI", dependencies: ["Telemetry", "CSupport", "CGenAITables", "Yams"], swiftSettings: house),
        // Regular expressions of the configuration.
        .target(name: "Patterns", dependencies: ["Telemetry", "CPCRE2"], swiftSettings: house),
        // The Collector's language for conditions and statements.
        .target(
            name: "OTTL",
            dependencies: [
                "Patterns", "Telemetry", "OTLP", "Configuration", "CSupport",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: house),
        .target(name: "Journal", dependencies: ["Pipeline", "Telemetry", "CSupport"], swiftSettings: house),
        .target(
            name: "Processors",
            dependencies: [
                "OTTL", "Patterns", "Pipeline", "Telemetry", "OTLP", "Configuration", "GenAI", "CSupport",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: house),
        .target(
            name: "Receivers",
            dependencies: [
                "Pipeline", "Telemetry", "OTLP", "Configuration", "CCrypt", "CDeflate", "CZstd", "CSnappy", "CLZ4",
                "CSupport", logging,
            ] + nio + receiving,
            swiftSettings: house),
        .target(
            name: "Exporters",
            dependencies: [
                "Pipeline", "Telemetry", "OTLP", "OTTL", "GenAI", "Configuration", "CCurl", "CDeflate", "CISAL",
                "CPostgres", "CZstd", "CSnappy", "CLZ4", "CSupport", logging,
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift"), .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: house),
        .target(
            name: "Connectors",
            dependencies: [
                // Of the exporters only what speaks HTTP.
                "OTTL", "GenAI", "Exporters", "Pipeline", "Telemetry", "OTLP", "Configuration",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: house),
        .target(
            name: "Gateway",
            dependencies: [
                "Receivers", "Processors", "Exporters", "Connectors", "Journal", "Pipeline", "Telemetry", "OTLP",
                "Configuration", "CSupport", "GenAI",
                logging,
            ] + nio,
            swiftSettings: house),
        .target(
            name: "Query", dependencies: ["Exporters", "Pipeline", .product(name: "GRDB", package: "GRDB.swift")],
            swiftSettings: house),
        .executableTarget(
            name: "sluice",
            dependencies: [
                "Gateway", "Configuration", "Exporters", "Pipeline", "Query", "Telemetry",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: house),

        // Seeds, builders, recorded payloads, the oracle and servers: for tests and benchmarks only.
        .target(
            name: "TestSupport", dependencies: ["OTLP", "Telemetry", "COTLP", "CProtobufC", "CChildProcess"],
            path: "Tests/TestSupport",
            exclude: [
                "clickhouse_server.py", "grpc_server.py", "http_versions_server.py", "snowflake_server.py",
            ], swiftSettings: house),
        .target(name: "CAllocationCount", path: "Tests/CAllocationCount"),
        .target(name: "CChildProcess", path: "Tests/CChildProcess"),

        // What the fuzzer runs; FuzzTests replays its inputs.
        .target(
            name: "CodecFuzz", dependencies: ["OTLP", "Telemetry", "COTLP", "CProtobufC", "TestSupport"],
            path: "Fuzz/Codec", swiftSettings: house),
        .target(
            name: "ReceiverFuzz",
            dependencies: [
                "Receivers", "Pipeline", "Telemetry", "Configuration", logging,
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + nio,
            path: "Fuzz/Receiver", swiftSettings: house),
        .testTarget(
            name: "FuzzTests", dependencies: ["CodecFuzz", "ReceiverFuzz", "OTLP", "Telemetry", "TestSupport"],
            swiftSettings: house),

        .testTarget(name: "TidyTests", swiftSettings: house),
        .testTarget(
            name: "OTLPTests",
            dependencies: ["OTLP", "Telemetry", "COTLP", "CProtobufC", "CAllocationCount", "TestSupport"],
            swiftSettings: house),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "OTLP", "TestSupport"], swiftSettings: house),
        .testTarget(name: "ConfigurationTests", dependencies: ["Configuration"], swiftSettings: house),
        .testTarget(
            name: "JournalTests", dependencies: ["Journal", "Pipeline", "Telemetry", "CSupport"],
            swiftSettings: house),
        .testTarget(
            name: "ReceiversTests",
            dependencies: [
                "Receivers", "Pipeline", "Telemetry", "OTLP", "Configuration", "CDeflate", "CZstd", "CSnappy", "CLZ4",
                "CSupport", "TestSupport", logging, .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + nio + receiving,
            swiftSettings: socketTests),
        .testTarget(
            name: "ExportersTests",
            dependencies: [
                "Exporters", "GenAI", "Pipeline", "Telemetry", "OTLP", "Configuration", "CDeflate", "CZstd",
                "TestSupport", "Journal",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: house),
        .testTarget(
            name: "OTTLTests", dependencies: ["OTTL", "Telemetry", "OTLP", "TestSupport"], swiftSettings: house),
        .testTarget(
            name: "ProcessorsTests",
            dependencies: [
                "Processors", "TestSupport", "Patterns", "Pipeline", "Telemetry", "OTLP", "Configuration", "GenAI",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: house),
        .testTarget(
            name: "ConnectorsTests",
            dependencies: [
                "Connectors", "Exporters", "GenAI", "Pipeline", "Telemetry", "OTLP", "Configuration", "TestSupport",
            ], swiftSettings: house),
        .testTarget(
            name: "GenAITests",
            dependencies: [
                "GenAI", "Processors", "Pipeline", "Telemetry", "OTLP", "Configuration", "Yams", "TestSupport",
            ],
            swiftSettings: house),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Gateway", "Configuration", "Exporters", "Journal", "Pipeline", "Telemetry", "OTLP", "TestSupport",
            ],
            swiftSettings: house),
        .testTarget(
            name: "QueryTests",
            dependencies: ["Query", "Exporters", .product(name: "GRDB", package: "GRDB.swift")], swiftSettings: house),
        .testTarget(
            name: "EndToEndTests", dependencies: ["sluice", "OTLP", "Telemetry", "TestSupport"], swiftSettings: house),
    ]
)

// In this manifest, because a package of its own would not see `package` declarations; only when asked for, because
// nobody else needs them built: SLUICE_BENCH=1 swift build -c release --product bench, see Benchmarks/README.md.
if Context.environment["SLUICE_BENCH"] != nil {
    package.targets.append(
        .executableTarget(
            name: "bench",
            dependencies: [
                "OTLP", "OTTL", "Telemetry", "Pipeline", "Processors", "Configuration", "TestSupport",
                "CAllocationCount", "COTLP", "CProtobufC",
            ],
            path: "Benchmarks/Bench", swiftSettings: house))
}

// As above: see Fuzz/README.md.
if Context.environment["SLUICE_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "fuzz", dependencies: ["CodecFuzz", "ReceiverFuzz"], path: "Fuzz/Run", swiftSettings: house))
}
