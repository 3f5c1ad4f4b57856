import Glibc

/// Held by the one command that sends the letters of a data directory again, so that two at a time do not send each of
/// them twice. Ends with the process, whatever becomes of it.
package final class ReplayLock: Sendable {
    private let descriptor: Int32

    /// Nil when another process holds it. Where locks are not to be had, everybody gets one. Drafts of a holder that
    /// was killed go.
    package init?(dataDirectory: String) {
        descriptor = open(DeadLetterFolder.root(dataDirectory), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
            for folder in DeadLetterFolder.all(dataDirectory) { folder.removeDraft() }
        } else if errno == EWOULDBLOCK {
            return nil
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
