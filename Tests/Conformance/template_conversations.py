# ruff: noqa: E501
"""Conversations that chat templates are rendered with."""

ODD = "  a\u00a0b\t\"quoted\" 'single' <tag> & {{ braces }} {% if %} \\n \u200b é e\u0301 𝄞 👩‍👩‍👧 \x7f \u2028 end \r\n last  \n"

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Says what the weather is like: \"now\", or <later> & so on.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city's name, é"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": "integer", "minimum": 0, "maximum": 1.5e3},
                "tags": {"type": "array", "items": {"type": "string"}},
                "place": {
                    "type": "object",
                    "properties": {"lat": {"type": "number"}, "lon": {"type": ["number", "null"]}},
                    "required": ["lat"],
                },
                "nested": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]},
            },
            "required": ["city"],
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {
        "name": "get_time", "description": "The time.", "parameters": {"type": "object", "properties": {}},
    },
}


def said(role, content, **more):
    return {"role": role, "content": content, **more}


def called(id, name, arguments):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def conversation(messages, prompt=True, tools=None, **more):
    return {
        "messages": messages, "tools": tools, "documents": None, "add_generation_prompt": prompt,
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", **more,
    }


SYSTEM = said("system", "You are brief.")
ASK = said("user", "What is the capital of France?")
ANSWER = said("assistant", "Paris.")
AGAIN = said("user", "And of Italy?")
TOOL_TURNS = [
    said("user", "What is the weather in Rome?"),
    said("assistant", "", tool_calls=[called("call00001", "get_weather", {"city": "Rome", "days": 2, "tags": ["a", "b"]})]),
    said("tool", "{\"sky\": \"clear\"}", tool_call_id="call00001", name="get_weather"),
    said("assistant", "It is clear."),
    said("user", "Thanks. And in Oslo?"),
]

ALL = {
    "a question": conversation([ASK], datetime="2026-02-03 14:05", functions="[]"),
    "a question, no prompt": conversation([ASK], prompt=False),
    "a system": conversation([SYSTEM, ASK]),
    "several turns": conversation([SYSTEM, ASK, ANSWER, AGAIN]),
    "several turns without a system": conversation([ASK, ANSWER, AGAIN, said("assistant", "Rome."), ASK]),
    "ends with an answer": conversation([ASK, ANSWER], prompt=False),
    "odd characters": conversation([said("system", ODD), said("user", ODD), said("assistant", ODD), said("user", ODD)]),
    "empty texts": conversation([said("system", ""), said("user", "")]),
    "parts": conversation([said("user", [{"type": "text", "text": "One."}, {"type": "text", "text": " Two."}])]),
    "reasoning": conversation([
        ASK, said("assistant", "<think>\nFrance …\n</think>\n\nParis."), AGAIN,
        said("assistant", "Rome.", reasoning_content="Italy …"), ASK,
    ]),
    "thinking wanted": conversation([ASK], enable_thinking=True, reasoning_effort="high"),
    "thinking not wanted": conversation([SYSTEM, ASK, ANSWER, AGAIN], enable_thinking=False),
    "tools": conversation([SYSTEM, ASK], tools=[WEATHER, CLOCK]),
    "tools without a system": conversation([ASK], tools=[CLOCK], datetime="2026-02-03 14:05", functions="[]"),
    "tool calls": conversation([SYSTEM, *TOOL_TURNS], tools=[WEATHER, CLOCK]),
    "tool calls, no content": conversation(
        [
            ASK,
            said("assistant", None, tool_calls=[called("abcdefghi", "get_time", {}), called("jklmnopqr", "get_weather", {"city": ODD})]),
            said("tool", "12:00", tool_call_id="abcdefghi"), said("tool", "rain", tool_call_id="jklmnopqr"),
        ], tools=[WEATHER, CLOCK]),
    "tool calls as text": conversation(
        [ASK, said("assistant", "Let me see.", tool_calls=[called("abcdefghi", "get_time", "{\"zone\": \"UTC\"}")]),
         said("tool", "12:00", tool_call_id="abcdefghi", name="get_time")], tools=[CLOCK]),
    "documents": conversation([ASK], documents=[{"title": "France", "text": "Its capital is Paris."}]),
    "a developer": conversation([said("developer", "Be brief."), ASK]),
    "two users": conversation([ASK, AGAIN]),
    "an unknown role": conversation([ASK, said("narrator", "It rained.")]),
    "no messages": conversation([]),
}
