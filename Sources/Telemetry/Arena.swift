/// Bump memory whose addresses stay put until `reset`: decoded strings and values made while one record is worked on.
package struct Arena: ~Copyable {
    private var chunks: [UnsafeMutableRawBufferPointer] = []
    private var current = 0
    private var offset = 0
    /// Bytes handed out since the last reset.
    package private(set) var used = 0

    private static let chunkSize = 64 << 10
    private static let keptChunks = 16

    package init() {}

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// `count` uninitialised bytes.
    package mutating func allocate(_ count: Int) -> UnsafeMutableRawPointer {
        used &+= count
        while current < chunks.count {
            if chunks[current].count - offset >= count, let base = chunks[current].baseAddress {
                let start = base + offset
                offset += count
                return start
            }
            current += 1
            offset = 0
        }
        let size = max(Arena.chunkSize, count)
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        chunks.append(chunk)
        offset = count
        // `allocate` never returns a nil base for a positive size.
        return chunk.baseAddress ?? UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
    }

    /// A copy that lives until the next reset.
    package mutating func copy(_ text: Text) -> Text {
        let start = allocate(max(text.count, 1))
        start.copyMemory(from: text.start, byteCount: text.count)
        return Text(start: UnsafeRawPointer(start), count: text.count)
    }

    /// Gives back the unused end of the last allocation, which must have been `reserved` bytes long.
    package mutating func shrinkLast(from reserved: Int, to count: Int) {
        offset -= reserved - count
        used -= reserved - count
    }

    /// Forgets everything handed out. Memory is kept up to 16 ordinary chunks; larger ones are freed.
    package mutating func reset() {
        if used == 0 { return }
        if chunks.count > Arena.keptChunks || chunks.contains(where: { $0.count > Arena.chunkSize }) {
            var kept: [UnsafeMutableRawBufferPointer] = []
            for chunk in chunks {
                if chunk.count == Arena.chunkSize && kept.count < Arena.keptChunks {
                    kept.append(chunk)
                } else {
                    chunk.deallocate()
                }
            }
            chunks = kept
        }
        current = 0
        offset = 0
        used = 0
    }
}
