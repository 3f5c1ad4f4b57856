import Glibc

/// Reads records from a segment, one large read after the other, stepping over damage. Total on any bytes: a length is
/// believed only when its header's checksum holds, and never beyond the file. For one thread.
final class SegmentScanner {
    /// What one chunk gave.
    struct Chunk {
        /// Where to go on.
        var next: Int
        /// Offsets of the first and last place where something other than a whole record was stepped over.
        var damage: ClosedRange<Int>?
        /// Items by the headers of damaged records, whose bodies are not what was written.
        var damaged: [(offset: Int, items: UInt32)] = []
        /// A seal ends the segment here.
        var seal: (offset: Int, header: RecordHeader)?

        mutating func addDamage(at offset: Int) {
            damage = min(damage?.lowerBound ?? offset, offset)...max(damage?.upperBound ?? offset, offset)
        }
    }

    private let chunkBytes: Int
    private var buffer: UnsafeMutableRawBufferPointer

    init(chunkBytes: Int) {
        self.chunkBytes = max(chunkBytes, 4096)
        buffer = .allocate(byteCount: self.chunkBytes, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// Reads up to the chunk size from `start`, not beyond `limit`, and visits each whole frame with its bytes and
    /// offset until `visit` gives false. `start` must be a multiple of 8. The bytes are valid during the visit only.
    func scan(
        _ file: any JournalFile, from start: Int, to limit: Int, seed: UInt32,
        visit: (RecordHeader, UnsafeRawBufferPointer, Int) -> Bool
    ) throws(SystemError) -> Chunk {
        // One huge record must not keep its memory for ever.
        if buffer.count > chunkBytes { resize(to: chunkBytes) }
        var start = start
        var bytes = try load(file, from: start, 0..<min(buffer.count, limit - start))
        // A file shorter than `limit` ends here; asked again it would only say so again.
        var chunk = Chunk(next: bytes.isEmpty ? limit : start)
        var at = 0
        while at < bytes.count {
            // A header that straddles the end of the chunk is whole in the next one.
            if at > 0, bytes.count - at < JournalFormat.recordHeaderBytes, start + bytes.count < limit {
                chunk.next = start + at
                return chunk
            }
            switch ParsedRecord(bytes.part(at..<bytes.count), seed: seed) {
            case .whole(let header):
                if header.kind == .seal {
                    chunk.seal = (start + at, header)
                    chunk.next = limit
                    return chunk
                }
                let end = at + header.recordBytes
                let goesOn = visit(header, bytes.part(at..<end), start + at)
                at = end
                if !goesOn {
                    chunk.next = start + at
                    return chunk
                }
            case .damagedBody(let header):
                chunk.addDamage(at: start + at)
                chunk.damaged.append((start + at, header.items))
                at += header.recordBytes
            case .incomplete(let header) where start + at + header.recordBytes <= limit && at > 0:
                guard header.recordBytes <= buffer.count else {
                    chunk.next = start + at
                    return chunk
                }
                // What is there of it stays: read again with the next chunk it would be most of it for large records.
                let have = bytes.count - at
                bytes.baseAddress.map { buffer.baseAddress?.copyMemory(from: $0 + at, byteCount: have) }
                start += at
                at = 0
                bytes = try load(file, from: start, have..<header.recordBytes)
            case .incomplete(let header)
            where start + header.recordBytes <= limit && bytes.count == buffer.count:
                resize(to: header.recordBytes)
                bytes = try load(file, from: start, 0..<header.recordBytes)
            case .incomplete, .noRecord:
                if Self.isWritten(bytes.part(at..<min(at + 8, bytes.count))) { chunk.addDamage(at: start + at) }
                at = Self.nextMagic(in: bytes, after: at)
            }
        }
        chunk.next = max(chunk.next, min(limit, start + at))
        return chunk
    }

    private static func isWritten(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.contains { $0 != 0 } }

    /// The next multiple of 8 behind `start` where a record's magic lies, or where too few bytes are left to tell.
    private static func nextMagic(in bytes: UnsafeRawBufferPointer, after start: Int) -> Int {
        var at = start + 8
        while at + 4 <= bytes.count {
            if bytes.little(at, as: UInt32.self) == RecordHeader.magic { return at }
            at += 8
        }
        return at
    }

    private func resize(to count: Int) {
        buffer.deallocate()
        buffer = .allocate(byteCount: count, alignment: 16)
    }

    /// Reads what stands at these places of the buffer, counted from `start`, behind what it holds already. Where the
    /// disk can't give a page, zeros stand for it, and so for a damaged record.
    private func load(
        _ file: any JournalFile, from start: Int, _ places: Range<Int>
    ) throws(SystemError) -> UnsafeRawBufferPointer {
        guard !places.isEmpty else { return UnsafeRawBufferPointer(buffer).part(0..<places.lowerBound) }
        let window = UnsafeMutableRawBufferPointer(rebasing: buffer[places])
        do throws(SystemError) {
            let got = try file.readAll(into: window, at: start + places.lowerBound)
            return UnsafeRawBufferPointer(buffer).part(0..<places.lowerBound + got)
        } catch  where error.code == EIO {
            var at = places.lowerBound
            while at < places.upperBound {
                let page = UnsafeMutableRawBufferPointer(rebasing: buffer[at..<min(at + 4096, places.upperBound)])
                do throws(SystemError) {
                    if try file.readAll(into: page, at: start + at) < page.count { break }
                } catch  where error.code == EIO {
                    page.initializeMemory(as: UInt8.self, repeating: 0)
                }
                at += page.count
            }
            return UnsafeRawBufferPointer(buffer).part(0..<at)
        }
    }
}
