/// Tells whose request it is, from one header of its head. Asked before the body is read, on an event loop, so it must
/// not wait. An extension of the file makes it; `auth.authenticator` of a receiver names it.
package protocol RequestAuthenticator: Sendable {
    /// The header that carries the credential, in lowercase.
    var headerName: String { get }
    /// The value of WWW-Authenticate in a refusal (RFC 9110, 11.6.1).
    var challenge: String { get }

    /// Whose the credential in the header's value is.
    func sender(of value: String) -> RequestSender
}

/// Whom a credential belongs to.
package enum RequestSender: Equatable, Sendable {
    /// The tenant's name, empty when the credential belongs to none.
    case tenant(String)
    /// The credential is wrong.
    case unknown
    /// It cannot be told yet; a sender that tries again may learn.
    case busy
}

/// What a receiver checks its senders with.
struct AuthCheck: Sendable {
    let authenticator: any RequestAuthenticator

    enum Verdict: Equatable {
        case tenant(String)
        /// Why not, without a word of the credential.
        case refused(String)
        /// Why it cannot be told now.
        case later(String)
    }

    /// Judges the values of the authenticator's header. More than one could be read in two ways.
    func verdict(_ values: [String]) -> Verdict {
        guard let value = values.first else {
            return .refused("the header \(authenticator.headerName) is missing; it carries the sender's credential")
        }
        guard values.count == 1 else {
            return .refused("the header \(authenticator.headerName) is given more than once")
        }
        switch authenticator.sender(of: value) {
        case .tenant(let tenant): return .tenant(tenant)
        case .unknown: return .refused("the credential in the header \(authenticator.headerName) is not known")
        case .busy: return .later("too many unknown credentials are being checked; try again")
        }
    }
}
