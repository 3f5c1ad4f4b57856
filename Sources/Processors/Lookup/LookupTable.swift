import Configuration
import Glibc
import Pipeline
import Telemetry

/// Why a table cannot be used.
struct LookupFault: Error, Equatable {
    var reason: String
    /// The option that asks for what is not there.
    var option = "file"
    var fix: String?
}

/// How a table is written.
enum LookupFormat {
    case csv, yaml

    init?(path: String) {
        if path.hasSuffix(".csv") {
            self = .csv
        } else if path.hasSuffix(".yaml") || path.hasSuffix(".yml") {
            self = .yaml
        } else {
            return nil
        }
    }
}

/// Rows by key. Immutable; shared by all threads.
struct LookupTable: Sendable {
    /// One attribute to write.
    struct Cell: Sendable {
        var key: KeyID
        var text: [UInt8]
    }

    /// Keys of the rows, numbered from one.
    private let keys: KeyTable
    private let rows: [[Cell]]

    /// Most bytes of a file and rows in it.
    static let fileLimit = 16 << 20
    static let rowLimit = 60_000

    init(_ options: LookupOptions, _ names: inout KeyTable.Builder) throws(LookupFault) {
        let text = try LookupTable.read(options.file)
        let entries: [(key: String, cells: [(String, String)])]
        switch LookupFormat(path: options.file) {
        case .csv: entries = try LookupTable.csv(text, options)
        case .yaml: entries = try LookupTable.yaml(text, options.file)
        case nil: throw LookupFault(reason: "ends in neither .csv nor .yaml")
        }
        guard entries.count <= LookupTable.rowLimit else {
            throw LookupFault(reason: "has more than \(LookupTable.rowLimit) rows")
        }
        var builder = KeyTable.Builder()
        var rows: [[Cell]] = [[]]
        for entry in entries {
            let id = builder.intern(entry.key)
            guard Int(id.value) == rows.count else {
                throw LookupFault(reason: "has the key \(entry.key) twice")
            }
            var cells: [Cell] = []
            for (column, value) in entry.cells where !value.isEmpty {
                guard let name = LookupTable.attribute(of: column, options) else { continue }
                cells.append(Cell(key: names.intern(name), text: Array(value.utf8)))
            }
            rows.append(cells)
        }
        keys = builder.build()
        self.rows = rows
    }

    /// The row of a key, nil when the table has none.
    func row(of key: Text) -> Int? {
        let id = keys.id(of: key)
        return id == .unknown ? nil : Int(id.value)
    }

    func cells(_ row: Int) -> [Cell] { rows[row] }

    /// The attribute that a column becomes; nil when only others were asked for.
    private static func attribute(of column: String, _ options: LookupOptions) -> String? {
        if options.columns.isEmpty { return column }
        return options.columns.first { $0.value == column }?.key
    }

    // MARK: Files

    private static func read(_ path: String) throws(LookupFault) -> String {
        guard let file = fopen(path, "re") else {
            throw LookupFault(
                reason: "cannot be read: \(String(cString: strerror(errno)))", fix: "check the path and whose it is")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
            guard bytes.count <= fileLimit else {
                throw LookupFault(reason: "is larger than \(fileLimit >> 20) MiB")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw LookupFault(reason: "is not UTF-8")
        }
        return text
    }

    /// RFC 4180: commas, quotes around cells that need them, two quotes for one.
    private static func csv(
        _ text: String, _ options: LookupOptions
    ) throws(LookupFault) -> [(key: String, cells: [(String, String)])] {
        var lines = try CSVText.rows(text)
        guard !lines.isEmpty else { throw LookupFault(reason: "has no header line") }
        let header = lines.removeFirst()
        let wanted = options.column.isEmpty ? header[0] : options.column
        guard let place = header.firstIndex(of: wanted) else {
            throw missing(wanted, header, option: "column")
        }
        for column in options.columns where !header.contains(column.value) {
            throw missing(column.value, header, option: "attributes.\(column.key)")
        }
        var entries: [(key: String, cells: [(String, String)])] = []
        for (number, line) in lines.enumerated() {
            guard line.count == header.count else {
                throw LookupFault(
                    reason: "row \(number + 2) has \(line.count) cells, the header \(header.count)")
            }
            let cells = zip(header, line).enumerated().filter { $0.offset != place }.map { $0.element }
            entries.append((line[place], cells))
        }
        return entries
    }

    private static func missing(_ column: String, _ header: [String], option: String) -> LookupFault {
        let nearest = Suggestion.nearest(to: column, among: header)
        return LookupFault(
            reason: "has no column \(column); it has \(header.joined(separator: ", "))", option: option,
            fix: nearest.map { "did you mean \"\($0)\"?" })
    }

    private static func yaml(
        _ text: String, _ path: String
    ) throws(LookupFault) -> [(key: String, cells: [(String, String)])] {
        var problems = ConfigProblems()
        let world = ConfigEnvironment(variable: { _ in nil }) { _ throws(ConfigReadFailure) in
            throw ConfigReadFailure(reason: "a table names no files")
        }
        let node = ConfigLoader(environment: world).load([.text(name: path, text)], problems: &problems)
        if let first = problems.all.first { throw LookupFault(reason: ConfigProblems.headline(first)) }
        guard case .map(let members) = node.plain else { throw LookupFault(reason: "is no mapping") }
        var entries: [(key: String, cells: [(String, String)])] = []
        for (key, value) in members {
            guard case .map(let cells) = value else {
                throw LookupFault(reason: "\(key) is no mapping of attributes to values")
            }
            entries.append((key, cells.map { ($0.0, plainText($0.1)) }))
        }
        return entries
    }

    private static func plainText(_ value: ConfigValue) -> String {
        switch value {
        case .string(let text): text
        case .int(let number): String(number)
        case .double(let number): String(number)
        case .bool(let flag): String(flag)
        case .null, .list, .map: ""
        }
    }
}

/// Comma-separated values.
enum CSVText {
    /// Cells by row; empty lines are left out.
    static func rows(_ text: String) throws(LookupFault) -> [[String]] {
        var rows: [[String]] = []
        var row: [String] = []
        var cell: [UInt8] = []
        var isQuoted = false
        var wasQuoted = false
        let bytes = Array(text.utf8)
        func endCell() {
            row.append(String(decoding: cell, as: UTF8.self))
            cell = []
            wasQuoted = false
        }
        func endRow() {
            if row.isEmpty, cell.isEmpty, !wasQuoted { return }
            endCell()
            rows.append(row)
            row = []
        }
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if isQuoted {
                if byte != 0x22 {
                    cell.append(byte)
                } else if index < bytes.count, bytes[index] == 0x22 {
                    cell.append(0x22)
                    index += 1
                } else {
                    isQuoted = false
                }
                continue
            }
            switch byte {
            case 0x22 where cell.isEmpty:
                isQuoted = true
                wasQuoted = true
            case 0x2C: endCell()
            case 0x0A: endRow()
            case 0x0D where index < bytes.count && bytes[index] == 0x0A: break
            default: cell.append(byte)
            }
        }
        if isQuoted { throw LookupFault(reason: "row \(rows.count + 1) has an open quote") }
        endRow()
        return rows
    }
}
