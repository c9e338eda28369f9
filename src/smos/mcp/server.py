"""The server in the words of the official SDK: lists, calls, resources and prompts, over stdio."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from smos import __version__
from smos.mcp import tools
from smos.mcp.clients import Client
from smos.mcp.prompts import DATA, PROMPTS
from smos.mcp.service import Refused, Service

Context = ServerRequestContext[Any, Any]
Who = Callable[[Context], Client]
INSTRUCTIONS = (
    "SmarterOS runs the back office of shops (tenants). Look before you act. A tool that changes something first returns a plan "
    "and a plan_token: show the plan to the person, and call again with the token only when they agree. " + DATA
)


def made(service: Service, who: Who) -> Server[Any]:
    """The server; ``who`` tells the client of a request."""

    async def list_tools(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(tool) for tool in service.allowed(who(ctx))])

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        async def tick(seconds: float) -> None:
            await ctx.session.report_progress(round(seconds, 1), None, f"{params.name} has run for {seconds:.0f} s")

        try:
            answer = await service.call(who(ctx), params.name, params.arguments, tick)
        except Refused as exc:
            return _told(f"Refused, nothing was done: {exc}", None)
        except OSError as exc:
            return _told(f"Refused, nothing further is done: the audit cannot be written ({exc.strerror})", None)
        return _told(DATA, answer)

    async def list_resources(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        pages = service.library.pages() if "read" in who(ctx).scopes else []
        found = [
            types.Resource(uri=page.uri, name=page.name, title=page.title, mime_type=page.mime_type) for page in pages
        ]
        return types.ListResourcesResult(resources=found)

    async def read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        try:
            text, kind = service.read(who(ctx), str(params.uri))
        except Refused as exc:
            raise MCPError(types.INVALID_PARAMS, str(exc)) from None
        contents = types.TextResourceContents(uri=str(params.uri), mime_type=kind, text=text)
        return types.ReadResourceResult(contents=[contents])

    async def list_prompts(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[_prompt(name) for name in PROMPTS if "read" in who(ctx).scopes])

    async def get_prompt(ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        try:
            text = service.prompt(who(ctx), params.name, params.arguments or {})
        except Refused as exc:
            raise MCPError(types.INVALID_PARAMS, str(exc)) from None
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description=PROMPTS[params.name].description, messages=[message])

    return Server(
        "smarteros",
        version=__version__,
        title="SmarterOS",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )


async def over_stdio(service: Service, client: Client) -> None:
    """Serve this client on stdin and stdout until it goes."""
    server = made(service, lambda _ctx: client)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def _tool(tool: tools.Tool) -> types.Tool:
    hints = types.ToolAnnotations(
        title=tool.title,
        read_only_hint=not tool.writes,
        destructive_hint=tool.destructive,
        idempotent_hint=not tool.writes,
        open_world_hint=tool.words is not None,
    )
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.arguments_schema(),
        output_schema=tool.answer_schema(),
        annotations=hints,
    )


def _prompt(name: str) -> types.Prompt:
    prompt = PROMPTS[name]
    arguments = [
        types.PromptArgument(name=each, description=schema["description"], required=True)
        for each, schema in prompt.arguments.items()
    ]
    return types.Prompt(name=name, title=prompt.title, description=prompt.description, arguments=arguments)


def _told(words: str, answer: dict[str, Any] | None) -> types.CallToolResult:
    """An answer for programs as it is, and for clients that read text only as JSON behind a sentence of ours."""
    texts = [words] if answer is None else [words, json.dumps(answer, ensure_ascii=False)]
    content: list[Any] = [types.TextContent(type="text", text=text) for text in texts]
    return types.CallToolResult(content=content, structured_content=answer, is_error=answer is None or not answer["ok"])
