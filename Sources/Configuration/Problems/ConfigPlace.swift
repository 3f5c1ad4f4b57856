/// Where a key or value of the configuration was written.
///
/// Lines and columns count from 1; columns count Unicode scalars. Line 0 means that the place has no line, as an
/// override given with `--set` or a problem of a whole file.
package struct ConfigPlace: Sendable, Hashable {
    /// The file name as the user gave it, or `--set` for an override.
    package var file: String
    /// The line, from 1; 0 when unknown.
    package var line: Int
    /// The column in Unicode scalars, from 1; 0 when unknown.
    package var column: Int

    /// Makes a place; leave line and column out for a whole file.
    package init(file: String, line: Int = 0, column: Int = 0) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// The place of things that nobody wrote, such as defaults.
    package static let nowhere = ConfigPlace(file: "")
}

extension ConfigPlace: CustomStringConvertible {
    /// `file:line:column`, or the file alone.
    package var description: String {
        if line == 0 { return file }
        return "\(file):\(line):\(column)"
    }
}

extension ConfigPlace: Comparable {
    /// By file, line and column.
    package static func < (left: ConfigPlace, right: ConfigPlace) -> Bool {
        (left.file, left.line, left.column) < (right.file, right.line, right.column)
    }
}
