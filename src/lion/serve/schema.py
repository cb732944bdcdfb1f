"""The bodies of requests. A field that LION does not act on is refused by name; one that asks for nothing is taken."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LONGEST_TEXT = 20_000
"""Characters of a text; the model's own limit, in tokens, is lower and named when it is met."""

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "functions": ([],),
    "logit_bias": ({},),
    "metadata": ({},),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("none",),
    "tools": ([],),
}
"""Fields of OpenAI's that LION does not have, with the values that ask for nothing; so does null in any field."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Texts = Text | Annotated[list[Text], Field(min_length=1)]
Numbers = Annotated[list[float], Field(min_length=4, max_length=4)]
Tags = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=1000)] | Literal["empty"] | None
TAGS = "Tags for the prompt: null for the tagger's, [] for no tag prompt, 'empty' for one with an empty list."
Space = Literal["unit", "pixel"]


class _Body(BaseModel):
    """Refuses fields it does not know, and values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TextPart(_Body):
    """Words in a message."""

    type: Literal["text"]
    text: Text


class ImageUrl(_Body):
    """Where a picture is."""

    url: Annotated[str, Field(description="A data: URL; http(s) where the server allows the host.")]
    detail: Literal["auto", "low"] = "auto"
    """LION reads every picture at one resolution, so `high` would be a promise it cannot keep."""


class ImagePart(_Body):
    """A picture in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class Message(_Body):
    """A turn of the dialog. What clients send back of an assistant's message is taken as it came."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None and value != []}


class JsonSchema(_Body):
    """The JSON that is wanted."""

    name: Annotated[str, Field(max_length=200)] = "boxes"
    description: Text | None = None
    strict: bool | None = None
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class ResponseFormat(_Body):
    """Words, or boxes as JSON."""

    type: Literal["text", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema comes with the type 'json_schema', and only with it")
        return self


class StreamOptions(_Body):
    """What a stream holds besides the answer."""

    include_usage: bool = False


class LionOptions(_Body):
    """What OpenAI's fields cannot say."""

    task: Literal["auto", "caption", "ask", "chat", "locate", "describe", "tag"] = "auto"
    tags: Annotated[Tags, Field(description=TAGS)] = None
    box: Numbers | None = None
    """The region to describe, x1, y1, x2, y2."""
    space: Space = "unit"
    """Of `box`."""
    coordinates: Space | None = None
    """Of boxes in JSON; None for pixels where the schema wants integers, else the unit square."""
    decoding: Annotated[str, Field(max_length=100)] | None = None
    """A preset of the pipeline."""
    if_there: Annotated[
        bool, Field(description="Of locate: ask first whether it is there; no box where it is not.")
    ] = False


class ChatRequest(_Body):
    """The body of ``POST /v1/chat/completions``."""

    model: Annotated[str, Field(max_length=1000)] | None = None
    messages: Annotated[list[Message], Field(min_length=1, max_length=256)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=16)] = 1
    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)] | None = None
    stop: (
        Annotated[str, Field(min_length=1, max_length=200)]
        | Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=4)]
        | None
    ) = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 0
    response_format: ResponseFormat | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: Annotated[str, Field(max_length=200)] | None = None
    """Noted in the server's log."""
    lion: LionOptions = LionOptions()

    @model_validator(mode="before")
    @classmethod
    def _without_neutral_fields(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {
            name: value
            for name, value in values.items()
            if value is not None and not any(_same(value, neutral) for neutral in NEUTRAL.get(name, ()))
        }

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        if len({self.max_tokens, self.max_completion_tokens} - {None}) > 1:
            raise ValueError("max_tokens and max_completion_tokens differ; give one of them")
        return self


def _same(value: Any, neutral: Any) -> bool:
    return value == neutral and (isinstance(value, bool) == isinstance(neutral, bool))


class Body(_Body):
    """What every verb takes. Several pictures and several texts go pairwise; one of either goes with all."""

    image: Annotated[
        str | Annotated[list[str], Field(min_length=1)],
        Field(description="A data: or allowed http(s) URL, or a list of them."),
    ]


MODEL = "The model's name, or that of adapters that the server was started with."


class CaptionBody(Body):
    """Describe the picture in a sentence."""

    model: Annotated[str, Field(max_length=1000, description=MODEL)] | None = None
    tags: Annotated[Tags, Field(description=TAGS)] = None
    decoding: Annotated[str, Field(max_length=100, description="A preset, such as greedy.")] | None = None


class AskBody(CaptionBody):
    """Answer a question about the picture."""

    question: Texts


class LocateBody(CaptionBody):
    """Find what a phrase refers to."""

    phrase: Texts
    if_there: Annotated[bool, Field(description="Ask first whether it is there; no box where it is not.")] = False


class DescribeBody(CaptionBody):
    """Describe what is in a box."""

    box: Numbers | Annotated[list[Numbers], Field(min_length=1)]
    space: Space = "unit"


class TagBody(Body):
    """Name what is in the picture."""


class RankBody(Body):
    """Sort given answers to a question by their likelihood."""

    question: Texts
    candidates: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    model: Annotated[str, Field(max_length=1000, description=MODEL)] | None = None
    tags: Annotated[Tags, Field(description=TAGS)] = None


class ExplainBody(CaptionBody):
    """Answer, and tell what led to it. The question, phrase or box says which verb; without one, a caption."""

    question: Text | None = None
    phrase: Text | None = None
    box: Numbers | None = None
    space: Space = "unit"

    @model_validator(mode="after")
    def _is_of_one_verb(self) -> Self:
        if len({"question", "phrase", "box"} & {name for name, value in self if value is not None}) > 1:
            raise ValueError("question, phrase and box exclude each other; give one of them")
        return self
