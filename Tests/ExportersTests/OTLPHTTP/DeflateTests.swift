import CDeflate
import TestSupport
import Testing

@testable import Exporters

@Suite struct DeflateTests {
    private func inflate(_ bytes: [UInt8], _ format: Deflate.Format, count: Int) -> [UInt8]? {
        guard let decompressor = libdeflate_alloc_decompressor() else { return nil }
        defer { libdeflate_free_decompressor(decompressor) }
        var out = [UInt8](repeating: 0, count: count + 1)
        var (used, written) = (0, 0)
        let decode = format == .gzip ? libdeflate_gzip_decompress_ex : libdeflate_zlib_decompress_ex
        let result = decode(decompressor, bytes, bytes.count, &out, out.count, &used, &written)
        guard result == LIBDEFLATE_SUCCESS, used == bytes.count else { return nil }
        return Array(out[..<written])
    }

    /// Text of some words, noise, one byte again and again, and all of them behind one another.
    private func bodies(_ count: Int) -> [[UInt8]] {
        var random = TestSupport.SeededRandom(UInt64(count))
        let words = (0..<300).map { _ in (0...random.below(9)).map { _ in UInt8(97 + random.below(26)) } }
        var text: [UInt8] = []
        while text.count < count { text += words[random.below(words.count)] + [0x20] }
        text = Array(text.prefix(count))
        let noise = random.bytes(count)
        let zeros = [UInt8](repeating: 0, count: count)
        return [text, noise, zeros, text + noise + zeros]
    }

    @Test(arguments: [0, 1, 6, 12], [0, 1, 7, 8, 300, 65_535, 65_536, 200_001])
    func `gives back what went in, at every level and size`(level: Int, count: Int) {
        for format in [Deflate.Format.gzip, .zlib] {
            let deflate = Deflate(format, level: level)
            for body in bodies(count) {
                guard let compressed = deflate.compress(body) else {
                    Issue.record("\(body.count) bytes were not compressed")
                    continue
                }
                #expect(inflate(compressed, format, count: body.count) == body)
                // What does not get smaller is stored, with a few bytes for each block.
                #expect(compressed.count <= body.count + body.count / 100 + 64)
                // The same bytes in give the same bytes out, whatever the compressor did before.
                #expect(deflate.compress(body) == compressed)
            }
        }
    }

    @Test func `the fastest level is at most a fifth larger than level 6`() throws {
        let text = bodies(400_000)[0]
        let fast = try #require(Deflate(.gzip, level: 1).compress(text))
        let small = try #require(Deflate(.gzip, level: 6).compress(text))
        #expect(Double(fast.count) <= 1.2 * Double(small.count))
    }

    @Test func `several deliveries compress at once`() async {
        let deflate = Deflate(.gzip, level: 1)
        let bodies = bodies(50_000)
        let faults = await withTaskGroup(of: Int.self) { group in
            for index in 0..<32 {
                group.addTask {
                    let body = bodies[index % bodies.count]
                    let back = deflate.compress(body).flatMap { inflate($0, .gzip, count: body.count) }
                    return back == body ? 0 : 1
                }
            }
            return await group.reduce(0, +)
        }
        #expect(faults == 0)
    }
}
