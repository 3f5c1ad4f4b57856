import Telemetry

extension VendorPreset {
    /// All presets, by name. One entry per product; a fact that no source tells is left at its default.
    package static let all: [VendorPreset] = llmProducts + platforms

    private static let docs = "vendor's documentation, 2026-11"
    private static let others = "documentation of third parties, 2026-11"

    /// Products made for LLM applications.
    private static let llmProducts: [VendorPreset] = [
        VendorPreset(
            "arize", "Arize AX", .full([(.traces, "https://{region}.arize.com/v1/traces")]), region: "otlp",
            signals: [.traces], authorization: .plain(header: "authorization"),
            required: [("arize-space-id", "id of the space")], dialect: "openinference", aiOnly: true,
            note: "EU: region otlp.eu-west-1a; the project is a resource attribute", source: others),
        VendorPreset(
            "braintrust", "Braintrust", .base("https://{region}.braintrust.dev/otel"), region: "api",
            signals: [.traces], authorization: .scheme("Bearer"),
            required: [("x-bt-parent", "project_id:<id>, project_name:<name> or experiment_id:<id>")],
            requestBodyMax: 10_000_000, aiOnly: true, note: "EU: region api-eu", source: docs),
        VendorPreset(
            "laminar", "Laminar", .base("https://api.lmnr.ai"), signals: [.traces],
            authorization: .scheme("Bearer"), aiOnly: true, source: others),
        VendorPreset(
            "langfuse", "Langfuse", .base("https://{region}.langfuse.com/api/public/otel"), region: "cloud",
            signals: [.traces], authorization: .basic(user: "public key", password: "secret key"),
            fixed: [("x-langfuse-ingestion-version", "4")], compressions: [.gzip, .none], dialect: "langfuse",
            aiOnly: true,
            note:
                "regions us.cloud, jp.cloud, hipaa.cloud; self-hosted: endpoint https://host/api/public/otel; one bad "
                + "span id refuses the whole batch", source: "the product's source, 2026-08"),
        VendorPreset(
            "langsmith", "LangSmith", .base("https://{region}.smith.langchain.com/otel"), region: "api",
            signals: [.traces], authorization: .plain(header: "x-api-key"), dialect: "langsmith", aiOnly: true,
            note: "EU: region eu.api; header Langsmith-Project names the project; self-hosted: endpoint "
                + "https://host/api/v1/otel", source: docs),
        VendorPreset(
            "logfire", "Pydantic Logfire", .base("https://logfire-{region}.pydantic.dev"), region: "us",
            authorization: .plain(header: "Authorization"), requestBodyMax: 100_000_000,
            note: "EU: region eu; the write token goes without a scheme", source: docs),
        VendorPreset(
            "maxim", "Maxim", .full([(.traces, "https://api.getmaxim.ai/v1/otel")]), signals: [.traces],
            authorization: .plain(header: "x-maxim-api-key"),
            required: [("x-maxim-repo-id", "id of the log repository")], requestBodyMax: 5 << 20, aiOnly: true,
            note: "the size is that of the vendor's own client; a missing header is answered 403", source: docs),
        VendorPreset(
            "phoenix", "Arize Phoenix", .full([(.traces, "http://{region}:6006/v1/traces")]), region: "127.0.0.1",
            signals: [.traces], authorization: .scheme("Bearer"), encodings: [.proto], dialect: "openinference",
            aiOnly: true,
            note: "protobuf only; region is the host; 503 while its queue is full",
            source: "the product's source, 2026-08"),
        VendorPreset(
            "traceloop", "Traceloop", .base("https://api.traceloop.com"), signals: [.traces],
            authorization: .scheme("Bearer"), aiOnly: true, source: others),
    ]

