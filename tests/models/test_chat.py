"""Chat templates: rendered as transformers renders them, and kept in their sandbox."""

from datetime import datetime
from typing import Any

import pytest

from modelops_jax.models import ChatTemplateError
from modelops_jax.models._chat import render_chat
from modelops_jax.models._presets import byte_tokenizer

USER = [{"role": "user", "content": "Hi <b>&"}]


def _render(template: str, messages: Any = USER, **special_tokens: str) -> str:
    return render_chat(
        template, messages, add_generation_prompt=True, special_tokens=special_tokens
    )


def test_chatml():
    """The preset's template is ChatML, with and without the opening of the next turn."""
    tokenizer = byte_tokenizer()
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
    ]
    text = (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHello<|im_end|>\n"
        "<|im_start|>assistant\nHi!<|im_end|>\n"
    )
    assert tokenizer.render_chat(messages, add_generation_prompt=False) == text
    opened = tokenizer.render_chat(messages[:2], add_generation_prompt=True)
    # What is generated goes on exactly where the whole conversation goes on.
    assert text.startswith(opened)


def test_blocks_leave_no_white_space():
    """trim_blocks and lstrip_blocks, as templates are written for."""
    assert _render(
        "{% if true %}\n    {% for m in messages %}\nx\n{% endfor %}\n{% endif %}\n"
    ) == ("x\n")


def test_helpers_of_templates():
    """tojson without HTML escapes, strftime_now, special tokens, loop controls, generation."""
    assert _render("{{ messages[0].content | tojson }}") == '"Hi <b>&"'
    assert _render("{{ [1] | tojson(indent=1) }}") == "[\n 1\n]"
    assert _render("{{ strftime_now('%Y') }}") == str(datetime.now().year)
    assert _render("{{ bos_token }}{{ missing_token }}!", bos_token="<s>") == "<s>!"
    assert _render(
        "{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    ) == ("01")
    assert _render("{% generation %}{{ messages[0].role }}{% endgeneration %}.") == "user."
    assert _render("{{ tools is none and add_generation_prompt }}") == "True"


def test_the_template_speaks_in_the_error():
    """raise_exception's words, and a syntax error's line, reach the user."""
    with pytest.raises(ChatTemplateError, match="roles must alternate"):
        _render("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ChatTemplateError, match="line 2"):
        _render("a\n{% if %}")
    with pytest.raises(ChatTemplateError, match="refused the messages"):
        _render("{{ messages[0]['content'] + none }}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
    ],
)
def test_templates_are_sandboxed(template: str):
    """Foreign code reaches no Python internals and changes nothing."""
    with pytest.raises(ChatTemplateError):
        _render(template)
    assert USER == [{"role": "user", "content": "Hi <b>&"}]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "non-empty list of messages"),
        (["Hi"], r"messages\[0\] is a str"),
        ([*USER, {"role": "user"}], r"messages\[1\]\['content'\] is None"),
        ([{"role": 1, "content": "a"}], r"messages\[0\]\['role'\] is 1"),
    ],
)
def test_what_is_no_conversation_is_refused(messages: Any, message: str):
    """The message has the index and the key."""
    # Unwrapped, because beartype would refuse some of these first.
    from modelops_jax.models._chat import check_messages

    with pytest.raises(ChatTemplateError, match=message):
        check_messages(messages)
