import Telemetry

extension PriceTable {
    /// A few well-known list prices, so that a first run shows a cost. Prices change: operators bring their own file.
    package static var builtIn: PriceTable {
        var text = builtInText
        return text.withUTF8 { bytes in
            (try? PriceFile.read(Text(UnsafeRawBufferPointer(bytes)))) ?? PriceTable()
        }
    }

    /// In LiteLLM's shape; public list prices as known at the end of 2025.
    private static let builtInText = """
        {
        "gpt-5": {"litellm_provider": "openai", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
          "cache_read_input_token_cost": 1.25e-07},
        "gpt-5-mini": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-07, "output_cost_per_token": 2e-06,
          "cache_read_input_token_cost": 2.5e-08},
        "gpt-5-nano": {"litellm_provider": "openai", "input_cost_per_token": 5e-08, "output_cost_per_token": 4e-07,
          "cache_read_input_token_cost": 5e-09},
        "gpt-4.1": {"litellm_provider": "openai", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06,
          "cache_read_input_token_cost": 5e-07},
        "gpt-4.1-mini": {"litellm_provider": "openai", "input_cost_per_token": 4e-07, "output_cost_per_token": 1.6e-06,
          "cache_read_input_token_cost": 1e-07},
        "gpt-4.1-nano": {"litellm_provider": "openai", "input_cost_per_token": 1e-07, "output_cost_per_token": 4e-07,
          "cache_read_input_token_cost": 2.5e-08},
        "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
          "cache_read_input_token_cost": 1.25e-06},
        "gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07,
          "cache_read_input_token_cost": 7.5e-08},
        "o3": {"litellm_provider": "openai", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06,
          "cache_read_input_token_cost": 5e-07},
        "o4-mini": {"litellm_provider": "openai", "input_cost_per_token": 1.1e-06, "output_cost_per_token": 4.4e-06,
          "cache_read_input_token_cost": 2.75e-07},
        "text-embedding-3-small": {"litellm_provider": "openai", "input_cost_per_token": 2e-08},
        "text-embedding-3-large": {"litellm_provider": "openai", "input_cost_per_token": 1.3e-07},
        "claude-opus-4-1": {"litellm_provider": "anthropic", "input_cost_per_token": 1.5e-05,
          "output_cost_per_token": 7.5e-05, "cache_read_input_token_cost": 1.5e-06,
          "cache_creation_input_token_cost": 1.875e-05, "cache_creation_input_token_cost_above_1hr": 3e-05},
        "claude-sonnet-4-5": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-06,
          "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": 3e-07,
          "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
          "input_cost_per_token_above_200k_tokens": 6e-06,
          "output_cost_per_token_above_200k_tokens": 2.25e-05},
        "claude-haiku-4-5": {"litellm_provider": "anthropic", "input_cost_per_token": 1e-06,
          "output_cost_per_token": 5e-06, "cache_read_input_token_cost": 1e-07,
          "cache_creation_input_token_cost": 1.25e-06, "cache_creation_input_token_cost_above_1hr": 2e-06},
        "gemini/gemini-2.5-pro": {"litellm_provider": "gemini", "input_cost_per_token": 1.25e-06,
          "output_cost_per_token": 1e-05, "input_cost_per_token_above_200k_tokens": 2.5e-06,
          "output_cost_per_token_above_200k_tokens": 1.5e-05},
        "gemini-2.5-pro": {"litellm_provider": "google", "input_cost_per_token": 1.25e-06,
          "output_cost_per_token": 1e-05, "input_cost_per_token_above_200k_tokens": 2.5e-06,
          "output_cost_per_token_above_200k_tokens": 1.5e-05},
        "gemini-2.5-flash": {"litellm_provider": "google", "input_cost_per_token": 3e-07,
          "output_cost_per_token": 2.5e-06}
        }
        """
}
