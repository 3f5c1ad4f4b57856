import NIOSSL
import TestSupport

extension Certificates {
    /// A client that trusts an authority, and shows a certificate when one is named.
    func client(
        trusting authority: String, showing name: String? = nil, protocols: [String] = []
    ) throws
        -> TLSConfiguration
    {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(path("\(authority).pem")))
        configuration.applicationProtocols = protocols
        if let name {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(path("\(name).pem")).map {
                .certificate($0)
            }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: path("\(name).key"), format: .pem))
        }
        return configuration
    }
}
