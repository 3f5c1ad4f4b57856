import Telemetry

/// Arguments that are written out and with which a function could never work.
extension Compiler {
    func checkConstants(
        _ call: CallExpression, _ signature: Signature, _ children: [Int32]
    ) throws(SyntaxFault) {
        func name(_ argument: Int) -> String { signature.parameters[argument].name }
        switch signature.function {
        case .limit, .truncateAll:
            guard let most = whole(children[1]) else { return }
            if most < 0 { throw SyntaxFault(call.offset, "\(name(1)) is \(most), which nothing can be cut to") }
            guard signature.function == .truncateAll, let marker = string(children[3]) else { return }
            if marker.count > most {
                throw SyntaxFault(call.offset, "\(name(3)) has \(marker.count) bytes, more than the limit of \(most)")
            }
        case .extractSumMetric, .extractCountMetric: try checkFlag(0, call, signature, children)
        case .convertGaugeToSum: try checkFlag(1, call, signature, children)
        case .time:
            guard let format = string(children[1]) else { return }
            if let unknown = Compiler.unknownDirective(in: format.string) {
                throw SyntaxFault(
                    call.offset, "\(name(1)) has \(unknown), which is no directive of times, such as %Y-%m-%dT%H:%M:%S")
            }
        case .parseCSV:
            for argument in 2...3 {
                guard let delimiter = string(children[argument]), delimiter.count != 1 else { continue }
                throw SyntaxFault(call.offset, "\(name(argument)) is one character, not \"\(delimiter.string)\"")
            }
        default: return
        }
    }

    private func checkFlag(
        _ argument: Int, _ call: CallExpression, _ signature: Signature, _ children: [Int32]
    ) throws(SyntaxFault) {
        guard children[argument] >= 0, case let node = nodes[Int(children[argument])], node.operation == .literal else {
            return
        }
        if case .bool = node.value { return }
        throw SyntaxFault(call.offset, "\(signature.parameters[argument].name) is true or false: \(signature.shown)")
    }

    /// A number that is written out, with its sign.
    private func whole(_ child: Int32) -> Int64? {
        guard child >= 0 else { return nil }
        let node = nodes[Int(child)]
        if node.operation == .negate { return whole(node.first).map { 0 &- $0 } }
        guard node.operation == .literal, case .int(let number) = node.value else { return nil }
        return number
    }

    private func string(_ child: Int32) -> Text? {
        guard child >= 0, nodes[Int(child)].operation == .literal, case .string(let text) = nodes[Int(child)].value
        else { return nil }
        return text
    }

    private static func unknownDirective(in format: String) -> String? {
        var rest = Substring(format)
        while let character = rest.popFirst() {
            guard character == "%", let directive = rest.popFirst() else { continue }
            if !TimeParser.knows(directive) { return "%\(directive)" }
        }
        return nil
    }
}
