"""Cobalt Mobile: a small telecom, as an MCP server on a SQLite file of its own."""
