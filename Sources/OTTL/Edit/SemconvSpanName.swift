import Telemetry

extension Program {
    /// `set_semconv_span_name`: gives a span the name that the semantic conventions make of its attributes, and keeps
    /// the one before in an attribute when the statement names one.
    func setSemconvName(
        _ call: Call, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let span = batch.spans[Int(place.item)]
        let mark = state.scratch.count
        SemconvSpanName(set: span.set).append(kind: span.kind, batch, to: &state.scratch)
        let name = try state.take(from: mark)
        let old = try pinned(batch.text(span.name), batch, &state)
        if name.isEmpty || name == old { return }
        batch.setName(batch.reference(to: name), ofSpan: Int(place.item))
        guard call.isGiven(1) else { return }
        let key = try pinned(try call.text(1, batch, place, &state), batch, &state)
        let value = try stored(.string(old), &batch, &state)
        if let found = batch.find(name: key, in: span.set) {
            batch.setValue(value, at: found, in: span.set)
        } else {
            batch.append(key: batch.reference(to: key), value, to: span.set)
        }
    }
}

/// Names of spans by the semantic conventions for HTTP, RPC, databases and messaging (v1.37 to v1.43), read from
/// current and older attributes. What none of them covers, GenAI among it, keeps its name.
private struct SemconvSpanName {
    let set: SetIndex

    /// Appends nothing where no convention names the span.
    func append(kind: Int32, _ batch: borrowing RecordBatch, to output: inout ByteColumn) {
        switch kind {
        case 2:
            if http("http.route", batch, &output) { return }
            if rpc(batch, &output) { return }
            messaging(batch, &output)
        case 3:
            if http("url.template", batch, &output) { return }
            if rpc(batch, &output) { return }
            if database(batch, &output) { return }
            messaging(batch, &output)
        case 4, 5: messaging(batch, &output)
        default: break
        }
    }

    /// Method and route.
    private func http(_ subject: StaticString, _ batch: borrowing RecordBatch, _ output: inout ByteColumn) -> Bool {
        guard let method = value("http.request.method", "http.method", batch) else { return false }
        ValueText.append(method, batch, to: &output)
        if let subject = value(subject, nil, batch) {
            output.append(" ")
            ValueText.append(subject, batch, to: &output)
        }
        return true
    }

    /// Service and method.
    private func rpc(_ batch: borrowing RecordBatch, _ output: inout ByteColumn) -> Bool {
        guard let system = value("rpc.system.name", "rpc.system", batch) else { return false }
        let method = value("rpc.method", "rpc.grpc.method", batch)
        let service = value("rpc.service", "rpc.grpc.service", batch)
        if method == nil, service == nil { ValueText.append(system, batch, to: &output) }
        if let service {
            ValueText.append(service, batch, to: &output)
            output.append(method == nil ? "/*" : "/")
        }
        if let method { ValueText.append(method, batch, to: &output) }
        return true
    }

    /// The summary of the query, or operation and target.
    private func database(_ batch: borrowing RecordBatch, _ output: inout ByteColumn) -> Bool {
        guard let system = value("db.system.name", "db.system", batch) else { return false }
        if let summary = value("db.query.summary", nil, batch) {
            ValueText.append(summary, batch, to: &output)
            return true
        }
        let start = output.count
        if let operation = value("db.operation.name", "db.operation", batch) {
            ValueText.append(operation, batch, to: &output)
        }
        let hasOperation = output.count > start
        if hasOperation { output.append(" ") }
        let end = output.count
        databaseTarget(batch, &output)
        if output.count == end {
            if hasOperation { output.truncate(to: end - 1) } else { ValueText.append(system, batch, to: &output) }
        }
        return true
    }

    private func databaseTarget(_ batch: borrowing RecordBatch, _ output: inout ByteColumn) {
        let namespace = value("db.namespace", "db.name", batch)
        var part = value("db.collection.name", nil, batch)
        if part == nil { part = value("db.stored_procedure.name", nil, batch) }
        if let namespace {
            let start = output.count
            ValueText.append(namespace, batch, to: &output)
            if part != nil, output.count > start { output.append(".") }
        }
        if let part {
            ValueText.append(part, batch, to: &output)
        } else if namespace == nil {
            server(batch, &output)
        }
    }

    /// Operation and destination.
    private func messaging(_ batch: borrowing RecordBatch, _ output: inout ByteColumn) {
        guard let system = value("messaging.system", nil, batch) else { return }
        let operation = value("messaging.operation.name", "messaging.operation", batch)
        if let operation {
            ValueText.append(operation, batch, to: &output)
            output.append(" ")
        }
        let end = output.count
        destination(batch, &output)
        if output.count > end { return }
        if operation != nil { output.truncate(to: end - 1) } else { ValueText.append(system, batch, to: &output) }
    }

    private func destination(_ batch: borrowing RecordBatch, _ output: inout ByteColumn) {
        if isTrue("messaging.destination.temporary", batch) { return output.append("(temporary)") }
        if isTrue("messaging.destination.anonymous", batch) { return output.append("(anonymous)") }
        var name = value("messaging.destination.template", nil, batch)
        if name == nil { name = value("messaging.destination.name", "messaging.destination", batch) }
        guard let name else { return server(batch, &output) }
        ValueText.append(name, batch, to: &output)
    }

    private func server(_ batch: borrowing RecordBatch, _ output: inout ByteColumn) {
        guard let address = value("server.address", nil, batch) else { return }
        ValueText.append(address, batch, to: &output)
        guard let port = value("server.port", nil, batch) else { return }
        output.append(":")
        ValueText.append(port, batch, to: &output)
    }

    // MARK: Attributes

    private func isTrue(_ name: StaticString, _ batch: borrowing RecordBatch) -> Bool {
        if case .bool(true)? = value(name, nil, batch) { true } else { false }
    }

    /// The value under a name, or under its older one.
    private func value(_ name: StaticString, _ older: StaticString?, _ batch: borrowing RecordBatch) -> Value? {
        var found = batch.find(name: Text(name), in: set)
        if found == nil, let older { found = batch.find(name: Text(older), in: set) }
        guard let found else { return nil }
        return Value(batch.attributes[found].kind, batch.attributes[found].payload, batch)
    }
}
