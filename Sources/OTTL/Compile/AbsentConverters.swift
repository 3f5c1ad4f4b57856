extension Function {
    /// Converters of the Collector that are not here, and what does their work. The same stands in docs/collector.md.
    static func absent(_ name: String) -> String? {
        switch name {
        case "UserAgent", "ExtractGrokPatterns": "use ExtractPatterns with named groups"
        case "XXH3", "XXH128": "use FNV, Murmur3Hash or SHA256"
        case "GetXML", "InsertXML", "RemoveXML", "ConvertAttributesToElementsXML", "ConvertTextToElementsXML":
            "use ParseXML or ParseSimplifiedXML and the paths of the map"
        case "ProfileID": "profiles are not taken"
        case _ where takesLambda(name): lambdas
        default: nil
        }
    }

    /// Converters of the Collector that are given a function in the text.
    static func takesLambda(_ name: String) -> Bool {
        ["All", "Any", "Filter", "Find", "MapEach", "MapKeys", "Reduce", "When"].contains(name)
    }

    /// What to do in place of them.
    static let lambdas = "functions with lambdas are not here; write two statements with where"
}
