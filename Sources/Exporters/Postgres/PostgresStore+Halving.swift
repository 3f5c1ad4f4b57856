import Telemetry

/// A group in which the database refuses some record for good.
///
/// One transaction again: what is refused is found by halving, each part behind a savepoint, so the good records are
/// inserted once and committed once. A part that is refused costs little: it ends at its first bad row.
extension PostgresStore {
    /// What is done with the records of a part.
    private enum Step {
        /// Brings them to where rows wait for their insert.
        case stage
        case insertStaged
        /// Inserts them row by row.
        case insert
    }

    /// Stores all records but those that are refused alone, which it notes in their members.
    mutating func storeApart(_ members: inout [Member]) throws(PostgresFailure) {
        try withConnection { (store, connection) throws(PostgresFailure) in
            try connection.execute(store.statements.begin)
            // What a constraint only says with the commit nobody could tell the record of.
            try connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            try store.insertApart(connection, &members)
            try PostgresCommits.write(Self.commits(members), &store.book, connection)
            try connection.execute("COMMIT")
        }
    }

    private func insertApart(
        _ connection: borrowing PostgresConnection, _ members: inout [Member]
    ) throws(PostgresFailure) {
        let all = [0..<encoded.records]
        guard options.method == .copy else {
            _ = try bisect(all, .insert, connection, &members)
            return
        }
        let staged = try bisect(all, .stage, connection, &members)
        let tables = tables(of: encoded.rows.indices)
        for table in tables { try connection.execute(PostgresStatements.createStagedIndex(table)) }
        _ = try bisect(staged, .insertStaged, connection, &members)
        for table in tables { try connection.execute(PostgresStatements.dropStagedIndex(table)) }
    }

    /// Runs a step on the records, in as few parts as can be. Returns the parts that the database took.
    private func bisect(
        _ parts: [Range<Int>], _ step: Step, _ connection: borrowing PostgresConnection, _ members: inout [Member]
    ) throws(PostgresFailure) -> [Range<Int>] {
        var taken: [Range<Int>] = []
        var open = Array(parts.reversed())
        while let records = open.popLast() {
            do throws(PostgresFailure) {
                try run(step, records, connection)
                taken.append(records)
            } catch {
                guard error.kind == .refusedRow else { throw error }
                try connection.execute("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
                if let middle = Self.cut(records, members) {
                    open.append(middle..<records.upperBound)
                    open.append(records.lowerBound..<middle)
                } else if let index = members.firstIndex(where: { $0.records.contains(records.lowerBound) }) {
                    let start = members[index].records.lowerBound
                    members[index].refused += records.map { $0 - start }
                    members[index].reason = error.message
                }
            }
        }
        return taken
    }

    private func run(
        _ step: Step, _ records: Range<Int>, _ connection: borrowing PostgresConnection
    ) throws(PostgresFailure) {
        let rows = encoded.rows(of: records)
        let tables = tables(of: rows)
        switch step {
        case .stage, .insert:
            try connection.execute("SAVEPOINT part")
            for table in tables {
                if step == .stage {
                    try copy(connection, table, rows)
                } else {
                    try insert(connection, table, rows)
                }
            }
            try connection.execute("RELEASE SAVEPOINT part")
        case .insertStaged:
            // One message to the server, which stops at the first statement that fails.
            let inserts = tables.map { statements.insertStaged($0, records) }
            try connection.execute(
                (["SAVEPOINT part"] + inserts + ["RELEASE SAVEPOINT part"]).joined(separator: "; "))
        }
    }

    /// Where records that were refused together are parted, nil when they end as they are.
    private static func cut(_ records: Range<Int>, _ members: [Member]) -> Int? {
        guard records.count > 1 else { return nil }
        let middle = records.lowerBound + records.count / 2
        let whole = members.first { member in
            member.isIndivisible && member.records.lowerBound < middle && middle < member.records.upperBound
        }
        guard let whole else { return middle }
        if whole.records.lowerBound > records.lowerBound { return whole.records.lowerBound }
        return whole.records.upperBound < records.upperBound ? whole.records.upperBound : nil
    }
}
