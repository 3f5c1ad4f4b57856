import NIOCore
import NIOHTTP1

/// Generic types that several event loops need with their first connections.
///
/// While one thread makes the metadata of a generic class without a superclass, Swift's runtime (6.3.1, Linux) follows
/// a null pointer when another asks whether that class conforms to a protocol: `swift_checkMetadataState` is called for
/// the superclass that is not there. `ByteToMessageHandler<HTTPRequestDecoder>` asks that of `HTTPRequestDecoder`, so
/// that two first connections at the same moment could end the gateway. Made once while there is one thread, the
/// metadata is whole before anybody else asks.
enum SharedTypes {
    /// Call before anything listens.
    static func prepare() {
        withExtendedLifetime(HTTPRequestDecoder()) {}
        withExtendedLifetime(ByteToMessageHandler(HTTPRequestDecoder())) {}
    }
}
