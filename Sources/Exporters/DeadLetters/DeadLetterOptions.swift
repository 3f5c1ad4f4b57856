package import Configuration

/// `dead_letters`: how much of what failed for good is kept, and how long.
package struct DeadLetterOptions: ComponentOptions {
    /// Nil when the file does not say; then letters are kept where the journal is on disk.
    package var isEnabled: Bool?
    package var maxBytes: Int
    package var maxAge: Duration

    package init(_ settings: inout Settings) {
        let isSaid = settings.isPresent("enabled")
        let flag = settings.bool(
            "enabled", default: true,
            "False drops what fails for good. With `sending_queue.storage: memory` nothing is kept unless this is true."
        )
        isEnabled = isSaid ? flag : nil
        maxBytes = settings.bytes(
            "max_size", default: 256 << 20, in: 1 << 20...1 << 40,
            "Most bytes kept for this exporter, in \(DeadLetterBox.lettersMax) letters at most; the oldest go first.")
        maxAge = settings.duration(
            "max_age", default: .seconds(7 * 86_400), in: .seconds(60) ... .seconds(366 * 86_400),
            "Older letters are removed.")
    }
}
