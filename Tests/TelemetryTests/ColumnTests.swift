import Telemetry
import Testing

@Suite struct `Columns` {
    @Test func `keep what was appended while they grow, and their memory when they are emptied`() {
        var column = Column<Int>()
        for value in 0..<1_000 { column.append(value) }
        #expect(column.count == 1_000)
        #expect(column.indices.allSatisfy { column[$0] == $0 })
        let footprint = column.footprint
        column.removeAll()
        #expect(column.count == 0)
        #expect(column.footprint == footprint)
    }

    @Test func `a copied run follows the last element, also when the column has to grow for it`() {
        var column = Column<Int>()
        for value in 0..<16 { column.append(value) }
        column.appendCopy(of: 4..<12)
        #expect(column.indices.map { column[$0] } == Array(0..<16) + Array(4..<12))
    }

    @Test func `shifting down overwrites one element and leaves what is behind the end`() {
        var column = Column<Int>()
        for value in 0..<6 { column.append(value) }
        column.shiftDown(over: 1, end: 4)
        #expect(column.indices.map { column[$0] } == [0, 2, 3, 3, 4, 5])
        column.truncate(to: 2)
        #expect(column.indices.map { column[$0] } == [0, 2])
    }
}

@Suite struct `Byte columns` {
    private func bytes(_ column: borrowing ByteColumn) -> [UInt8] { Array(column.bytes) }

    @Test func `open and close gaps by moving what follows`() {
        var column = ByteColumn()
        column.append("abcdef")
        column.shift(from: 2, by: 3)
        #expect(column.count == 9)
        #expect(bytes(column).prefix(2) == [0x61, 0x62])
        #expect(bytes(column).suffix(4) == Array("cdef".utf8)[...])
        column.shift(from: 5, by: -3)
        #expect(bytes(column) == Array("abcdef".utf8))
    }

    @Test func `copy from themselves`() {
        var column = ByteColumn()
        for _ in 0..<40 { column.append("0123456789") }
        column.appendCopy(of: 3..<397)
        #expect(bytes(column).suffix(394) == bytes(column)[3..<397])
    }

    @Test func `write numbers in little-endian order`() {
        var column = ByteColumn()
        column.append(littleEndian: UInt32(0x0102_0304))
        column.append(littleEndian: UInt64(5))
        #expect(bytes(column) == [4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `give memory back above a limit, but only when they are empty`() {
        var column = ByteColumn(capacity: 1 << 20)
        column.append("x")
        column.shrink(to: 1_024)
        #expect(column.capacity == 1 << 20)
        column.removeAll()
        column.shrink(to: 1_024)
        #expect(column.capacity == 1_024)
    }
}
