package import Telemetry

/// The name of an agent whose span has no attribute for it.
package enum AgentName {
    private static let suffixes: [StaticString] = [".agent", ".run", ".invoke", ".workflow"]

    /// What the name of an agent's span tells, without a verb before or a suffix behind it.
    package static func ofSpan(named source: Text) -> Text {
        var name = source
        if name.hasPrefix("invoke_agent ") { name = name["invoke_agent ".utf8.count..<name.count] }
        for suffix in suffixes where name.hasSuffix(Text(suffix)) {
            name = name[0..<name.count - suffix.utf8CodeUnitCount]
        }
        return name
    }
}
