import Configuration

/// What to do about types of the Collector that are not here, where the nearest name would mislead. Underscores do not
/// count: the Collector renames `k8sattributes` to `k8s_attributes` and so on.
enum TypeAdvice {
    static func advice(_ type: String, _ kind: ComponentKind) -> String? {
        let name = type.filter { $0 != "_" }
        switch kind {
        case .receiver: return receivers[name] ?? (isOther(type) ? scraping : nil)
        case .processor: return processors[name]
        case .exporter: return exporters[name] ?? (senders.contains(name) ? sending : nil)
        case .extension: return extensions[name]
        case .connector: return connectors[name]
        }
    }

    /// The same for a component that a pipeline names and nothing defines; nil for types that are here.
    static func ofUndefined(_ type: String, _ kind: ComponentKind) -> String? {
        if Registry.types(of: kind).contains(type) { return nil }
        return advice(type, kind).map { "the type is not here: \($0)" }
    }

    /// The way past an unknown component, behind the advice on it.
    static let skipping = "or leave it out with --skip-unknown"

    /// The advice on a component that nothing uses.
    static func removing(_ advice: String) -> String {
        if advice.hasPrefix("remove it") { return advice }
        return advice == scraping ? "remove it: \(advice)" : "remove it, or \(advice)"
    }

    private static let scraping =
        "this gateway takes OTLP alone: let the Collector that reads it send here with its otlp exporter"
    private static let sending = "send to it from a Collector behind `otlp`"

    /// Whether a receiver is one that reads from somewhere or speaks another protocol: neither a misspelt name of one
    /// that is here, nor a connector, which pipelines name under receivers too.
    private static func isOther(_ type: String) -> Bool {
        Suggestion.nearest(to: type, among: Registry.types(of: .receiver)) == nil
            && !Registry.types(of: .connector).contains(type) && connectors[type.filter { $0 != "_" }] == nil
    }

    /// Exporters to systems that the Collector knows and that take no OTLP as it is.
    private static let senders: Set<String> = [
        "alertmanager", "alibabacloudlogservice", "awskinesis", "azureblob", "azuredataexplorer", "azuremonitor",
        "bmchelix", "carbon", "cassandra", "doris", "faro", "googlecloudpubsub", "googlecloudstorage",
        "googlesecops", "influxdb", "kafka", "kinetica", "logicmonitor", "mezmo", "pulsar", "rabbitmq", "sematext",
        "sentry", "stef", "sumologic", "syslog", "tencentcloudlogservice", "tinybird",
    ]

    private static let receivers: [String: String] = [
        "jaeger": "use the otlp receiver: Jaeger's clients were replaced by OpenTelemetry's, which speak OTLP",
        "zipkin": "use the otlp receiver, and OTLP in place of Zipkin's format at the senders",
        "opencensus": "use the otlp receiver",
        "nop": "name the otlp receiver, or remove the pipeline",
    ]

    private static let processors: [String: String] = [
        "ecsattributes": "use resourcedetection with env, and name the task's facts in OTEL_RESOURCE_ATTRIBUTES",
        "k8sattributes":
            "give pods their facts by the Downward API in OTEL_RESOURCE_ATTRIBUTES, or set them by resource, lookup or "
            + "a Collector with k8sattributes in front",
        "deltatocumulative": "let the SDK send cumulative values, its default",
        "deltatorate": "let the backend compute the rate",
        "metricstransform": "use transform with metric_statements, such as set(metric.name, \"new\")",
        "metricsgeneration": "use transform with metric_statements, or compute it in the backend",
        "metricstarttime": "remove it: OTLP metrics bring their start time",
        "logdedup": "use filter, or `dedupe` for spans",
        "spanmetrics": "use the connector spanmetrics, under connectors and in the pipelines",
        "servicegraph": "remove it: the backend makes the graph from the spans",
        "routing": "use the connector routing, under connectors and in the pipelines",
        "nop": "remove it",
        "remotetap": "remove it and use `sluice tap`",
        "sumologic": "use transform", "schema": "use gen_ai_normalizer for GenAI attributes",
        "geoip": "use lookup with a table", "isolationforest": "use agent_findings or evaluators",
    ]

