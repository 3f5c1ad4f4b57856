import Telemetry

extension TableCompiler {
    /// The fast form of `do: name argument`.
    mutating func transform(_ action: String, _ to: String?, _ place: TableNode) throws(TableProblem) -> Transform {
        let words = action.split(separator: " ", maxSplits: 1).map(String.init)
        let argument = words.count > 1 ? words[1] : ""
        if let plain = plainTransforms[words[0]] { return plain }
        switch words[0] {
        case "enum": return .map(try map(argument, place), .whole)
        case "enum_prefix": return .map(try map(argument, place), .prefix)
        case "enum_suffix": return .map(try map(argument, place), .suffix)
        case "enum_first_word": return .map(try map(argument, place), .firstWord)
        case "json_enum": return .map(try map(argument, place), .json)
        case "string_array": return .strings(map: try values(of: place), splits: false, strip: .empty)
        case "collect_string_array": return .collectStrings(map: try values(of: place))
        case "event_strings": return .eventStrings(map: try values(of: place))
        case "csv_array":
            let strip = text(try place.member("strip")?.word() ?? "")
            return .strings(map: try values(of: place), splits: true, strip: strip)
        case "map_each": return .mapEach(try map(try place.member("values")?.word() ?? "", place))
        case "const": return .constant(text(argument))
        case "const_if_true": return .constantIfTrue(text(argument))
        case "scale": return .scale(Double(argument) ?? 1)
        case "rename_prefix": return .renamePrefix(text(to ?? ""))
        case "object_to_template": return .objectToTemplate(text(to ?? ""))
        case "json_path": return .jsonPath(text(argument))
        case "params_object":
            let name = try place.member("map")?.word() ?? ""
            guard let index = parameterIndex[name] else { throw place.problem("there is no parameter map `\(name)`") }
            return .parameters(index)
        case "messages":
            // A list of events holds both sides of the call.
            if argument == "otel_event_array" { return .conversation }
            return argument == "pydantic_ai_history" ? .history : .messages
        case "text_message": return .textMessage(argument == "user" ? .user : .assistant)
        case "flat_text": return .flatText(argument == "user" ? .user : .assistant)
        case "assemble_output", "append_part": return .assemble(piece(argument))
        case "event_message": return .eventMessage(role(try place.member("role")?.word() ?? "user"))
        case "event_choice":
            guard let tool = try place.member("tool_to")?.word() else { return .eventChoice(toolTarget: .none) }
            return .eventChoice(toolTarget: try target(tool, place))
        default: throw place.problem("unknown transform `\(words[0])`")
        }
    }

    /// The map that a list's words go through, -1 for none.
    private func values(of place: TableNode) throws(TableProblem) -> Int16 {
        guard let name = try place.member("values")?.word() else { return -1 }
        return Int16(try map(name, place))
    }

    private func piece(_ argument: String) -> AssembledPiece {
        switch argument {
        case "reasoning": .reasoning
        case "vercel_files": .files
        case "text": .text
        case "texts": .texts
        default: .calls
        }
    }

    private func role(_ word: String) -> Role {
        switch word {
        case "system": .system
        case "assistant": .assistant
        case "tool": .tool
        default: .user
        }
    }

    /// Transforms without an argument that matters: formats are recognized by shape.
    static func plain() -> [String: Transform] {
        [
            "copy": .copy, "string": .string, "int": .int, "double": .double, "bool": .bool, "lowercase": .lowercase,
            "drop": .drop, "drop_placeholder": .dropPlaceholder,
            "iso_time_minus_start": .isoMinusStart, "epoch_ms_minus_start": .epochMillisecondsMinusStart,
            "event_time_minus_start": .eventMinusStart, "span_name": .spanName, "rest": .rest,
            "scope_provider": .scopeProvider, "url_host": .urlHost, "first_word": .firstWord,
            "array_length": .arrayLength, "sum_int": .sumInt,
            "status_message": .statusMessage, "level_to_status": .levelToStatus, "json": .json,
            "json_string": .jsonString, "json_path_tools": .jsonTools, "json_fields": .jsonFields,
            "tool_arguments": .toolArguments, "tool_result": .toolResult, "tool_parameters": .toolParameters,
            "model_without_provider": .modelWithoutProvider, "provider_of_model": .providerOfModel,
            "last_of_stream": .lastOfStream, "io_value": .ioValue,
            "flat_messages": .flatMessages, "flat_tools": .flatTools,
            "flat_documents": .flatDocuments, "flat_arguments": .flatArguments, "documents": .documents,
            "tool_definitions": .toolDefinitions,
            "tool_schema": .toolSchema, "system": .system, "event_tool": .eventTool,
            "event_json_append": .eventAppend, "event_documents": .eventDocuments, "event_field": .eventField,
            "lift_event_attributes": .liftEvent,
        ]
    }
}
