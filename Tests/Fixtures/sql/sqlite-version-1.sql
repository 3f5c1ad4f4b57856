-- Schema version 1, as the first build made it: databases like this one are brought up to date.
CREATE TABLE IF NOT EXISTS sluice_schema (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL);
CREATE TABLE sluice_hash_key (key0 INTEGER NOT NULL, key1 INTEGER NOT NULL);
INSERT INTO sluice_hash_key VALUES (random(), random());

CREATE TABLE spans (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    parent_span_id TEXT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    end_time INTEGER NOT NULL,
    duration_ms REAL,
    status_code TEXT NOT NULL,
    status_message TEXT,
    service_name TEXT,
    scope_name TEXT,
    tenant TEXT,
    operation TEXT,
    provider TEXT,
    request_model TEXT,
    response_model TEXT,
    response_id TEXT,
    agent_id TEXT,
    agent_name TEXT,
    workflow_name TEXT,
    tool_name TEXT,
    tool_type TEXT,
    tool_call_id TEXT,
    tool_arguments TEXT,
    tool_result TEXT,
    conversation_id TEXT,
    user_id TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost_usd REAL,
    finish_reasons TEXT,
    error_type TEXT,
    system_instructions TEXT,
    input_messages TEXT,
    output_messages TEXT,
    tool_definitions TEXT,
    data_source_id TEXT,
    retrieval_query TEXT,
    retrieval_documents TEXT,
    attributes TEXT NOT NULL,
    resource TEXT NOT NULL,
    scope TEXT NOT NULL,
    trace_state TEXT,
    flags INTEGER NOT NULL,
    PRIMARY KEY (trace_id, span_id)
);
CREATE INDEX spans_by_time ON spans (start_time);
CREATE INDEX spans_by_conversation ON spans (conversation_id, start_time) WHERE conversation_id IS NOT NULL;
CREATE INDEX spans_failed ON spans (start_time) WHERE status_code = 'error' OR error_type IS NOT NULL;

CREATE TABLE span_events (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    time INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id, position)
);
CREATE TABLE span_links (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    linked_trace_id TEXT NOT NULL,
    linked_span_id TEXT NOT NULL,
    trace_state TEXT,
    attributes TEXT NOT NULL,
    PRIMARY KEY (trace_id, span_id, position)
);

CREATE TABLE logs (
    block BLOB NOT NULL,
    position INTEGER NOT NULL,
    time INTEGER NOT NULL,
    observed_time INTEGER NOT NULL,
    severity_number INTEGER NOT NULL,
    severity_text TEXT,
    event_name TEXT,
    trace_id TEXT,
    span_id TEXT,
    body TEXT,
    service_name TEXT,
    scope_name TEXT,
    tenant TEXT,
    attributes TEXT NOT NULL,
    resource TEXT NOT NULL,
    scope TEXT NOT NULL,
    flags INTEGER NOT NULL,
    PRIMARY KEY (block, position)
);
CREATE INDEX logs_by_time ON logs (time);
CREATE INDEX logs_by_trace ON logs (trace_id, span_id) WHERE trace_id IS NOT NULL;

CREATE TABLE metric_points (
    block BLOB NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    unit TEXT,
    temporality TEXT,
    start_time INTEGER,
    time INTEGER NOT NULL,
    value NUMERIC,
    count INTEGER,
    sum REAL,
    min REAL,
    max REAL,
    service_name TEXT,
    scope_name TEXT,
    tenant TEXT,
    attributes TEXT NOT NULL,
    resource TEXT NOT NULL,
    scope TEXT NOT NULL,
    point TEXT NOT NULL,
    PRIMARY KEY (block, position)
);
CREATE INDEX metric_points_by_name ON metric_points (name, time);
CREATE VIEW traces AS SELECT
    trace_id,
    min(start_time) AS start_time,
    max(end_time) AS end_time,
    (max(end_time) - min(start_time)) / 1e6 AS duration_ms,
    count(*) AS spans,
    sum(status_code = 'error' OR error_type IS NOT NULL) AS failed_spans,
    max(CASE WHEN parent_span_id IS NULL THEN name END) AS root_name,
    max(service_name) AS service_name,
    max(conversation_id) AS conversation_id,
    count(DISTINCT agent_name) AS agents,
    sum(operation = 'execute_tool') AS tool_calls,
    sum(operation IN ('chat', 'text_completion', 'generate_content')) AS llm_calls,
    sum(CASE WHEN operation IN ('chat', 'text_completion', 'generate_content') THEN input_tokens END)
        AS input_tokens,
    sum(CASE WHEN operation IN ('chat', 'text_completion', 'generate_content') THEN output_tokens END)
        AS output_tokens,
    sum(CASE WHEN operation IN ('chat', 'text_completion', 'generate_content') THEN cost_usd END) AS cost_usd
FROM spans GROUP BY trace_id;

CREATE VIEW sessions AS SELECT
    conversation_id,
    min(start_time) AS start_time,
    max(end_time) AS end_time,
    count(DISTINCT trace_id) AS traces,
    count(*) AS spans,
    sum(status_code = 'error' OR error_type IS NOT NULL) AS failed_spans,
    max(user_id) AS user_id,
    sum(operation = 'execute_tool') AS tool_calls,
    sum(operation IN ('chat', 'text_completion', 'generate_content')) AS llm_calls,
    sum(CASE WHEN operation IN ('chat', 'text_completion', 'generate_content') THEN input_tokens END)
        AS input_tokens,
    sum(CASE WHEN operation IN ('chat', 'text_completion', 'generate_content') THEN output_tokens END)
        AS output_tokens,
    sum(CASE WHEN operation IN ('chat', 'text_completion', 'generate_content') THEN cost_usd END) AS cost_usd
FROM spans WHERE conversation_id IS NOT NULL GROUP BY conversation_id;

CREATE VIEW tool_calls AS SELECT
    trace_id, span_id, parent_span_id, start_time, duration_ms, tool_name, tool_type, tool_call_id,
    tool_arguments, tool_result, agent_name, conversation_id, status_code, status_message, error_type
FROM spans WHERE operation = 'execute_tool';

CREATE VIEW failed_tool_calls AS
SELECT * FROM tool_calls WHERE status_code = 'error' OR error_type IS NOT NULL;

CREATE VIEW llm_calls AS SELECT
    trace_id, span_id, parent_span_id, start_time, duration_ms, operation, provider, request_model,
    response_model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    cost_usd, finish_reasons, system_instructions, input_messages, output_messages, agent_name, conversation_id,
    status_code, status_message, error_type
FROM spans WHERE operation IN ('chat', 'text_completion', 'generate_content');

INSERT INTO sluice_schema VALUES (1, datetime('now'));
