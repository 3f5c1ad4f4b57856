#if DEBUG || FUZZ

    import Configuration
    import Receivers

    /// Configuration files: read, expanded, taken as a gateway's file and as a receiver's options, and told in a
    /// report.
    enum ConfigFuzz {
        static func run(_ input: UnsafeRawBufferPointer) -> String? {
            let text = String(decoding: input, as: UTF8.self)
            var problems = ConfigProblems()
            // A reference may bring text that refers and nests again.
            let environment = ConfigEnvironment(
                variable: { $0.hasPrefix("A") ? "{a: [1, \"${env:A}\"]}" : nil },
                readFile: { path throws(ConfigReadFailure) in Array(path.utf8) })
            let tree = ConfigLoader(environment: environment).load(
                [.text(name: "fuzz.yaml", text)], problems: &problems)
            _ = GatewayConfiguration(tree, problems: &problems)
            _ = readOptions(OTLPReceiverOptions.self, node: tree, path: "receivers.otlp", problems: &problems)
            let report = problems.report()
            return report.utf8.contains(where: { $0 < 0x20 && $0 != 0x0A && $0 != 0x09 })
                ? "a control character in the report" : nil
        }
    }

#endif
