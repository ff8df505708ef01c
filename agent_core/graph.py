"""From a team's data to the SDK's agents: a fresh graph for every run, as an immutable snapshot of the moment.

What is the same in every run is made once: an agent of twenty tools takes 40 KB of them, and most of a millisecond.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agents import (
    Agent,
    FunctionTool,
    GuardrailFunctionOutput,
    Handoff,
    InputGuardrail,
    ModelSettings,
    RunContextWrapper,
)
from agents.models import get_default_model_settings
from agents.tool_context import ToolContext

from agent_core.gateway import Gateway, Tool
from agent_core.models import Models
from agent_core.readable import Readable
from agent_core.team import Agent as AgentData
from agent_core.team import Guardrail, Team

if TYPE_CHECKING:
    from agent_core.turn import Turn

#: What every agent is copied from: the checks of `Agent(...)`, which a team's data has passed, cost a third of a millisecond.
BLANK: Agent[Any] = Agent(name="blank")
#: For answers that a voice will read.
HEARD = (
    "The customer is on a call and hears your answer. One to three short sentences, without lists, tables, links or code: "
    "what is on their screen, summarise."
)
NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
LANGUAGES = {
    "en": "English",
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "ar": "Arabic",
    "it": "Italian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "pl": "Polish",
    "tr": "Turkish",
}


class Graphs:
    """Of this process."""

    def __init__(self, gateway: Gateway, models: Models) -> None:
        self.gateway, self.models = gateway, models
        self._functions: dict[str, tuple[Tool, FunctionTool]] = {}
        self._settings: dict[tuple[str, float | None], ModelSettings] = {}

    def build(self, turn: Turn) -> Agent[Turn]:
        """The agent that has the floor. Those it can hand over to are built when it does: most turns need one agent."""
        return _Graph(turn, self).agent(turn.agent)

    def function(self, tool: Tool) -> FunctionTool:
        made = self._functions.get(tool.name)
        if made is None or made[0] is not tool:
            made = self._functions[tool.name] = (tool, _function(self.gateway, tool))
        return made[1]

    def settings(self, model: str, temperature: float | None) -> ModelSettings:
        """The SDK's own for this model: left alone, a GPT-5 thinks, and writes, at a length that no chat has time for."""
        made = self._settings.get((model, temperature))
        if made is None:
            made = get_default_model_settings(model).resolve(ModelSettings(temperature=temperature))
            self._settings[model, temperature] = made
        return made


class _Graph:
    def __init__(self, turn: Turn, graphs: Graphs) -> None:
        self._turn, self._team, self._graphs = turn, turn.team, graphs
        self._built: dict[str, Agent[Turn]] = {}

    def agent(self, name: str) -> Agent[Turn]:
        if name not in self._built:
            self._built[name] = self._build(self._team.agent(name))
        return self._built[name]

    def _build(self, data: AgentData) -> Agent[Turn]:
        agent = copy.copy(BLANK)
        agent.name = data.name
        agent.handoff_description = data.description
        graphs, model = self._graphs, self._turn.model or data.model
        told = instructions(self._team, graphs.gateway, data, self._turn.language)
        agent.instructions = f"{told}\n\n{HEARD}" if self._turn.spoken else told
        agent.model = Readable(graphs.models.model(model, self._turn.write))
        agent.model_settings = graphs.settings(graphs.models.name(model), data.temperature)
        agent.tools = [*self._tools(data), *self._client_tools()]
        agent.handoffs = [self._handoff(self._team.agent(target)) for target in data.handoffs]
        agent.input_guardrails = [_guardrail(g) for g in data.guardrails]
        return agent

    def _handoff(self, data: AgentData) -> Handoff[Turn, Agent[Turn]]:
        async def hand_over(_context: RunContextWrapper[Turn], _arguments: str) -> Agent[Turn]:
            return self.agent(data.name)

        return Handoff(
            tool_name=f"transfer_to_{data.name}",
            tool_description=data.description,
            input_json_schema=NO_ARGUMENTS,
            on_invoke_handoff=hand_over,
            agent_name=data.name,
        )

    def _tools(self, data: AgentData) -> list[FunctionTool]:
        return [self._graphs.function(tool) for tool in self._graphs.gateway.offered(self._team, data)]

    def _client_tools(self) -> list[FunctionTool]:
        return [_client_function(tool) for tool in self._turn.client_tools]


def instructions(team: Team, gateway: Gateway, data: AgentData, language: str) -> str:
    parts = [data.instructions.strip(), team.rules.strip(), _language_rule(language)]
    if missing := gateway.missing(data.tools):
        parts.append(f"Out of order at the moment, do not offer it: {', '.join(missing)}.")
    return "\n\n".join(part for part in parts if part)


def _language_rule(language: str) -> str:
    return f"Write in {LANGUAGES.get(language, language)}, whatever language tools answer in."


def _function(gateway: Gateway, tool: Tool) -> FunctionTool:
    async def invoke(context: ToolContext[Turn], arguments: str) -> str:
        return await gateway.call(context.context, tool.name, arguments, context.tool_call_id)

    async def needs_approval(context: RunContextWrapper[Turn], arguments: dict[str, Any], _call: str) -> bool:
        return await gateway.needs_approval(tool, arguments, context.context.lease.conversation)

    return FunctionTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=dict(tool.schema),
        on_invoke_tool=invoke,
        strict_json_schema=False,
        needs_approval=needs_approval if tool.rule.approval else False,
    )


def _client_function(tool: Mapping[str, Any]) -> FunctionTool:
    """A tool of the client's: the run pauses there, as for an approval, and the client's answer is its output."""

    async def invoke(_context: ToolContext[Turn], _arguments: str) -> str:
        raise AssertionError("the client runs it")

    return FunctionTool(
        name=tool["name"],
        description=tool["description"],
        params_json_schema=dict(tool["parameters"]),
        on_invoke_tool=invoke,
        strict_json_schema=False,
        needs_approval=True,
    )


def _guardrail(rule: Guardrail) -> InputGuardrail[Turn]:
    async def check(context: RunContextWrapper[Turn], _agent: Agent[Turn], _input: Any) -> GuardrailFunctionOutput:
        turn = context.context
        return GuardrailFunctionOutput(output_info=rule.said(turn.language), tripwire_triggered=rule.trips(turn.said))

    # Before the first token: a parallel one lets words and even tools out before it has decided.
    return InputGuardrail(guardrail_function=check, name=rule.name, run_in_parallel=False)


def client_tools(text: str | None) -> Sequence[Mapping[str, Any]]:
    return json.loads(text) if text else ()
