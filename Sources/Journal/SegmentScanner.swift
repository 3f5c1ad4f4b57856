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

    /// Files are read in whole blocks of this size, into memory that is aligned to it, as reads past the page cache
    /// must be.
    private static let block = 4096

    private let chunkBytes: Int
    /// Bytes of the file that have room, wherever in a block they begin and end.
    private var room: Int
    /// `room`, and a block more at both ends.
    private var buffer: UnsafeMutableRawBufferPointer

    init(chunkBytes: Int) {
        self.chunkBytes = max(chunkBytes, Self.block)
        room = self.chunkBytes
        buffer = Self.makeBuffer(for: room)
    }

    deinit { buffer.deallocate() }

    /// Reads up to the chunk size, or `most` if that is less, from `start`, not beyond `limit`, and visits each whole
    /// frame with its bytes and offset until `visit` gives false. `start` must be a multiple of 8. The bytes are valid
    /// during the visit only. A record that is larger is read whole.
    func scan(
        _ file: any JournalFile, from start: Int, to limit: Int, seed: UInt32, atMost most: Int = .max,
        visit: (RecordHeader, UnsafeRawBufferPointer, Int) -> Bool
    ) throws(SystemError) -> Chunk {
        // One huge record must not keep its memory for ever.
        if room > chunkBytes { resize(to: chunkBytes) }
        var start = start
        // Up to a block's end, so that what is read next to it begins there.
        let end = Self.roundedUp(start + min(room, max(most, Self.block)))
        var wanted = min(end, limit) - start
        var bytes = try load(file, from: start, 0..<wanted)
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
                guard header.recordBytes <= room else {
                    chunk.next = start + at
                    return chunk
                }
                // What is there of it stays: read again with the next chunk it would be most of it for large records.
                let have = bytes.count - at
                start += at
                bytes.baseAddress.map { memory(of: start)?.copyMemory(from: $0 + at, byteCount: have) }
                at = 0
                wanted = header.recordBytes
                bytes = try load(file, from: start, have..<wanted)
            case .incomplete(let header)
            where at == 0 && start + header.recordBytes <= limit && bytes.count == wanted:
                wanted = header.recordBytes
                if wanted > room { resize(to: wanted) }
                bytes = try load(file, from: start, 0..<wanted)
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

    private static func roundedUp(_ place: Int) -> Int { (place + block - 1) / block * block }

    private static func makeBuffer(for room: Int) -> UnsafeMutableRawBufferPointer {
        .allocate(byteCount: roundedUp(room) + 2 * block, alignment: block)
    }

    private func resize(to count: Int) {
        buffer.deallocate()
        room = count
        buffer = Self.makeBuffer(for: count)
    }

    /// Where the byte at this place of the file goes when it is the first one wanted.
    private func memory(of start: Int) -> UnsafeMutableRawPointer? {
        buffer.baseAddress.map { $0 + start % Self.block }
    }

    /// Reads what stands at these places of the file, counted from `start`, behind what the buffer holds already. Gives
    /// all that it holds then. Where the disk can't give a block, zeros stand for it, and so for a damaged record.
    private func load(
        _ file: any JournalFile, from start: Int, _ places: Range<Int>
    ) throws(SystemError) -> UnsafeRawBufferPointer {
        let base = start / Self.block * Self.block
        let held = UnsafeRawBufferPointer(rebasing: buffer[(start - base)...])
        guard !places.isEmpty else { return held.part(0..<places.lowerBound) }
        let first = (start + places.lowerBound) / Self.block * Self.block
        let last = Self.roundedUp(start + places.upperBound)
        let end = try readBlocks(file, first..<last, into: buffer[first - base..<last - base])
        return held.part(0..<max(places.lowerBound, min(end - start, places.upperBound)))
    }

    /// Reads whole blocks; gives the place in the file up to which it has them.
    private func readBlocks(
        _ file: any JournalFile, _ places: Range<Int>, into slice: Slice<UnsafeMutableRawBufferPointer>
    ) throws(SystemError) -> Int {
        let window = UnsafeMutableRawBufferPointer(rebasing: slice)
        do throws(SystemError) {
            return places.lowerBound + (try file.readAll(into: window, at: places.lowerBound))
        } catch  where error.code == EIO {
            var at = 0
            while at < window.count {
                let block = UnsafeMutableRawBufferPointer(rebasing: window[at..<at + Self.block])
                do throws(SystemError) {
                    let got = try file.readAll(into: block, at: places.lowerBound + at)
                    if got < block.count { return places.lowerBound + at + got }
                } catch  where error.code == EIO {
                    block.initializeMemory(as: UInt8.self, repeating: 0)
                }
                at += Self.block
            }
            return places.upperBound
        }
    }
}
