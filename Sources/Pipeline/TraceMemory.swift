/// What a processor remembers of whole traces for those that come later.
///
/// The stage that gathers traces asks for what each batch changed and writes it to a file, so that it survives the
/// process and each trace counts once: a batch that did not pass, because its trace is held back for its session or
/// was refused, is taken back and comes again. Where there is no such stage nobody asks, and a restart begins anew.
package protocol TraceMemory: Sendable {
    /// Of what the bytes mean: what another version wrote is not restored.
    var version: UInt32 { get }
    /// Gives what the last batch changed, empty when nothing, and keeps it.
    func takeChanges() -> [UInt8]
    /// Takes back what the last batch changed.
    func undoChanges()
    /// Everything that is kept, in parts of a few MiB at most that `restore` takes in this order.
    func writeAll(_ part: ([UInt8]) -> Void)
    /// Brings back what `takeChanges` or `writeAll` gave. False when the bytes are something else.
    func restore(_ bytes: ArraySlice<UInt8>) -> Bool
    /// Forgets everything.
    func forget()
}

extension Processor {
    package var traceMemory: (any TraceMemory)? { nil }
    package var waitsForDisk: Bool { false }
    package var needsEarlierRequests: Bool { false }
}
