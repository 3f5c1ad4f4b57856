import Foundation

/// A JSON document without the members that are null, to be compared: such a member says as much as none.
func plainDocument(_ text: String?) -> NSObject? {
    func clean(_ value: Any) -> Any? {
        switch value {
        case is NSNull: return nil
        case let list as [Any]: return list.map { clean($0) ?? "null" }
        case let object as [String: Any]: return object.compactMapValues(clean)
        default: return value
        }
    }
    guard let text, let value = try? JSONSerialization.jsonObject(with: Data(text.utf8)) else { return nil }
    return clean(value) as? NSObject
}
