"""Fixtures that ask the client something: in the middle of a call (handshake era), or in rounds (2026-07-28)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

AnyContext = Context[Any, Any]
Answer = str | InputRequiredResult


def form(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def ask(message: str, **properties: dict[str, Any]) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=form(**properties)))


def sample(text: str, max_tokens: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


def answered(ctx: AnyContext, name: str) -> Any:
    """The client's answer to our question `name`, or None."""
    return (ctx.input_responses or {}).get(name)


def accepted(ctx: AnyContext, name: str, field: str) -> Any:
    """A field of an accepted form, or None when the answer is missing or of another kind."""
    answer = answered(ctx, name)
    return (answer.content or {}).get(field) if isinstance(answer, ElicitResult) else None


STRING = {"type": "string"}
NAME_QUESTION = ask("What is your name?", name=STRING)


async def test_sampling(prompt: str, ctx: AnyContext) -> str:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    # On the stream of this request: the standalone one may not be open yet, and the question would be lost.
    asking = ctx.session.create_message  # pyright: ignore[reportDeprecated]
    reply = await asking([message], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {reply.content.text if isinstance(reply.content, TextContent) else ''}"


async def test_elicitation(message: str, ctx: AnyContext) -> str:
    schema = form(
        username={"type": "string", "description": "User's response"},
        email={"type": "string", "description": "User's email address"},
    )
    reply = await ctx.session.elicit_form(message, schema, ctx.request_id)
    return f"User response: action={reply.action}, content={reply.content}"


async def test_elicitation_sep1034_defaults(ctx: AnyContext) -> str:
    properties: dict[str, Any] = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await elicited(ctx, properties)


async def test_elicitation_sep1330_enums(ctx: AnyContext) -> str:
    options = ["option1", "option2", "option3"]
    titled = [
        {"const": f"value{n}", "title": f"{word} Option"} for n, word in enumerate(("First", "Second", "Third"), 1)
    ]
    properties: dict[str, Any] = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await elicited(ctx, properties)


async def elicited(ctx: AnyContext, properties: dict[str, Any]) -> str:
    schema = {"type": "object", "properties": properties}
    reply = await ctx.session.elicit_form("Please fill this in", schema, ctx.request_id)
    return f"Elicitation completed: action={reply.action}, content={reply.content}"


async def test_missing_capability() -> str:
    raise MCPError(
        code=MISSING_REQUIRED_CLIENT_CAPABILITY,
        message="This tool needs sampling",
        data={"requiredCapabilities": {"sampling": {}}},
    )


async def test_input_required_result_elicitation(ctx: AnyContext) -> Answer:
    name = accepted(ctx, "user_name", "name")
    return f"Hello, {name}!" if name else InputRequiredResult(input_requests={"user_name": NAME_QUESTION})


async def test_input_required_result_sampling(ctx: AnyContext) -> Answer:
    reply = answered(ctx, "capital_question")
    if reply is None:
        return InputRequiredResult(input_requests={"capital_question": sample("What is the capital of France?", 100)})
    return f"The client said: {reply}"


async def test_input_required_result_list_roots(ctx: AnyContext) -> Answer:
    reply = answered(ctx, "client_roots")
    if reply is None:
        return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})
    return f"The roots are: {reply}"


async def test_input_required_result_request_state(ctx: AnyContext) -> Answer:
    if answered(ctx, "confirm") is not None and ctx.request_state == "asked":
        return "state-ok"
    question = ask("Please confirm", ok={"type": "boolean"})
    return InputRequiredResult(input_requests={"confirm": question}, request_state="asked")


async def test_input_required_result_multiple_inputs(ctx: AnyContext) -> Answer:
    questions = {
        "user_name": NAME_QUESTION,
        "greeting": sample("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    }
    if all(answered(ctx, name) is not None for name in questions):
        return f"All {len(questions)} answered"
    return InputRequiredResult(input_requests=dict(questions), request_state="asked")


async def test_input_required_result_multi_round(ctx: AnyContext) -> Answer:
    if ctx.request_state == "second":
        return f"Your colour is {accepted(ctx, 'step2', 'color')}"
    if ctx.request_state == "first":
        question = ask("Step 2: What is your favorite color?", color=STRING)
        return InputRequiredResult(input_requests={"step2": question}, request_state="second")
    question = ask("Step 1: What is your name?", name=STRING)
    return InputRequiredResult(input_requests={"step1": question}, request_state="first")


async def test_input_required_result_tampered_state(ctx: AnyContext) -> Answer:
    return await test_input_required_result_request_state(ctx)


async def test_input_required_result_capabilities(ctx: AnyContext) -> Answer:
    able = ctx.client_capabilities
    if ctx.input_responses:
        return "answered"
    if able and able.elicitation:
        return InputRequiredResult(input_requests={"user_name": NAME_QUESTION})
    if able and able.sampling:
        return InputRequiredResult(input_requests={"greeting": sample("Generate a greeting", 50)})
    return "The client can answer nothing"


async def test_input_required_result_prompt(ctx: AnyContext) -> list[UserMessage] | InputRequiredResult:
    context = accepted(ctx, "user_context", "context")
    if context is None:
        question = ask("What context should the prompt use?", context=STRING)
        return InputRequiredResult(input_requests={"user_context": question})
    return [UserMessage(f"The context is {context}")]


@dataclass(frozen=True)
class Fixtures:
    tools: tuple[Callable[..., Any], ...]
    prompts: tuple[Callable[..., Any], ...]


DIALOGUE = Fixtures(
    tools=(
        test_sampling,
        test_elicitation,
        test_elicitation_sep1034_defaults,
        test_elicitation_sep1330_enums,
        test_missing_capability,
        test_input_required_result_elicitation,
        test_input_required_result_sampling,
        test_input_required_result_list_roots,
        test_input_required_result_request_state,
        test_input_required_result_multiple_inputs,
        test_input_required_result_multi_round,
        test_input_required_result_tampered_state,
        test_input_required_result_capabilities,
    ),
    prompts=(test_input_required_result_prompt,),
)
