#include "CGenAITables.h"

// #embed is C23; clang takes it in older modes as an extension.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char agent_framework[] = {
#embed "tables/agent_framework.yaml"
};
static const unsigned char agentops[] = {
#embed "tables/agentops.yaml"
};
static const unsigned char autogen[] = {
#embed "tables/autogen.yaml"
};
static const unsigned char azure_ai[] = {
#embed "tables/azure_ai.yaml"
};
static const unsigned char braintrust[] = {
#embed "tables/braintrust.yaml"
};
static const unsigned char claude_code[] = {
#embed "tables/claude_code.yaml"
};
static const unsigned char codex[] = {
#embed "tables/codex.yaml"
};
static const unsigned char copilot[] = {
#embed "tables/copilot.yaml"
};
static const unsigned char deepeval[] = {
#embed "tables/deepeval.yaml"
};
static const unsigned char crewai[] = {
#embed "tables/crewai.yaml"
};
static const unsigned char flue[] = {
#embed "tables/flue.yaml"
};
static const unsigned char gemini_cli[] = {
#embed "tables/gemini_cli.yaml"
};
static const unsigned char gen_ai_span_kind[] = {
#embed "tables/gen_ai_span_kind.yaml"
};
static const unsigned char generic[] = {
#embed "tables/generic.yaml"
};
static const unsigned char genkit[] = {
#embed "tables/genkit.yaml"
};
static const unsigned char google_adk[] = {
#embed "tables/google_adk.yaml"
};
static const unsigned char haystack[] = {
#embed "tables/haystack.yaml"
};
static const unsigned char honeyhive[] = {
#embed "tables/honeyhive.yaml"
};
static const unsigned char laminar[] = {
#embed "tables/laminar.yaml"
};
static const unsigned char langchain4j[] = {
#embed "tables/langchain4j.yaml"
};
static const unsigned char langchain_azure[] = {
#embed "tables/langchain_azure.yaml"
};
static const unsigned char langfuse[] = {
#embed "tables/langfuse.yaml"
};
static const unsigned char langsmith[] = {
#embed "tables/langsmith.yaml"
};
static const unsigned char langtrace[] = {
#embed "tables/langtrace.yaml"
};
static const unsigned char langwatch[] = {
#embed "tables/langwatch.yaml"
};
static const unsigned char litellm[] = {
#embed "tables/litellm.yaml"
};
static const unsigned char livekit[] = {
#embed "tables/livekit.yaml"
};
static const unsigned char logfire[] = {
#embed "tables/logfire.yaml"
};
static const unsigned char mastra[] = {
#embed "tables/mastra.yaml"
};
static const unsigned char mcp_variants[] = {
#embed "tables/mcp_variants.yaml"
};
static const unsigned char mlflow[] = {
#embed "tables/mlflow.yaml"
};
static const unsigned char openai_agents[] = {
#embed "tables/openai_agents.yaml"
};
static const unsigned char openinference[] = {
#embed "tables/openinference.yaml"
};
static const unsigned char openlit[] = {
#embed "tables/openlit.yaml"
};
static const unsigned char openllmetry[] = {
#embed "tables/openllmetry.yaml"
};
static const unsigned char openllmetry_legacy[] = {
#embed "tables/openllmetry_legacy.yaml"
};
static const unsigned char otel_genai_events[] = {
#embed "tables/otel_genai_events.yaml"
};
static const unsigned char parameters[] = {
#embed "tables/parameters.yaml"
};
static const unsigned char pipecat[] = {
#embed "tables/pipecat.yaml"
};
static const unsigned char pydantic_ai[] = {
#embed "tables/pydantic_ai.yaml"
};
static const unsigned char renames[] = {
#embed "tables/renames.yaml"
};
static const unsigned char semantic_kernel[] = {
#embed "tables/semantic_kernel.yaml"
};
static const unsigned char sentry[] = {
#embed "tables/sentry.yaml"
};
static const unsigned char spring_ai[] = {
#embed "tables/spring_ai.yaml"
};
static const unsigned char strands[] = {
#embed "tables/strands.yaml"
};
static const unsigned char targets[] = {
#embed "tables/targets.yaml"
};
static const unsigned char traceloop_entities[] = {
#embed "tables/traceloop_entities.yaml"
};
static const unsigned char trulens[] = {
#embed "tables/trulens.yaml"
};
static const unsigned char value_maps[] = {
#embed "tables/value-maps.yaml"
};
static const unsigned char vercel_ai[] = {
#embed "tables/vercel_ai.yaml"
};
static const unsigned char vercel_ai_legacy[] = {
#embed "tables/vercel_ai_legacy.yaml"
};
static const unsigned char voltagent[] = {
#embed "tables/voltagent.yaml"
};
static const unsigned char weave[] = {
#embed "tables/weave.yaml"
};

#define TABLE(file, bytes) {file, bytes, sizeof bytes}

static const struct sluice_genai_table tables[] = {
    TABLE("agent_framework", agent_framework),
    TABLE("agentops", agentops),
    TABLE("autogen", autogen),
    TABLE("azure_ai", azure_ai),
    TABLE("braintrust", braintrust),
    TABLE("claude_code", claude_code),
    TABLE("codex", codex),
    TABLE("copilot", copilot),
    TABLE("deepeval", deepeval),
    TABLE("crewai", crewai),
    TABLE("flue", flue),
    TABLE("gemini_cli", gemini_cli),
    TABLE("gen_ai_span_kind", gen_ai_span_kind),
    TABLE("generic", generic),
    TABLE("genkit", genkit),
    TABLE("google_adk", google_adk),
    TABLE("haystack", haystack),
    TABLE("honeyhive", honeyhive),
    TABLE("laminar", laminar),
    TABLE("langchain4j", langchain4j),
    TABLE("langchain_azure", langchain_azure),
    TABLE("langfuse", langfuse),
    TABLE("langsmith", langsmith),
    TABLE("langtrace", langtrace),
    TABLE("langwatch", langwatch),
    TABLE("litellm", litellm),
    TABLE("livekit", livekit),
    TABLE("logfire", logfire),
    TABLE("mastra", mastra),
    TABLE("mcp_variants", mcp_variants),
    TABLE("mlflow", mlflow),
    TABLE("openai_agents", openai_agents),
    TABLE("openinference", openinference),
    TABLE("openlit", openlit),
    TABLE("openllmetry", openllmetry),
    TABLE("openllmetry_legacy", openllmetry_legacy),
    TABLE("otel_genai_events", otel_genai_events),
    TABLE("parameters", parameters),
    TABLE("pipecat", pipecat),
    TABLE("pydantic_ai", pydantic_ai),
    TABLE("renames", renames),
    TABLE("semantic_kernel", semantic_kernel),
    TABLE("sentry", sentry),
    TABLE("spring_ai", spring_ai),
    TABLE("strands", strands),
    TABLE("targets", targets),
    TABLE("traceloop_entities", traceloop_entities),
    TABLE("trulens", trulens),
    TABLE("value-maps", value_maps),
    TABLE("vercel_ai", vercel_ai),
    TABLE("vercel_ai_legacy", vercel_ai_legacy),
    TABLE("voltagent", voltagent),
    TABLE("weave", weave),
};

size_t sluice_genai_table_count(void) { return sizeof tables / sizeof tables[0]; }

struct sluice_genai_table sluice_genai_table_at(size_t index) {
    if (index >= sluice_genai_table_count()) return (struct sluice_genai_table){0, 0, 0};
    return tables[index];
}
