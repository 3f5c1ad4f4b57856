/// A component cannot be made or started as it is configured. It says where in the component's own options the reason
/// stands, so that whoever has read the file can point at it.
package protocol StartFault: Error, CustomStringConvertible {
    /// The option as a path below the component, such as `include.services` or `table[1].pipelines`; nil for none in
    /// particular.
    var option: String? { get }
    /// What to do, in the imperative; nil when the description says it.
    var fix: String? { get }
    /// The reason is a folder or a file of this machine that is not there, or not for this user; it may be right where
    /// the gateway runs.
    var isOfMachine: Bool { get }
}

extension StartFault {
    package var fix: String? { nil }
    package var isOfMachine: Bool { false }
}
