"""What agents may call of Headway while they work: an MCP server for each attempt, and what stands behind its tools."""
