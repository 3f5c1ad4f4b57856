import NIOCore
import NIOHTTP1

/// Stands before the HTTP parser. Takes requests whose head is known past it, sees how much a chunked request
/// announces, which the parser does not tell, so that one over the limit is refused before its bytes come, or do not
/// come, and counts what the parser holds of a head of which not all has come.
///
/// A chunked request whose head came in several reads, or behind another request in one read, is not watched: the limit
/// holds for what arrives of it all the same, and the time limits for what does not. The beginning of a head behind
/// another request counts from the next read on; the parser takes no head of more than 64 KiB.
final class ParserGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: OTLPConnection
    private var framing: ChunkFraming?
    /// Bytes that came since the last part of a request.
    private var heldBytes = 0
    private var place = Place.start
    /// The last head that may come again.
    private var known: KnownHead?
    /// What it was taken for.
    private var usual = OTLPConnection.Current(answerType: .json)
    /// Heads that were remembered since one came again.
    private var misses = 0

    /// Where in the stream of requests the next byte is.
    private enum Place: Equatable {
        /// A request begins, and the parser holds nothing.
        case start
        /// In a body that the parser takes, with so many bytes to come.
        case parsed(Int)
        /// In a body that goes past the parser, with so many bytes to come.
        case passed(Int)
        /// Only the parser knows: from a request on that is out of the ordinary, all that come on the connection are
        /// left to it.
        case unknown
    }

    /// A connection on which so many heads are new one after the other brings new ones: remembering each costs more
    /// than it saves.
    static let missesMax = 16

    init(_ connection: OTLPConnection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        takePast(&bytes)
        if bytes.readableBytes > 0 { parse(context, bytes) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The parser says so of what it has.
        if case .passed = place, event as? ChannelEvent == .inputClosed {
            context.fireErrorCaught(HTTPParserError.invalidEOFState)
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Past the parser

    /// Takes what needs no parser; the rest is for it.
    private func takePast(_ bytes: inout ByteBuffer) {
        while bytes.readableBytes > 0 {
            if case .passed(let left) = place {
                guard let part = bytes.readSlice(length: min(left, bytes.readableBytes)) else { return }
                pass(part, of: left)
            } else {
                guard place == .start, connection.canBegin, let known,
                    let found = bytes.withUnsafeReadableBytes({ known.match(startOf: $0) }),
                    found.length <= connection.shared.check.bodySizeMax
                else { return }
                bytes.moveReaderIndex(forwardBy: found.size)
                misses = 0
                place = .passed(found.length)
                connection.begin(as: usual, length: found.length)
                if found.length == 0 { pass(nil, of: 0) }
            }
        }
    }

    private func pass(_ part: ByteBuffer?, of left: Int) {
        let after = left - (part?.readableBytes ?? 0)
        place = after == 0 ? .start : .passed(after)
        if let part { connection.receive(.body(part)) }
        if after == 0 { connection.receive(.end(nil)) }
    }

    // MARK: Through the parser

    private func parse(_ context: ChannelHandlerContext, _ bytes: ByteBuffer) {
        let before = connection.headsBegun
        connection.reading = bytes
        context.fireChannelRead(wrapInboundOut(bytes))
        connection.reading = nil
        countHead(bytes.readableBytes)
        bytes.withUnsafeReadableBytes { bytes in
            follow(bytes, heads: connection.headsBegun &- before)
            watchChunks(bytes, heads: connection.headsBegun &- before)
        }
        refuseIfTooMuch()
    }

    /// Keeps to where in the stream the parser is, as far as that is plain.
    private func follow(_ bytes: UnsafeRawBufferPointer, heads: UInt64) {
        switch (place, heads) {
        case (.parsed(let left), 0): place = Self.place(behind: left - bytes.count)
        case (.start, 1):
            guard connection.isUsual, let length = connection.current.declared, let head = KnownHead(startOf: bytes)
            else { fallthrough }
            place = Self.place(behind: head.match(startOf: bytes).map { $0.size + length - bytes.count } ?? -1)
            if head != known {
                (known, usual) = (head, connection.current)
                misses += 1
            }
            if misses > Self.missesMax { fallthrough }
        default: (place, known) = (.unknown, nil)
        }
    }

    private static func place(behind left: Int) -> Place { left == 0 ? .start : left > 0 ? .parsed(left) : .unknown }

    /// When a read has brought no part, the parser holds what it has of a head, or of trailers.
    private func countHead(_ bytes: Int) {
        if connection.readBroughtPart || connection.phase == .lingering {
            if heldBytes > 0 { connection.heldHead.letGo() }
            heldBytes = 0
            return
        }
        heldBytes += bytes
        if !connection.heldHead.hold(heldBytes) { connection.refuseHead(wanted: heldBytes) }
    }

    // MARK: Chunks

    private func watchChunks(_ bytes: UnsafeRawBufferPointer, heads: UInt64) {
        guard connection.readsChunks else {
            framing = nil
            return
        }
        if heads == 0 {
            framing?.take(bytes)
        } else {
            framing = heads == 1 ? ChunkFraming(request: bytes) : nil
        }
    }

    private func refuseIfTooMuch() {
        guard let framing else { return }
        if framing.announced > connection.shared.check.bodySizeMax {
            self.framing = nil
            connection.refuseChunks()
        } else if framing.extensionBytes > ChunkFraming.extensionBytesMax {
            self.framing = nil
            connection.refuseExtensions()
        }
    }
}
