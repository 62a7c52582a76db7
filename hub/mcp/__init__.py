"""The hub as an MCP server, so that an orchestrating agent uses it directly."""
