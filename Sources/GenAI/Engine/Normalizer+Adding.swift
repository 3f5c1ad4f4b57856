import Telemetry

/// Attributes under names that are made at run time: members of objects, keys with another prefix, kept originals.
extension Normalizer {
    /// More new names than this are looked up in an ordered list of those that are there.
    private static let fewNames = 8

    mutating func addKeys(_ batch: inout RecordBatch) -> Bool {
        var isChanged = false
        sortAdded()
        let isIndexed = added.count > Normalizer.fewNames
        if isIndexed { indexKeys(batch) }
        var last: (key: Text, local: Int)?
        for index in added.indices {
            let item = added[index]
            let key = key(of: item)
            let start = batch.range(of: facts.set).lowerBound
            var place: Int?
            if let last, last.key == key {
                place = start + last.local
            } else if isIndexed {
                place = indexedPlace(of: key, batch)
            } else {
                place = batch.find(name: key, in: facts.set)
            }
            if let place {
                last = (key, place - start)
                guard item.overwrites, !isSame(batch.attributes[place], item.value, &batch) else { continue }
                batch.setValue(attributeValue(item.value), at: place, in: facts.set)
            } else {
                let reference = batch.addText(key)
                batch.append(key: reference, attributeValue(item.value), to: facts.set)
                last = (key, batch.range(of: facts.set).count - 1)
            }
            isChanged = true
        }
        return isChanged
    }

    private mutating func key(of item: AddedAttribute) -> Text {
        Text(UnsafeRawBufferPointer(rebasing: output.bytes[item.key.range]))
    }

    /// By name, so that the received order does not show.
    private mutating func sortAdded() {
        guard added.count > 1 else { return }
        var items: [AddedAttribute] = []
        for index in added.indices { items.append(added[index]) }
        items.sort { key(of: $0).isOrdered(before: key(of: $1)) }
        for index in added.indices { added[index] = items[index] }
    }

    // MARK: Keys in order

    /// Puts the places of the set's keys in the order of their names, equal names in the order of their places.
    private mutating func indexKeys(_ batch: borrowing RecordBatch) {
        order.removeAll()
        let range = batch.range(of: facts.set)
        for local in 0..<range.count { order.append(UInt64(local)) }
        var places: [UInt64] = []
        for index in order.indices { places.append(order[index]) }
        places.sort { left, right in
            let one = batch.text(batch.attributes[range.lowerBound + Int(left)].key)
            let other = batch.text(batch.attributes[range.lowerBound + Int(right)].key)
            if one.isOrdered(before: other) { return true }
            return left < right && !other.isOrdered(before: one)
        }
        for index in order.indices { order[index] = places[index] }
    }

    /// The last attribute of a name, as `find` gives it.
    private mutating func indexedPlace(of key: Text, _ batch: borrowing RecordBatch) -> Int? {
        let start = batch.range(of: facts.set).lowerBound
        var low = 0
        var high = order.count
        while low < high {
            let middle = (low + high) / 2
            let other = batch.text(batch.attributes[start + Int(order[middle])].key)
            if key.isOrdered(before: other) { high = middle } else { low = middle + 1 }
        }
        guard low > 0 else { return nil }
        let place = start + Int(order[low - 1])
        return batch.text(batch.attributes[place].key) == key ? place : nil
    }
}
