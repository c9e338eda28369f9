"""`smos mcp`: SmarterOS for agents, over the Model Context Protocol. The SDK is imported by `server` and `http` only."""
