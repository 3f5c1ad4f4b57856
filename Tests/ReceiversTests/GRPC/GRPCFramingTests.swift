import NIOCore
import NIOHPACK
import Telemetry
import Testing

@testable import Receivers

@Suite struct GRPCFramingTests {
    /// The content of one message that comes in parts of these sizes.
    private func content(_ bytes: [UInt8], partSize: Int) throws -> (message: [UInt8], isWhole: Bool) {
        var framing = GRPCFraming()
        var message: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: partSize) {
            var part = ByteBuffer(bytes: bytes[start..<min(start + partSize, bytes.count)])
            while let piece = try framing.next(&part) {
                if case .content(let content) = piece { message += Array(content.readableBytesView) }
            }
        }
        return (message, framing.isWhole)
    }

    @Test(arguments: [1, 2, 5, 6, 100]) func `a message in parts of any size is one message`(partSize: Int) throws {
        let message = Array("0123456789".utf8)
        let read = try content([0, 0, 0, 0, 10] + message, partSize: partSize)
        #expect(read.message == message)
        #expect(read.isWhole)
    }

    @Test func `a message without bytes is whole`() throws {
        #expect(try content([0, 0, 0, 0, 0], partSize: 5).isWhole)
        #expect(try !content([0, 0, 0, 0], partSize: 5).isWhole)
        #expect(try !content([0, 0, 0, 0, 2, 1], partSize: 5).isWhole)
    }

    @Test(
        arguments: [[0, 0, 0, 0, 1, 7, 7], [0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0], [255, 255, 255, 255, 255]] as [[UInt8]])
    func `what is no single message is refused`(bytes: [UInt8]) {
        #expect(throws: GRPCStatus.self) { try content(bytes, partSize: 100) }
    }

    @Test func `the length is read without a sign`() throws {
        var framing = GRPCFraming()
        var bytes = ByteBuffer(bytes: [1, 255, 255, 255, 255])
        #expect(try framing.next(&bytes) == .prefix(length: 0xFFFF_FFFF, isCompressed: true))
    }

    @Test(arguments: [
        ("1H", TimeAmount.hours(1)), ("20M", .minutes(20)), ("3S", .seconds(3)),
        ("99999999m", .milliseconds(99_999_999)), ("99999999H", .nanoseconds(.max)),
        ("5u", .microseconds(5)), ("0n", .nanoseconds(0)),
    ])
    func `reads the units of a timeout`(text: String, expected: TimeAmount) {
        #expect(GRPCCall.timeout(text) == expected)
    }

    @Test(arguments: ["", "S", "1", "1s", "-1S", "+1S", "123456789S", "1.5S", "1 S"])
    func `refuses what is no timeout`(text: String) { #expect(GRPCCall.timeout(text) == nil) }

    @Test(arguments: [
        ("application/grpc", true), ("application/grpc+proto", true), ("application/grpc; charset=utf-8", true),
        ("Application/gRPC", true), ("application/grpc+json", false), ("application/grpc-web", false), ("", false),
    ])
    func `knows the content types of gRPC`(type: String, isGRPC: Bool) {
        #expect(GRPCCall.isGRPC(contentType: type) == isGRPC)
    }

    @Test func `a status message is written in printable ASCII`() {
        #expect(GRPCStatus.percentEncoded("a b%\u{1}é\n") == "a b%25%01%C3%A9%0A")
    }

    @Test func `what a status says fits into a frame, and enters no table`() throws {
        var headers = HPACKHeaders()
        GRPCStatus(.invalidArgument, .invalidData, String(repeating: "\u{10FFFF}", count: 50_000)).add(to: &headers)
        var encoder = HPACKEncoder(allocator: ByteBufferAllocator())
        var head = ByteBuffer()
        try encoder.encode(headers: headers, to: &head)
        #expect(head.readableBytes < HTTP2Limits.frameMax)
        // The number of the status with its 32 bytes of its own.
        #expect(encoder.dynamicTableSize == "grpc-status3".utf8.count + 32)
    }

    @Test func `pressure carries the time to wait as RetryInfo`() {
        var headers = HPACKHeaders()
        GRPCStatus(.unavailable, .overload, "x", retrySeconds: 3).add(to: &headers)
        #expect(headers.first(name: "grpc-status") == "14")
        // {1: 14, 2: "x", 3: {1: "type.googleapis.com/google.rpc.RetryInfo", 2: {1: {1: 3}}}}
        #expect(
            headers.first(name: "grpc-status-details-bin")
                == "CA4SAXgaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAw==")
    }
}
