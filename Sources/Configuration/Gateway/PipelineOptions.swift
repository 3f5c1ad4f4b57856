/// What a pipeline has beside its lists of components.
package struct PipelineOptions: ComponentOptions {
    /// When senders are answered.
    package enum Acknowledgement: String, CaseIterable, Sendable { case received, durable, delivered }

    package var acknowledgement: Acknowledgement
    /// Longest wait of a sender for the delivery.
    package var deliveryTimeout: Duration

    package init(_ settings: inout Settings) {
        for (key, sentence) in [
            ("receivers", "Receivers and connectors that it reads from."),
            ("processors", "Processors, in order."),
            ("exporters", "Exporters and connectors that it writes to."),
        ] { _ = settings.value(key, sentence) }
        acknowledgement = settings.choice(
            "ack", default: Acknowledgement.durable,
            "When senders get their 200. received: when the request is queued for the journal, so that a crash or a "
                + "broken disk in the next moment loses it; on disk, while exporters that deliver are some MB behind, "
                + "as durable. durable: when the journal is synced. delivered: when every exporter of the pipeline has "
                + "delivered it; what one of them gave up is a partial success. A connector has delivered what the "
                + "pipelines behind it have stored, and there ack has no effect.")
        deliveryTimeout = settings.duration(
            "ack_timeout", default: .seconds(10), in: .milliseconds(100) ... .seconds(600),
            "With `ack: delivered`, senders are answered 503 after this time. The request stays in the journal and is "
                + "delivered later, so one that is sent again arrives twice.")
    }
}
