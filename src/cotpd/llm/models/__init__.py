"""Language models: an OpenAI-compatible endpoint, and a local GGUF file."""
