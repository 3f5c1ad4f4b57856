/// The configuration of `sluice run` without a file. `Config/default.yaml` is the same text; a test compares them.
package enum DefaultConfiguration {
    package static let text = #"""
        # What `sluice run` does without --config: receive on loopback, make every GenAI dialect one, mask secrets,
        # keep what was answered 200 in a journal on disk, mark failing steps of agents, and store it in SQLite.

        receivers:
          otlp:
            protocols:
              http:
                endpoint: 127.0.0.1:4318          # OTLP over HTTP: protobuf and JSON, any compression
              grpc:
                endpoint: 127.0.0.1:4317          # OTLP over gRPC

        processors:
          gen_ai_normalizer: {}                   # all dialects become the OpenTelemetry GenAI conventions
          redaction:
            allow_all_keys: true                  # keep all attributes; only mask what the detectors find
            detectors: [secrets, credit_card]     # in text; with the next line in numbers too
            redact_all_types: true
          agent_findings:                         # marks failing steps, their cause and the first bad one
            wait:
              idle: 1m                            # longer than a step takes; 2s once the root is there
              max_bytes: 64MiB                    # for all traces that wait; beyond it the oldest go on

        exporters:
          sqlite:
            path: sluice.db                       # in ./sluice-data; try the views sessions, llm_calls, tool_calls

        extensions:
          health_check: {}                        # http://127.0.0.1:13133/

        service:
          extensions: [health_check]
          pipelines:
            traces:
              receivers: [otlp]
              processors: [gen_ai_normalizer, redaction, agent_findings]
              exporters: [sqlite]
            logs:
              receivers: [otlp]
              processors: [gen_ai_normalizer, redaction]
              exporters: [sqlite]
            metrics:
              receivers: [otlp]
              processors: [redaction]
              exporters: [sqlite]

        """#
}
