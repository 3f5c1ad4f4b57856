import CSupport
import Telemetry

/// The Collector's comparison rules: numbers of either type, texts by bytes, false before true, times and durations
/// among themselves; all else is only equal or not. Values of different kinds are unequal, and `!=` is the one operator
/// that is true for them.
enum Comparison {
    @inline(__always)
    static func holds(
        _ operation: Operation, _ left: Value, _ right: Value, _ batch: borrowing RecordBatch
    ) -> Bool {
        switch (left, right) {
        case (.string(let one), .string(let other)):
            if operation == .equal { return one == other }
            if operation == .notEqual { return !(one == other) }
            return ordered(operation, order(one, other))
        case (.int(let one), .int(let other)): return compare(operation, one, other)
        case (.none, .none): return operation == .equal
        case (.bool(let one), .bool(let other)): return compare(operation, one ? 1 : 0, other ? 1 : 0)
        default: return rare(operation, left, right, batch)
        }
    }

    @inline(never)
    private static func rare(
        _ operation: Operation, _ left: Value, _ right: Value, _ batch: borrowing RecordBatch
    ) -> Bool {
        switch (left, right) {
        case (.double(let one), .double(let other)): return compare(operation, one, other)
        case (.int(let one), .double(let other)): return compare(operation, Double(one), other)
        case (.double(let one), .int(let other)): return compare(operation, one, Double(other))
        case (.time(let one), .time(let other)), (.duration(let one), .duration(let other)):
            return compare(operation, one, other)
        case (.bytes(let one), .bytes(let other)), (.bytes(let one), .identifier(let other)),
            (.identifier(let one), .bytes(let other)), (.identifier(let one), .identifier(let other)):
            return ordered(operation, order(one, other))
        case (.list, .list), (.map, .map), (.map, .set), (.set, .map), (.set, .set):
            if operation == .equal { return isSame(left, right, batch) }
            return operation == .notEqual && !isSame(left, right, batch)
        default: return operation == .notEqual
        }
    }

    @inline(__always)
    private static func compare<Number: Comparable>(_ operation: Operation, _ one: Number, _ other: Number) -> Bool {
        switch operation {
        case .equal: one == other
        case .notEqual: one != other
        case .less: one < other
        case .lessOrEqual: one <= other
        case .greater: one > other
        default: one >= other
        }
    }

    @inline(__always)
    private static func ordered(_ operation: Operation, _ order: Int) -> Bool { compare(operation, order, 0) }

    /// Below zero, zero or above, by bytes.
    static func order(_ one: Text, _ other: Text) -> Int {
        let common = min(one.count, other.count)
        var index = 0
        while index < common {
            let left = one.start.load(fromByteOffset: index, as: UInt8.self)
            let right = other.start.load(fromByteOffset: index, as: UInt8.self)
            if left != right { return Int(left) - Int(right) }
            index &+= 1
        }
        return one.count - other.count
    }

    /// Deep equality; the order of a map's members does not count. The depth of values is bounded by their reader.
    static func isSame(_ left: Value, _ right: Value, _ batch: borrowing RecordBatch) -> Bool {
        switch (left, right) {
        case (.list(let one), .list(let other)):
            var first = ListReader(one)
            var second = ListReader(other)
            while true {
                let (mine, its) = (first.next(), second.next())
                guard let mine, let its else { return mine == nil && its == nil }
                if !isSame(mine, its, batch) { return false }
            }
        case (.map, .map), (.map, .set), (.set, .map), (.set, .set):
            let count = Members.count(left, batch)
            guard count == Members.count(right, batch) else { return false }
            return count > MapDraft.searchedMax ? contains(many: left, right, batch) : contains(left, right, batch)
        default: return holds(.equal, left, right, batch)
        }
    }

    private static func contains(_ whole: Value, _ part: Value, _ batch: borrowing RecordBatch) -> Bool {
        switch part {
        case .set(let set):
            for index in batch.range(of: set) {
                let attribute = batch.attributes[index]
                let value = Value(attribute.kind, attribute.payload, batch)
                if !has(whole, batch.text(attribute.key), value, batch) { return false }
            }
        case .map(let content):
            var reader = MapReader(content)
            while let member = reader.next() { if !has(whole, member.key, member.value, batch) { return false } }
        default: return false
        }
        return true
    }

    /// The same for many members, with a table of their keys; of equal keys the last counts.
    private static func contains(many whole: Value, _ part: Value, _ batch: borrowing RecordBatch) -> Bool {
        var members = MapDraft()
        var read = MapDraft()
        guard read.load(whole, batch) else { return false }
        for index in read.entries.indices { members.put(read.entries[index].key, read.entries[index].value) }
        guard read.load(part, batch) else { return false }
        for index in read.entries.indices {
            guard let place = members.find(read.entries[index].key) else { return false }
            if !isSame(members.entries[place].value, read.entries[index].value, batch) { return false }
        }
        return true
    }

    private static func has(_ whole: Value, _ key: Text, _ value: Value, _ batch: borrowing RecordBatch) -> Bool {
        guard let mine = Members.find(key, in: whole, batch) else { return false }
        return isSame(mine, value, batch)
    }
}

/// Maps of either form.
enum Members {
    static func count(_ value: Value, _ batch: borrowing RecordBatch) -> Int {
        switch value {
        case .set(let set): return batch.range(of: set).count
        case .map(let content):
            var reader = MapReader(content)
            var count = 0
            while reader.next() != nil { count += 1 }
            return count
        default: return 0
        }
    }

    /// The value of a key, nil when it is not there.
    static func find(_ key: Text, in value: Value, _ batch: borrowing RecordBatch) -> Value? {
        switch value {
        case .set(let set):
            guard let index = batch.find(name: key, in: set) else { return nil }
            return Value(batch.attributes[index].kind, batch.attributes[index].payload, batch)
        case .map(let content):
            var found: Value?
            var reader = MapReader(content)
            while let member = reader.next() { if member.key == key { found = member.value } }
            return found
        default: return nil
        }
    }
}
