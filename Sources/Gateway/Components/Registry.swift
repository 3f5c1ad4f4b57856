package import Configuration
import Connectors
import Exporters
import Processors
import Receivers
import Telemetry

/// Everything that Sluice can do, one line per component: the table of contents of the product.
package enum Registry {
    package static let receivers: [ReceiverEntry] = [
        ReceiverEntry(
            types: ["otlp"], sentence: "Receives OTLP over HTTP and gRPC, protobuf and JSON.",
            describe: { describeOptions(OTLPReceiverOptions.self) },
            read: { readOptions(OTLPReceiverOptions.self, node: $0, path: $1, problems: &$2) })
    ]

    package static let processors: [ProcessorEntry] = [
        .entry(
            ["gen_ai_normalizer", "genainormalizer"],
            "Turns GenAI attributes of any instrumentation into the semantic conventions.",
            NormalizeOptions.self
        ) { options in .step { build in try NormalizeProcessor(options: options, build: &build) } },
        .entry(
            ["gen_ai_cost"], "Adds what model calls cost, from token counts and a file of prices.", CostOptions.self
        ) { options in .step { build in try CostProcessor(options: options, build: &build) } },
        .entry(
            ["redaction"],
            "Removes attributes that are not allowed and masks secrets and personal data. Values that are nested too "
                + "deep to be looked into become `[REDACTED:TOO_DEEP]`: 32 lists or maps in each other, 8 texts in "
                + "each other.",
            RedactionOptions.self
        ) { options in .step { build in RedactionProcessor(options: options, build: &build) } },
        .entry(
            ["probabilistic_sampler"], "Keeps a share of traces, chosen by trace id.", SamplerOptions.self
        ) { options in .step { build in try SamplerProcessor(options: options, build: &build) } },
        .entry(
            ["agent_findings"], "Finds failures of agents in whole traces and writes them onto their spans.",
            FindingsProcessorOptions.self
        ) { options in .traceStep(options.wait) { build in FindingsProcessor(options: options, build: &build) } },
        .entry(
            ["evaluators"],
            "Checks spans, traces and sessions against what is wanted, and writes the results like findings.",
            EvaluatorsOptions.self
        ) { options in
            .traceStep(options.wait) { build in try EvaluatorsProcessor(options: options, build: &build) }
        },
        .entry(
            ["attributes"], "Inserts, changes and deletes attributes of records.", AttributesOptions.self
        ) { options in .step { build in try AttributesProcessor(options: options, build: &build) } },
        .entry(
            ["resource"], "Inserts, changes and deletes attributes of resources.", ResourceOptions.self
        ) { options in .step { build in ResourceProcessor(options: options, build: &build) } },
        .entry(
            ["span"], "Makes names of spans from attributes, attributes from names, and sets their status.",
            SpanOptions.self
        ) { options in .step { build in try SpanProcessor(options: options, build: &build) } },
        .entry(
            ["resourcedetection", "resource_detection"], "Adds attributes of the environment and host to resources.",
            ResourceDetectionOptions.self
        ) { options in .step { build in ResourceDetectionProcessor(options: options, build: &build) } },
        .entry(
            ["groupbytrace", "group_by_trace"], "Lets the spans of one trace go on together.", GroupByTraceOptions.self
        ) { options in .traceStep(options.wait) { _ in GroupByTraceProcessor() } },
        .entry(
            ["filter"], "Drops records for which an OTTL condition holds.", FilterOptions.self
        ) { options in .step { build in try FilterProcessor(options: options, build: &build) } },
        .entry(
            ["transform"], "Changes records by OTTL statements.", TransformOptions.self
        ) { options in .step { build in try TransformProcessor(options: options, build: &build) } },
        .entry(
            ["tail_sampling"], "Keeps or drops whole traces by policies.", TailSamplingOptions.self
        ) { options in
            .traceStep(options.wait) { build in try TailSamplingProcessor(options: options, build: &build) }
        },
        .entry(
            ["adaptive_tail_sampling"], "Keeps or drops whole traces by rates that follow the traffic.",
            AdaptiveTailSamplingOptions.self
        ) { options in
            .traceStep(options.wait) { build in try AdaptiveTailSamplingProcessor(options: options, build: &build) }
        },
        .entry(
            ["truncate"], "Cuts long values; UTF-8 and JSON stay valid, messages go oldest first.", TruncateOptions.self
        ) { options in .step { build in TruncateProcessor(options: options, build: &build) } },
        .entry(
            ["dedupe"], "Drops spans that came before, by trace and span id.", DedupeOptions.self
        ) { options in .step { build in DedupeProcessor(options: options, build: &build) } },
        .entry(
            ["groupbyattrs", "group_by_attrs"], "Moves records to a resource by attributes they share.",
            GroupByAttributesOptions.self
        ) { options in .step { build in GroupByAttributesProcessor(options: options, build: &build) } },
        .entry(
            ["cumulativetodelta", "cumulative_to_delta"],
            "Turns sums and histograms that count from a start into such that count from point to point.",
            CumulativeToDeltaOptions.self
        ) { options in .step { build in CumulativeToDeltaProcessor(options: options, build: &build) } },
        .entry(
            ["lookup"], "Tags records from a CSV or YAML table by the value of one attribute.", LookupOptions.self
        ) { options in .step { build in try LookupProcessor(options: options, build: &build) } },
        .entry(
            ["offload"], "Stores large values and media once and leaves references.", OffloadOptions.self
        ) { options in .step { build in try OffloadProcessor(options: options, build: &build) } },
        .entry(
            ["batch"], "Groups records into larger deliveries, at each exporter.", Processors.BatchOptions.self
        ) { .batch($0) },
        .entry(
            ["memory_limiter"], "Limits the memory of the process; refuses the rest with 503.",
            MemoryLimiterOptions.self
        ) { .memoryLimiter($0) },
    ]

    package static let exporters: [ExporterEntry] = [
        .entry(
            ["otlp", "otlp_grpc"], "Sends OTLP over gRPC to a backend or another collector.", OTLPGRPCOptions.self
        ) { ExporterPlan($0) },
        .entry(
            ["otlp_http", "otlphttp"], "Sends OTLP over HTTP to a backend or another collector.", OTLPHTTPOptions.self
        ) { ExporterPlan($0) },
        .entry(["file"], "Writes OTLP JSON lines or protobuf to a rotating file.", FileOptions.self) { options in
            ExporterPlan(helper: options.helper) { FileExporter(options: options, build: $0) }
                .writing(to: options.path.isFixed ? options.path.fixedPath : nil)
        },
        .entry(["sqlite"], "Stores spans, logs and metrics in a SQLite database.", SQLiteOptions.self) { options in
            ExporterPlan(helper: options.helper) { SQLiteExporter(options: options, build: $0) }
        },
        .entry(["postgres"], "Stores spans, logs and metrics in PostgreSQL.", PostgresOptions.self) { options in
            ExporterPlan(helper: options.helper) { PostgresExporter(options: options, build: $0) }
        },
        .entry(["clickhouse"], "Stores spans, logs and metrics in ClickHouse.", ClickHouseOptions.self) { options in
            ExporterPlan(helper: options.helper) { ClickHouseExporter(options: options, build: $0) }
        },
        .entry(["snowflake"], "Stores spans, logs and metrics in Snowflake.", SnowflakeOptions.self) { options in
            ExporterPlan(helper: options.helper) {
                SnowflakeExporter(options: options, build: $0, version: Version.current)
            }
        },
        .entry(["sql_file"], "Writes SQL statements or CSV to a rotating file.", SQLFileOptions.self) { options in
            ExporterPlan(helper: options.helper) { SQLFileExporter(options: options, build: $0) }
                .writing(to: options.path)
        },
        .entry(["http"], "Sends batches to a webhook or any HTTP endpoint.", HTTPOptions.self) { options in
            ExporterPlan(helper: options.helper, batchBytesMax: options.requestBodyMax) {
                HTTPExporter(options: options, build: $0, version: Version.current)
            }
        },
        .entry(
            ["awss3", "aws_s3", "s3"], "Puts batches as objects into a bucket of Amazon S3 or a compatible server.",
            S3Options.self
        ) { options in
            ExporterPlan(helper: options.helper) { S3Exporter(options: options, build: $0) }
        },
        .entry(
            ["fallback"], "Sends to the first of several exporters that works, and replays what the first one missed.",
            FallbackOptions.self
        ) { ExporterPlan(fallback: $0) },
        .entry(["dataset"], "Adds failing traces as examples to a dataset file.", DatasetOptions.self) { options in
            ExporterPlan(
                helper: options.helper, accepts: { $0 == .traces },
                make: { DatasetExporter(options: options, build: $0) })
        },
        .entry(["notify"], "Sends alerts to Slack, PagerDuty, OpsGenie or a webhook.", NotifyOptions.self) { options in
            ExporterPlan(
                helper: options.helper, accepts: { $0 == .logs },
                make: { NotifyExporter(options: options, build: $0, version: Version.current) })
        },
        .entry(["prometheus"], "Serves the last value of each metric to scrapers.", PrometheusOptions.self) { options in
            ExporterPlan(
                helper: options.helper, accepts: { $0 == .metrics },
                make: {
                    PrometheusExporter(options: options, build: $0, listener: MetricsPageListener(options.address))
                })
        },
        .entry(["debug", "logging"], "Prints agent steps as a tree in the terminal.", DebugOptions.self) { options in
            ExporterPlan(helper: options.helper) { DebugExporter(options: options, build: $0) }
        },
        .entry(["nop"], "Takes everything and keeps nothing.", NopOptions.self) { options in
            ExporterPlan(helper: options.helper) { _ in NopExporter() }
        },
    ]

    package static let connectors: [ConnectorEntry] = [
        .entry(["forward"], "Hands what one pipeline puts in to the pipelines that read from it.", ForwardOptions.self)
        {
            _ in ConnectorPlan { ForwardConnector(build: $0) }
        },
        .entry(["routing"], "Sends records to pipelines by OTTL conditions.", RoutingOptions.self) { options in
            var plan = ConnectorPlan { try RoutingConnector(options: options, build: $0) }
            plan.contextKeys = options.contextKeys
            return plan
        },
        .entry(["count"], "Counts records by OTTL conditions and attributes.", CountOptions.self) { options in
            ConnectorPlan(joins: { $1 == .metrics }) { try CountConnector(options: options, build: $0) }
        },
        .entry(
            ["spanmetrics", "span_metrics"], "Counts and times spans by service, name, kind and status.",
            SpanMetricsOptions.self
        ) { options in
            ConnectorPlan(
                gather: options.output.flushInterval, isShared: true, joins: { $0 == .traces && $1 == .metrics }
            ) {
                SpanMetricsConnector(options: options, build: $0)
            }
        },
        .entry(
            ["alerts"], "Raises alerts on windows of spans or logs, as log records for the notify exporter.",
            AlertsOptions.self
        ) { options in
            ConnectorPlan(joins: { $0 != .metrics && $1 == .logs }) {
                try AlertsConnector(options: options, build: $0)
            }
        },
        .entry(
            ["judge"], "Asks a model whether agents' runs are as they should be, and makes evaluation results of it.",
            JudgeOptions.self
        ) { options in
            ConnectorPlan(joins: { $0 == .traces && $1 == .logs }) {
                try JudgeConnector(options: options, build: $0)
            }
        },
        .entry(
            ["gen_ai_metrics"], "Computes the GenAI conventions' client metrics from spans.", GenAIMetricsOptions.self
        ) { options in
            ConnectorPlan(
                gather: options.output.flushInterval, isShared: true, joins: { $0 == .traces && $1 == .metrics }
            ) {
                GenAIMetricsConnector(options: options, build: $0)
            }
        },
    ]

    package static let extensions: [ExtensionEntry] = [
        .entry(
            ["health_check", "healthcheckv2", "health_check_v2"], "Answers 200 over HTTP while the gateway works.",
            HealthCheckOptions.self
        ) {
            .healthCheck($0)
        },
        .entry(["file_storage"], "Says where journals are kept on disk.", FileStorageOptions.self) {
            .fileStorage($0)
        },
        .entry(["pprof"], "Accepted; profiles of Go programs have no counterpart here.", ProfilerOptions.self) { _ in
            .accepted
        },
        .entry(["memory_ballast"], "Accepted; there is no garbage collector to calm.", BallastOptions.self) { _ in
            .accepted
        },
        .entry(["zpages"], "Accepted; `sluice queue` and `sluice where` tell more.", PagesOptions.self) { _ in
            .accepted
        },
        .entry(
            ["bearertokenauth", "bearer_token_auth"],
            "Lets receivers take requests with a known token only; exporters send the first.",
            BearerTokenOptions.self
        ) { .bearer($0) },
        .entry(
            ["basicauth", "basic_auth"],
            "Lets receivers take requests of known users only, or has the user that exporters send.",
            BasicAuthOptions.self
        ) { .basic($0) },
        .entry(["oauth2client", "oauth2_client"], "Fetches access tokens for exporters.", OAuth2Options.self) {
            .authenticator(server: nil, client: ClientAuth($0))
        },
        .entry(["sigv4auth", "sigv4_auth"], "Signs the requests of exporters for AWS.", SignatureExtensionOptions.self)
        {
            .authenticator(server: nil, client: ClientAuth($0))
        },
        .entry(["headers_setter"], "Sets and removes headers of exporters' requests.", HeadersSetterOptions.self) {
            .authenticator(server: nil, client: ClientAuth($0))
        },
        .entry(
            ["api_key"], "Lets receivers take requests with a known key only, each with its tenant.", APIKeyOptions.self
        ) {
            options in .authenticator(server: { try APIKeyAuth(options, log: $0) }, client: nil)
        },
    ]

    /// All components with their options, for the reference page and `sluice components`.
    package static var references: [ComponentReference] {
        var all: [ComponentReference] = []
        func add(_ kind: ComponentKind, _ types: [String], _ sentence: String, _ options: [OptionDescription]) {
            all.append(
                ComponentReference(
                    kind: kind, type: types.first ?? "", aliases: Array(types.dropFirst()), sentence: sentence,
                    options: options))
        }
        for entry in receivers { add(.receiver, entry.types, entry.sentence, entry.describe()) }
        for entry in processors { add(.processor, entry.types, entry.sentence, entry.describe()) }
        for entry in exporters { add(.exporter, entry.types, entry.sentence, entry.describe()) }
        for entry in connectors { add(.connector, entry.types, entry.sentence, entry.describe()) }
        for entry in extensions { add(.extension, entry.types, entry.sentence, entry.describe()) }
        return all
    }

    /// Type names of one kind, aliases included.
    package static func types(of kind: ComponentKind) -> [String] {
        references.filter { $0.kind == kind }.flatMap { [$0.type] + $0.aliases }
    }
}
