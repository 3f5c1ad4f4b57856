/// What a text says, before any name in it is looked up.
indirect enum Expression {
    case string([UInt8])
    case bytes([UInt8])
    case int(Int64)
    case double(Double)
    case bool(Bool)
    case none
    case path(PathExpression)
    case symbol(String, offset: Int)
    case call(CallExpression)
    case list([Expression])
    case map([(key: [UInt8], value: Expression)])
    case negated(Expression, offset: Int)
    case binary(BinaryOperator, Expression, Expression, offset: Int)
    case not(Expression, offset: Int)
}

/// `resource.attributes["key"]`: names, each with its indices.
struct PathExpression {
    struct Segment {
        var name: String
        var keys: [Expression]
        var offset: Int
    }

    var segments: [Segment]
    var offset: Int { segments.first?.offset ?? 0 }

    /// As it was written, without indices.
    var shown: String { segments.map(\.name).joined(separator: ".") }
}

/// A converter or editor with its arguments, and indices behind it.
struct CallExpression {
    struct Argument {
        var name: String?
        var value: Expression
        var offset: Int
    }

    var name: String
    var arguments: [Argument]
    var keys: [Expression]
    var offset: Int
}

enum BinaryOperator: String {
    case or, and
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"

    var isComparison: Bool {
        switch self {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: true
        default: false
        }
    }
}

/// `set(name, "x") where kind == 2`.
struct StatementExpression {
    var editor: CallExpression
    var condition: Expression?
}
