"""Chat templates: messages to the text a model was trained on.

Templates are jinja2 programs that come with the weights, so they are foreign code: they run in
jinja2's immutable sandbox, with the few helpers that transformers gives them.
"""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ._errors import ChatTemplateError

Messages = Sequence[Mapping[str, Any]]
"""A conversation: mappings with the keys `role` and `content`."""

# What an assistant asks a tool for, and what it was called before.
CALLS = ("tool_calls", "function_call")


class _GenerationBlock(jinja2.ext.Extension):
    """`{% generation %}...{% endgeneration %}` marks the assistant's words; here it prints them."""

    tags = {"generation"}  # noqa: RUF012 - the base class declares it without ClassVar

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Callable[[], str]) -> str:
        return caller()


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # jinja2's own filter escapes HTML, which a prompt is not.
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


# What templates take for the present; None for what it is.
_MOMENT: ContextVar[datetime | None] = ContextVar("moment", default=None)


def _now(pattern: str) -> str:
    return (_MOMENT.get() or datetime.now()).strftime(pattern)


@contextlib.contextmanager
def rendered_at(moment: datetime | None) -> Iterator[None]:
    """Inside it, templates that write the date or the time write that moment's.

    Args:
        moment: None for the time at which they are rendered.

    Example:
        >>> from modelops_jax.models._chat import render_chat
        >>> says = [{"role": "user", "content": "Hi"}]
        >>> options = {"add_generation_prompt": False, "special_tokens": {}}
        >>> with rendered_at(datetime(2024, 7, 26)):
        ...     render_chat("{{ strftime_now('%d %b %Y') }}", says, **options)
        '26 Jul 2024'
    """
    token = _MOMENT.set(moment)
    try:
        yield
    finally:
        _MOMENT.reset(token)


def tells_time(template: str | None) -> bool:
    """Whether a template may write the date or the time at which it is rendered."""
    return template is not None and "strftime_now" in template


@functools.lru_cache(maxsize=32)
def _compile(template: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_GenerationBlock, jinja2.ext.loopcontrols],
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _now
    try:
        return environment.from_string(template)
    except jinja2.TemplateSyntaxError as error:
        raise ChatTemplateError(
            f"the chat template is not valid jinja2, line {error.lineno}: {error.message}"
        ) from error


def check_messages(messages: Any) -> None:
    """Refuse what is not a conversation.

    Raises:
        ChatTemplateError: Not a non-empty list of {"role": str, "content": str}; the message has
            the index and what was found.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise ChatTemplateError(
            f"expected a non-empty list of messages, found {type(messages).__name__} {messages!r}"
        )
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ChatTemplateError(
                f"messages[{index}] is a {type(message).__name__}; "
                'expected {"role": str, "content": str}'
            )
        for key in ("role", "content"):
            if not isinstance(message.get(key), str):
                raise ChatTemplateError(
                    f"messages[{index}][{key!r}] is {message.get(key)!r}; expected a string"
                )


def render_chat(
    template: str,
    messages: Messages,
    *,
    add_generation_prompt: bool,
    special_tokens: Mapping[str, str],
) -> str:
    """The text of a conversation under a template.

    Args:
        template: jinja2 source.
        messages: The conversation, oldest message first.
        add_generation_prompt: End with the words that open the assistant's next turn.
        special_tokens: Names such as `eos_token` that the template may use, and their text.

    Returns:
        The text, special tokens included.

    Raises:
        ChatTemplateError: The template is invalid or refuses the messages, and the message is its
            own; or it does not write what an assistant asks a tool for, of which an empty answer
            would be left.

    Example:
        >>> render_chat(
        ...     "{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}",
        ...     [{"role": "user", "content": "Hello"}],
        ...     add_generation_prompt=False,
        ...     special_tokens={"eos_token": "</s>"},
        ... )
        '[user] Hello</s>'
    """
    check_messages(messages)
    variables = {"add_generation_prompt": add_generation_prompt, **special_tokens}
    text = _write(template, messages, variables)
    calls = [(i, key) for i, message in enumerate(messages) for key in CALLS if message.get(key)]
    if calls:
        without = [{k: v for k, v in m.items() if k not in CALLS} for m in messages]
        try:
            is_read = _write(template, without, variables) != text
        except ChatTemplateError:  # it misses them
            is_read = True
        if not is_read:
            index, key = calls[0]
            raise ChatTemplateError(
                f"messages[{index}][{key!r}]: this model's chat template does not write it; "
                "expected what the assistant says in 'content', or a template that knows tools"
            )
    return text


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """What is in a message, calls of tools in JSON too, with every text changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {map_texts(key, change): map_texts(inner, change) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [map_texts(inner, change) for inner in value]
    return value


def _write(template: str, messages: Messages, variables: Mapping[str, Any]) -> str:
    compiled = _compile(template)
    try:
        return compiled.render(messages=messages, tools=None, documents=None, **variables)
    except Exception as error:  # whatever a foreign program raises is that program's refusal
        raise ChatTemplateError(f"the chat template refused the messages: {error}") from error
