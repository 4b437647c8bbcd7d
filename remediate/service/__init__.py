"""The use cases. The only place that knows both the engine and the adapters."""
