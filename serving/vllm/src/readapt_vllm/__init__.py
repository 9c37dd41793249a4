"""Lets vLLM serve the adapter versions that Readapt publishes."""
