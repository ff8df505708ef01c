"""A model behind OpenAI's Responses or Chat Completions API, for one turn.

Words go from the socket straight to the turn's sink; the Runner sees whole items. The SDK's own models pass every
delta through the Runner and transform the whole history in every call, which is most of what a turn costs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from agents import AgentOutputSchemaBase, Handoff, ModelResponse, ModelSettings, Usage
from agents.exceptions import UserError
from agents.items import TResponseInputItem, TResponseStreamEvent
from agents.models.interface import Model, ModelTracing
from agents.retry import ModelRetryAdvice, ModelRetryAdviceRequest
from agents.tool import Tool
from openai.types.responses import Response, ResponseCompletedEvent
from openai.types.responses.response_prompt_param import ResponsePromptParam
from openai.types.responses.response_usage import ResponseUsage

from agent_core.errors import AnswerCut
from agent_core.provider import ProviderClient
from agent_core.provider_request import Question, chat_body, encode, responses_body
from agent_core.provider_stream import NONSENSE, ChatReader, Reader, ResponsesReader

__all__ = ["Api", "OpenAIModel", "ProviderClient"]

Api = Literal["responses", "chat"]
PATHS: dict[Api, str] = {"responses": "/responses", "chat": "/chat/completions"}
READERS: dict[Api, type[ResponsesReader] | type[ChatReader]] = {"responses": ResponsesReader, "chat": ChatReader}


class OpenAIModel(Model):
    """Cheap to make. `on_text` gets the words of one socket read at a time, in order."""

    def __init__(
        self,
        client: ProviderClient,
        name: str,
        *,
        api: Api,
        on_text: Callable[[str], None],
    ) -> None:
        self._client, self._name, self._api, self._on_text = client, name, api, on_text

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """Raises ModelError; UserError for what only one provider's hosted features could do."""
        _must_be_ours(previous_response_id, conversation_id, prompt, model_settings)
        question = Question(
            self._name, system_instructions, _items(input), model_settings, tools, handoffs, output_schema
        )
        reader = await self._ask(question)
        try:
            output = list[Any](reader.output(question.calls))
        except NONSENSE as error:
            raise AnswerCut(f"the answer cannot be read ({type(error).__name__})") from None
        return ModelResponse(output=output, usage=reader.usage(), response_id=reader.response_id)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """One event, response.completed: the words have gone to the sink. Raises as get_response."""
        answer = await self.get_response(
            system_instructions,
            input,
            model_settings,
            tools,
            output_schema,
            handoffs,
            tracing,
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            prompt=prompt,
        )
        response = Response.model_construct(
            id=answer.response_id or "",
            created_at=0.0,
            model=self._name,
            object="response",
            output=answer.output,
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=True,
            status="completed",
            usage=_response_usage(answer.usage),
        )
        yield ResponseCompletedEvent.model_construct(type="response.completed", sequence_number=0, response=response)

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice:
        """The client has retried what may be; a second layer would multiply the calls and repeat the words."""
        return ModelRetryAdvice(suggested=False, replay_safety="unsafe", reason="the provider's client retries")

    async def _ask(self, question: Question) -> Reader:
        settings = question.settings
        return await self._client.answer(
            PATHS[self._api],
            encode(self._body(question)),
            reader=READERS[self._api],
            on_text=self._on_text,
            headers={k: v for k, v in (settings.extra_headers or {}).items() if isinstance(v, str)},
            query={k: str(v) for k, v in (settings.extra_query or {}).items()},
        )

    def _body(self, question: Question) -> dict[str, Any]:
        if self._api == "responses":
            return responses_body(question)
        return chat_body(question, official=self._client.official)


def _response_usage(usage: Usage) -> ResponseUsage:
    return ResponseUsage(
        input_tokens=usage.input_tokens,
        input_tokens_details=usage.input_tokens_details,
        output_tokens=usage.output_tokens,
        output_tokens_details=usage.output_tokens_details,
        total_tokens=usage.total_tokens,
    )


def _items(input: str | list[TResponseInputItem]) -> list[Any]:
    return [{"role": "user", "content": input}] if isinstance(input, str) else list[Any](input)


def _must_be_ours(
    previous_response_id: str | None, conversation_id: str | None, prompt: Any, settings: ModelSettings
) -> None:
    if previous_response_id is not None or conversation_id is not None or settings.context_management:
        raise UserError("the history is kept here; a provider's stored conversation cannot be continued")
    if prompt is not None:
        raise UserError("the instructions are kept here; a provider's stored prompt cannot be used")
