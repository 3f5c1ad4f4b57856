// Needs the receiver's inner types, so it exists in debug builds, and in release builds for the fuzzer.
#if DEBUG || FUZZ

    /// What the fuzzer, and the tests that replay its inputs, run on bytes that reach the receiver before any codec.
    ///
    /// Each target returns what is wrong, nil when nothing is.
    package enum ReceiverFuzz {
        /// Targets by the name of their folder in Tests/Fixtures/fuzz.
        package static let targets: [(name: String, run: @Sendable (UnsafeRawBufferPointer) -> String?)] = [
            ("http", HTTPFuzz.run), ("http2", HTTP2Fuzz.run), ("inflate", InflateFuzz.run), ("config", ConfigFuzz.run),
        ]
    }

#endif
