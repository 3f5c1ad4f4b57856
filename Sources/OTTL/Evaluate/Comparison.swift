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

    /// Deep equality; the order of a map's members does not count, and of those with one key the last does. So no value
    /// is compared more than once, whatever the keys. The depth of values is bounded by their reader.
    static func isSame(_ left: Value, _ right: Value, _ batch: borrowing RecordBatch) -> Bool {
        isSame(Nested(left), Nested(right), batch)
    }

    /// The same for values inside of lists and maps, which may come in pieces.
    static func isSame(_ left: Nested, _ right: Nested, _ batch: borrowing RecordBatch) -> Bool {
        switch (left.value, right.value) {
        case (.list(let one), .list(let other)):
            var first = ListReader(one, of: left)
            var second = ListReader(other, of: right)
            while true {
                let (mine, its) = (first.nextItem(), second.nextItem())
                guard let mine, let its else { return mine == nil && its == nil }
                if !isSame(mine.nested, its.nested, batch) { return false }
            }
        case (.map, .map), (.map, .set), (.set, .map), (.set, .set):
            let isFew = max(Members.count(left, batch), Members.count(right, batch)) <= MapDraft.searchedMax
            return isFew ? isSame(few: left, right, batch) : isSame(many: left, right, batch)
        default: return holds(.equal, left.value, right.value, batch)
        }
    }

    /// For maps whose members are searched one by one.
    private static func isSame(few left: Nested, _ right: Nested, _ batch: borrowing RecordBatch) -> Bool {
        var (mine, its) = (LastMembers(left, batch), LastMembers(right, batch))
        var unseen = 0
        while mine.next(batch) != nil { unseen += 1 }
        while let member = its.next(batch) {
            guard let value = Members.find(member.key, in: left, batch), isSame(value, member.value, batch) else {
                return false
            }
            unseen -= 1
        }
        return unseen == 0
    }

    /// The same with tables of the keys.
    private static func isSame(many left: Nested, _ right: Nested, _ batch: borrowing RecordBatch) -> Bool {
        var mine = MapDraft()
        var its = MapDraft()
        var read = MapDraft()
        guard read.load(left, batch) else { return false }
        for index in read.entries.indices { mine.put(read.entries[index]) }
        guard read.load(right, batch) else { return false }
        for index in read.entries.indices { its.put(read.entries[index]) }
        guard mine.entries.count == its.entries.count else { return false }
        for index in its.entries.indices {
            guard let place = mine.find(its.entries[index].key) else { return false }
            let (one, other) = (mine.entries[place].member.nested, its.entries[index].member.nested)
            if !isSame(one, other, batch) { return false }
        }
        return true
    }
}

/// Gives the members of a map behind which none with the same key comes, in their order.
private struct LastMembers {
    private var reader: MapReader?
    /// Indexes of attributes.
    private var left = 0..<0

    init(_ map: Nested, _ batch: borrowing RecordBatch) {
        switch map.value {
        case .set(let set): left = batch.range(of: set)
        case .map(let content): reader = MapReader(content, of: map)
        default: break
        }
    }

    mutating func next(_ batch: borrowing RecordBatch) -> (key: Text, value: Nested)? {
        while let member = nextMember(batch) {
            var rest = self
            var isLast = true
            while isLast, let other = rest.nextMember(batch) { isLast = !(other.key == member.key) }
            if isLast { return member }
        }
        return nil
    }

    private mutating func nextMember(_ batch: borrowing RecordBatch) -> (key: Text, value: Nested)? {
        if !left.isEmpty {
            let attribute = batch.attributes[left.lowerBound]
            left = (left.lowerBound + 1)..<left.upperBound
            return (batch.text(attribute.key), Nested(Value(attribute.kind, attribute.payload, batch)))
        }
        guard let member = reader?.next() else { return nil }
        return (member.key, member.nested)
    }
}

/// Maps of either form.
enum Members {
    static func count(_ value: Value, _ batch: borrowing RecordBatch) -> Int { count(Nested(value), batch) }

    static func count(_ map: Nested, _ batch: borrowing RecordBatch) -> Int {
        switch map.value {
        case .set(let set): return batch.range(of: set).count
        case .map(let content):
            var reader = MapReader(content, of: map)
            var count = 0
            while reader.next() != nil { count += 1 }
            return count
        default: return 0
        }
    }

    /// The value of a key, nil when it is not there.
    static func find(_ key: Text, in map: Nested, _ batch: borrowing RecordBatch) -> Nested? {
        switch map.value {
        case .set(let set): return find(key, in: set, batch).map { Nested($0) }
        case .map(let content):
            var found: MapReader.Member?
            var reader = MapReader(content, of: map)
            while let member = reader.next() { if member.key == key { found = member } }
            return found?.nested
        default: return nil
        }
    }

    /// The members in their order, nil for a value that is no map.
    static func all(of map: Nested, _ batch: borrowing RecordBatch) -> [(key: Text, value: Nested)]? {
        var members: [(key: Text, value: Nested)] = []
        switch map.value {
        case .set(let set):
            for index in batch.range(of: set) {
                let attribute = batch.attributes[index]
                let value = Value(attribute.kind, attribute.payload, batch)
                members.append((batch.text(attribute.key), Nested(value)))
            }
        case .map(let content):
            var reader = MapReader(content, of: map)
            while let member = reader.next() { members.append((member.key, member.nested)) }
        default: return nil
        }
        return members
    }

    /// The value of an attribute, nil when it is not there.
    static func find(_ key: Text, in set: SetIndex, _ batch: borrowing RecordBatch) -> Value? {
        guard let index = batch.find(name: key, in: set) else { return nil }
        return Value(batch.attributes[index].kind, batch.attributes[index].payload, batch)
    }
}
