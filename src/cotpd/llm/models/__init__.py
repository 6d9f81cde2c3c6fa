"""Language models: an OpenAI-compatible endpoint, a local GGUF file."""