    /// Observability platforms.
    private static let platforms: [VendorPreset] = [
        VendorPreset(
            "amplitude", "Amplitude", .base("https://api.amplitude.com/otlp"), signals: [.traces],
            authorization: .scheme("Bearer"), aiOnly: true, note: "ignores spans without gen_ai names", source: docs),
        VendorPreset(
            "axiom", "Axiom", .base("https://api.axiom.co"), authorization: .scheme("Bearer"),
            required: [("x-axiom-dataset", "name of the dataset")], source: others),
        VendorPreset(
            "coralogix", "Coralogix", .base("https://ingress.{region}.coralogix.com"),
            authorization: .scheme("Bearer"), requestBodyMax: 2_000_000,
            note: "region is the domain's first part, such as eu1; more than 10 MB is refused, 2 MB advised",
            source: docs),
        VendorPreset(
            "dash0", "Dash0", nil, authorization: .scheme("Bearer"),
            note: "endpoint as shown in the product; header Dash0-Dataset names the dataset", source: others),
        VendorPreset(
            "datadog", "Datadog APM", .full([(.traces, "https://otlp.{region}/v1/traces")]),
            region: "datadoghq.com", signals: [.traces], authorization: .plain(header: "dd-api-key"),
            compression: .zstd, requestBodyMax: 4 << 20, encodings: [.proto],
            note: "region is the site", source: docs),
        VendorPreset(
            "datadog_llmobs", "Datadog LLM Observability", .full([(.traces, "https://otlp.{region}/v1/traces")]),
            region: "datadoghq.com", signals: [.traces], authorization: .plain(header: "dd-api-key"),
            fixed: [("dd-otlp-source", "llmobs")], compression: .zstd, requestBodyMax: 4 << 20,
            encodings: [.proto], aiOnly: true,
            note: "region is the site; needs names of the conventions 1.37 or later", source: docs),
        VendorPreset(
            "dynatrace", "Dynatrace", .base("https://{region}.live.dynatrace.com/api/v2/otlp"),
            authorization: .scheme("Api-Token"), requestBodyMax: 8_000_000, encodings: [.proto],
            maxAge: .seconds(3_600),
            note: "region is the environment's id; spans that ended more than 60 minutes ago are refused",
            source: docs),
        VendorPreset(
            "elastic", "Elastic managed OTLP", nil, authorization: .scheme("ApiKey"),
            note: "endpoint as shown for the project (https://….ingest.….elastic.cloud)", source: docs),
        VendorPreset(
            "elastic_apm", "Elastic APM", nil, authorization: .scheme("Bearer"),
            note: "endpoint https://<id>.apm.<region>.cloud.es.io; api_key is the secret token", source: others),
        VendorPreset(
            "grafana_cloud", "Grafana Cloud", .base("https://otlp-gateway-{region}.grafana.net/otlp"),
            authorization: .basic(user: "instance id", password: "token"), requestBodyMax: 15_728_640,
            note: "region such as prod-eu-west-2; too large a request is answered 429", source: docs),
        VendorPreset(
            "honeycomb", "Honeycomb", .base("https://{region}.honeycomb.io"), region: "api",
            authorization: .plain(header: "x-honeycomb-team"), compression: .zstd,
            note: "EU: region api.eu1; metrics need the header x-honeycomb-dataset; an event may have 1 MB",
            source: docs),
        VendorPreset(
            "newrelic", "New Relic", .base("https://{region}"), region: "otlp.nr-data.net",
            authorization: .plain(header: "api-key"), compression: .zstd, requestBodyMax: 1_000_000,
            note: "EU: region otlp.eu01.nr-data.net; attribute values are cut at 4095 characters", source: docs),
        VendorPreset(
            "observe", "Observe", .base("https://{region}.collect.observeinc.com/v2/otel"),
            authorization: .scheme("Bearer"),
            required: [("x-observe-target-package", "name of the package, such as Tracing")],
            requestBodyMax: 50_000_000, encodings: [.proto], note: "protobuf only; region is the customer's number",
            source: docs),
        VendorPreset(
            "signoz", "SigNoz Cloud", .base("https://ingest.{region}.signoz.cloud"),
            authorization: .plain(header: "signoz-ingestion-key"), note: "region such as us, eu or in",
            source: others),
        VendorPreset(
            "splunk", "Splunk Observability Cloud",
            .full([
                (.traces, "https://ingest.{region}.signalfx.com/v2/trace/otlp"),
                (.metrics, "https://ingest.{region}.signalfx.com/v2/datapoint/otlp"),
            ]), signals: [.traces, .metrics], authorization: .plain(header: "X-SF-Token"),
            note: "region is the realm, such as us0", source: docs),
    ]
}
