import Configuration
import Glibc
import Logging
import NIOCore
import NIOSSL
import Synchronization

/// The certificate and key that new connections get, read again when their files change. Safe to use from any thread.
///
/// Files that cannot be used any more leave what was read last in force; the log says so.
final class TLSContexts: Sendable {
    /// Largest PEM file in bytes.
    static let sizeMax = 1 << 20

    private struct State {
        var context: NIOSSLContext
        var content: [[UInt8]]
        /// When all files were looked at, and when the authorities were.
        var checked: NIODeadline
        var checkedClientCA: NIODeadline
    }

    private let options: ReceiverTLSOptions
    private let protocols: [String]
    private let id: String
    private let log: Logger
    private let state: Mutex<State>

    /// Reads the files. `protocols` are offered by ALPN, the best first.
    init(
        _ options: ReceiverTLSOptions, protocols: [String], id: String, log: Logger
    ) throws(ReceiverStartFailure) {
        self.options = options
        self.protocols = protocols
        self.id = id
        self.log = log
        do throws(Fault) {
            let content = try Self.content(options)
            let now = NIODeadline.now()
            state = Mutex(
                State(
                    context: try Self.context(content, options, protocols), content: content, checked: now,
                    checkedClientCA: now))
        } catch {
            throw ReceiverStartFailure(
                description: "receiver \(id): tls: \(error.description)", option: error.option.map { "tls.\($0)" })
        }
    }

    private struct Fault: Error {
        var description: String
        var option: String?
    }

    /// What a connection that begins now uses.
    func current(now: NIODeadline) -> NIOSSLContext {
        state.withLock { state in
            let areAllDue = Self.isDue(options.reloadInterval, since: state.checked, now: now)
            let isClientCADue = Self.isDue(options.clientCAInterval, since: state.checkedClientCA, now: now)
            guard areAllDue || isClientCADue else { return state.context }
            if areAllDue { state.checked = now }
            state.checkedClientCA = now
            do throws(Fault) {
                try read(all: areAllDue, &state)
            } catch {
                log.warning("receiver \(id): tls stays as it was: \(error.description)")
                // A certificate that cannot be read keeps nobody in that the authorities let in no more.
                if areAllDue, options.clientCAInterval > .zero { try? read(all: false, &state) }
            }
            return state.context
        }
    }

    /// Reads the files again, or that of the authorities alone.
    private func read(all: Bool, _ state: inout State) throws(Fault) {
        let content = try Self.content(options, pair: all ? [] : Array(state.content.prefix(2)))
        guard content != state.content else { return }
        let isPairSame = content.prefix(2) == state.content.prefix(2)
        state.context = try Self.context(content, options, protocols)
        state.content = content
        let what = isPairSame ? "client_ca_file was read again" : "certificate was read again"
        log.info("\(what)", metadata: ["receiver": "\(id)"])
    }

    private static func isDue(_ interval: Duration, since checked: NIODeadline, now: NIODeadline) -> Bool {
        interval > .zero && now - checked >= TimeAmount(interval)
    }

    /// The bytes of certificate, key and authorities, in this order. `pair` are those of certificate and key when only
    /// the authorities are to be read.
    private static func content(
        _ options: ReceiverTLSOptions, pair: [[UInt8]] = []
    ) throws(Fault) -> [[UInt8]] {
        var content = pair
        let sources = pair.isEmpty ? [("cert_file", options.certificate), ("key_file", options.key)] : []
        for (name, source) in sources + (options.clientCA.map { [("client_ca_file", $0)] } ?? []) {
            switch source {
            case .text(let secret): content.append(Array(secret.reveal().utf8))
            case .file(let path):
                guard let bytes = TextFile.bytes(of: path, sizeMax: sizeMax) else {
                    throw Fault(
                        description: "\(path) cannot be read: \(String(cString: strerror(errno)))", option: name)
                }
                content.append(bytes)
            }
        }
        return content
    }

    private static func context(
        _ content: [[UInt8]], _ options: ReceiverTLSOptions, _ protocols: [String]
    ) throws(Fault) -> NIOSSLContext {
        let chain = try certificates(content[0], of: "the certificate (cert_file or cert_pem)")
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(bytes: content[1], format: .pem)
        } catch {
            throw Fault(description: "the key (key_file or key_pem) is no unencrypted private key in PEM")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = version(options.versions.lowerBound)
        configuration.maximumTLSVersion = version(options.versions.upperBound)
        configuration.applicationProtocols = protocols
        // Clients that nobody reads on do not answer a close_notify, and a shutdown would wait for them.
        configuration.shutdownTimeout = .seconds(1)
        if !options.cipherSuites.isEmpty { configuration.cipherSuiteValues = options.cipherSuites }
        if content.count > 2 {
            configuration.trustRoots = .certificates(try certificates(content[2], of: "client_ca_file"))
            configuration.certificateVerification = .noHostnameVerification
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw Fault(description: "certificate and key do not belong together, or are not usable: \(error)")
        }
    }

    private static func certificates(_ bytes: [UInt8], of what: String) throws(Fault) -> [NIOSSLCertificate] {
        guard let found = try? NIOSSLCertificate.fromPEMBytes(bytes), !found.isEmpty else {
            throw Fault(description: "\(what) holds no certificate in PEM")
        }
        return found
    }

    private static func version(_ version: ReceiverTLSOptions.Version) -> TLSVersion {
        switch version {
        case .tls10: .tlsv1
        case .tls11: .tlsv11
        case .tls12: .tlsv12
        case .tls13: .tlsv13
        }
    }
}