    private static let exporters: [String: String] = [
        "jaeger": "use `otlp: {endpoint: \"HOST:4317\", tls: {insecure: true}}`: Jaeger takes OTLP",
        "zipkin": "use otlp_http with a backend that takes OTLP",
        "loki": "use otlp_http with the endpoint of Loki's OTLP API, such as http://loki:3100/otlp",
        "prometheusremotewrite":
            "use otlp_http with the endpoint of Prometheus's OTLP receiver, http://prometheus:9090/api/v1/otlp "
            + "(--web.enable-otlp-receiver starts it), or `prometheus` to be scraped",
        "datadog": "use otlp_http with `preset: datadog`, or an `otlp` to Datadog's agent",
        "datadogexporter": "use otlp_http with `preset: datadog`",
        "honeycomb": "use otlp_http with `preset: honeycomb`",
        "awsxray":
            "use otlp_http with traces_endpoint https://xray.REGION.amazonaws.com/v1/traces and sigv4auth",
        "awscloudwatchlogs":
            "use otlp_http with logs_endpoint https://logs.REGION.amazonaws.com/v1/logs and the extension sigv4auth",
        "awsemf": "use otlp_http with CloudWatch's OTLP endpoints and the extension sigv4auth",
        "googlecloud": "use otlp_http with https://telemetry.googleapis.com and auth.oauth2 or bearer",
        "googlemanagedprometheus":
            "use otlp_http with metrics_endpoint https://telemetry.googleapis.com/v1/metrics and auth.oauth2 or "
            + "bearer, or `prometheus` to be scraped",
        "dynatrace":
            "use otlp_http with https://ENVIRONMENT.live.dynatrace.com/api/v2/otlp and the header Authorization: "
            + "Api-Token TOKEN",
        "instana": "use otlp to Instana's agent, or to its OTLP endpoint with the header x-instana-key",
        "honeycombmarker": "remove it: markers are no telemetry",
        "elasticsearch": "use otlp_http with the OTLP endpoint of Elasticsearch or of its APM server",
        "opensearch": "use otlp_http with Data Prepper's OTLP source",
        "loadbalancing":
            "use otlp to one address: a gateway gathers whole traces itself, and DNS spreads connections over instances"
            + " where that is not needed",
        "splunkhec": "use otlp_http with the OTLP intake of Splunk Observability", "signalfx": "use otlp_http",
        "sapm": "use otlp_http", "logzio": "use otlp_http with Logz.io's OTLP listener",
        "newrelic": "use otlp_http with https://otlp.nr-data.net",
        "coralogix": "use otlp_http with Coralogix's endpoint",
        "clickhousetraces": "use clickhouse", "clickhouselogsexporter": "use clickhouse",
        "signozclickhousemetrics": "use clickhouse",
    ]

    private static let extensions: [String: String] = [
        "oidc": "use bearertokenauth or api_key for receivers, oauth2client for exporters",
        "googleclientauth": "use auth.bearer with token_file, written by a sidecar that renews the token",
        "opamp": "remove it: a change of the file is taken up by SIGHUP or a restart",
        "k8sobserver": "remove it: nothing here watches Kubernetes",
        "ecsobserver": "remove it", "dockerobserver": "remove it", "hostobserver": "remove it",
        "k8sleaderelector": "remove it: receivers of OTLP need no leader",
        "memorylimiter": "use the processor memory_limiter",
        "awsproxy": "remove it", "nop": "remove it",
        "ack": "remove it: 200 means stored on disk", "dbstorage": "use file_storage",
        "jaegerquery": "remove it and send to Jaeger with otlp", "jaegerstorage": "remove it and send with otlp",
        "datadog": "remove it", "asapclient": "use auth.bearer",
    ]

    private static let connectors: [String: String] = [
        "datadog": "use spanmetrics or gen_ai_metrics, whose metrics go to Datadog with otlp_http",
        "servicegraph": "remove it: the backend makes the graph from the spans",
        "failover": "use the exporter fallback, which also replays what the first one missed",
        "exceptions": "use count with spanevents, or agent_findings",
        "sum": "use count, or gen_ai_metrics for tokens and cost", "roundrobin": "use forward",
        "signaltometrics": "use count, spanmetrics or gen_ai_metrics", "grafanacloud": "use spanmetrics",
        "otlpjson": "send OTLP to the otlp receiver",
    ]
}
