import OTLP
import Telemetry

/// For readers of the database: where an attribute of a span is found.
package enum SpanColumnNames {
    /// All columns of `spans`, in order.
    package static var all: [String] { SQLTable.named(.spans).columns.map(\.name) }

    /// Typed columns that may hold the attribute.
    package static func columns(of key: String) -> [String] {
        let known = key == "service.name" ? ["service_name"] : []
        return known + AttributeColumn.all.filter { $0.keys.contains(key) }.map(\.name)
    }

    /// The key as it stands in front of its value in the columns `attributes` and `resource`.
    package static func jsonMember(_ key: String) -> String {
        var key = key
        var output = ByteColumn()
        key.withUTF8 { JSONText.append(Text(UnsafeRawBufferPointer($0)), to: &output) }
        output.append(UInt8(ascii: ":"))
        return output.text.string
    }
}
