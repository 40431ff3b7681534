"""Text to token ids and back, over the `tokenizers` package.

A tokenizer is kept as Hugging Face keeps it: `tokenizer.json` (the algorithm and the vocabulary),
`tokenizer_config.json` (which tokens begin, end and pad, and the chat template) and
`generation_config.json` (which tokens end a turn). Older folders name tokens in
`special_tokens_map.json`.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from ._chat import Messages, check_messages, map_texts, render_chat
from ._continuation import continuing
from ._errors import ChatTemplateError, CheckpointError
from ._json_file import write_json
from ._text_piece import TextPiece, check_text
from ._tokenizer_files import (
    chat_template_of,
    end_ids,
    generation_settings,
    named_token,
    other_tokens,
    read_backend,
    read_config,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenizer:
    """A vocabulary, its special tokens and its chat template.

    Args:
        backend: The `tokenizers` object that does the work.
        bos_id: Token that begins a text, if the model has one.
        eos_id: Token that ends a text or a turn.
        pad_id: Token that fills rows. Often the same as `eos_id`, so mask by position.
        stop_ids: Tokens that end a generated answer, `eos_id` among them.
        chat_template: jinja2 source, if the model is one to chat with.
        other_tokens: Texts of the other tokens that the template may name: `unk_token`,
            `sep_token`, `cls_token`, `mask_token`, and `pad_token` if the model's files name one.
        generation: What `generation_config.json` says beside the ids above, such as a temperature.
            `save` writes it again, for transformers; `Model.generate` is told by its caller.

    Example:
        >>> from modelops_jax.models import load
        >>> tokenizer = load("tiny").tokenizer
        >>> tokenizer.encode("Hi!")
        [72, 105, 33]
        >>> tokenizer.decode([72, 105, 33, tokenizer.eos_id])
        'Hi!'
    """

    backend: tokenizers.Tokenizer = dataclasses.field(repr=False)
    bos_id: int | None
    eos_id: int
    pad_id: int
    stop_ids: tuple[int, ...]
    chat_template: str | None = dataclasses.field(repr=False)
    other_tokens: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    generation: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @functools.cached_property
    def vocab_size(self) -> int:
        """One more than the largest token id."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides which tokens a row of text becomes, the template included."""
        ids = (self.bos_id, self.eos_id, self.pad_id, self.stop_ids)
        whole: list[Any] = [self.backend.to_str(), ids, self.chat_template]
        template = self.chat_template or ""
        # Of tokens that the template never names nothing depends.
        if used := {key: text for key, text in self.other_tokens.items() if key in template}:
            whole.append(used)
        return hashlib.sha256(json.dumps(whole).encode("utf-8", "surrogatepass")).hexdigest()

    def encode(
        self,
        text: str,
        *,
        add_special_tokens: bool = False,
        plain: bool = False,
        after: str = "",
    ) -> list[int]:
        """Token ids of a text.

        Args:
            text: Any Unicode text.
            add_special_tokens: Also add what this model puts around a text, such as a first token.
            plain: Special tokens written out in the text are ordinary characters; otherwise they
                count as such.
            after: The text that comes before, tokenized already. Models that put a space before
                a text's first word do not do so in its middle.

        Raises:
            TypeError: `text` is not a string.
            ValueError: `text` has a lone surrogate, which no encoding can carry.
        """
        piece = TextPiece(text, after, plain=plain, add_special_tokens=add_special_tokens)
        return self.encode_pieces([piece])[0]

    def encode_pieces(self, pieces: Sequence[TextPiece]) -> list[list[int]]:
        """Token ids of many texts, as `encode` gives them; all cores take part.

        Args:
            pieces: The texts, each with what `encode` is told of it.

        Raises:
            TypeError: A text is not a string.
            ValueError: A text has a lone surrogate, which no encoding can carry.
        """
        alike: dict[tuple[bool, bool, bool], list[int]] = {}
        for index, piece in enumerate(pieces):
            check_text(piece.text)
            key = (piece.plain, self._begins(piece.after), piece.add_special_tokens)
            alike.setdefault(key, []).append(index)
        ids: list[list[int]] = [[] for _ in pieces]
        for (plain, begins, special), indices in alike.items():
            if plain:
                backend = self._plain_backend if begins else self._plain_continuing
            else:
                backend = self.backend if begins else self._continuing
            texts = [pieces[index].text for index in indices]
            found = backend.encode_batch_fast(texts, add_special_tokens=special)
            for index, encoding in zip(indices, found, strict=True):
                ids[index] = encoding.ids
        return ids

    def encode_chat(self, messages: Messages, *, add_generation_prompt: bool) -> list[int]:
        """Token ids of a conversation under this model's chat template.

        Special tokens are those of the template alone: what a message says is ordinary text, so
        that nobody ends a turn, or opens another one, by writing so.

        Args:
            messages: Mappings with the keys `role` and `content`, oldest first.
            add_generation_prompt: End with the words that open the assistant's next turn.

        Raises:
            ChatTemplateError: The model has no template, or it refuses the messages.

        Example:
            >>> from modelops_jax.models import load
            >>> tokenizer = load("tiny").tokenizer
            >>> says = [{"role": "user", "content": "<|im_end|>"}]
            >>> ids = tokenizer.encode_chat(says, add_generation_prompt=False)
            >>> ids.count(tokenizer.eos_id)
            1
        """
        text = self.render_protected(messages, add_generation_prompt=add_generation_prompt)
        return self.encode_protected(text)

    def render_protected(self, messages: Messages, *, add_generation_prompt: bool) -> str:
        """The text of a conversation in which what a message says stays text."""
        check_messages(messages)
        protected = self.protect_messages(messages)
        return self.render_chat(protected, add_generation_prompt=add_generation_prompt)

    def protect_messages(self, messages: Messages) -> list[dict[str, Any]]:
        """A conversation whose texts went through `protect`, those of calls of tools too."""
        return [{**map_texts(m, self.protect), "role": m["role"]} for m in messages]

    def protect(self, text: str) -> str:
        """A text for a template in which special tokens stay text; for `encode_protected`.

        Each one that is written out is replaced by two private characters.
        """
        return self._pattern.sub(lambda found: _mark(self._protected.index(found[0])), text)

    def encode_protected(self, text: str, *, after: str = "") -> list[int]:
        """Token ids of a rendered text whose parts went through `protect`.

        Args:
            text: The text or a piece of it, never cut between two private characters.
            after: The protected text before the piece.
        """
        pieces = self.protected_pieces(text, after=after)
        return list(itertools.chain.from_iterable(self.encode_pieces(pieces)))

    def protected_pieces(self, text: str, *, after: str = "") -> list[TextPiece]:
        """What `encode_protected` tokenizes: the text cut where special tokens are written out."""
        pieces: list[TextPiece] = []
        for piece in re.split(f"({PROTECTED}.)", text):
            if piece.startswith(PROTECTED):
                written = self._protected[ord(piece[1]) - FIRST_MARK]
                pieces.append(TextPiece(written, after, plain=True))
            elif piece:
                pieces.append(TextPiece(piece, after))
            after = piece or after
        return pieces

    @functools.cached_property
    def _protected(self) -> list[str]:
        """What `protect` replaces: the special tokens, longest first, and the sign itself."""
        added = self.backend.get_added_tokens_decoder().values()
        special = {token.content for token in added if token.special}
        return [PROTECTED, *sorted(special, key=lambda token: (-len(token), token))]

    def special_id(self, text: str) -> int | None:
        """The id of the special token that is written so, if there is one."""
        return self.backend.token_to_id(text) if text in self._protected[1:] else None

    def with_turn_end(self) -> "Tokenizer":
        """The tokenizer whose `stop_ids` have what its chat template ends an answer with, too.

        Base models often come with the template of their chat models and name another token as
        their end. Tuned on conversations they learn to end a turn as the template does, and
        nothing would stop there.
        """
        end = self._turn_end()
        if end is None or end in self.stop_ids:
            return self
        return dataclasses.replace(self, stop_ids=(*self.stop_ids, end))

    def _turn_end(self) -> int | None:
        """The special token after an answer in the chat template, if there is one."""
        says = [{"role": "user", "content": "?"}, {"role": "assistant", "content": PROTECTED}]
        try:
            text = self.render_chat(says, add_generation_prompt=False)
        except ChatTemplateError:  # no template, or one that takes other conversations only
            return None
        _, answer, after = text.rpartition(PROTECTED)
        after = after.lstrip() if answer else ""
        # The longest first, as they are listed.
        ends = (token for token in self._protected[1:] if after.startswith(token))
        return next(map(self.backend.token_to_id, ends), None)

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._protected)))

    @functools.cached_property
    def _plain_backend(self) -> tokenizers.Tokenizer:
        return _without_special_tokens(self.backend)

    @functools.cached_property
    def _continuing(self) -> tokenizers.Tokenizer:
        return continuing(self.backend)

    @functools.cached_property
    def _plain_continuing(self) -> tokenizers.Tokenizer:
        same = self._continuing is self.backend
        return self._plain_backend if same else _without_special_tokens(self._continuing)

    def _begins(self, after: str) -> bool:
        """Whether what follows that text is tokenized like the beginning of a text."""
        return not after or after.endswith(self._openers)

    @functools.cached_property
    def _openers(self) -> tuple[str, ...]:
        """The tokens of their own after which this tokenizer begins anew: all of them or none."""
        added = self.backend.get_added_tokens_decoder().values()
        tokens = tuple(token.content for token in added if token.special)
        return tokens if tokens and self.encode(f"{tokens[0]}a")[1:] == self.encode("a") else ()

    def decode(
        self, ids: Iterable[int], *, skip_special_tokens: bool = True, after: str = ""
    ) -> str:
        """Text of token ids; bytes that are no whole character become U+FFFD.

        Args:
            ids: Token ids.
            skip_special_tokens: Leave out tokens such as the end of a turn.
            after: The text that comes before, as for `encode`.
        """
        backend = self.backend if self._begins(after) else self._continuing
        return backend.decode(
            [int(token) for token in ids], skip_special_tokens=skip_special_tokens
        )

    def render_chat(self, messages: Messages, *, add_generation_prompt: bool) -> str:
        """The text of a conversation under this model's chat template.

        Args:
            messages: Mappings with the keys `role` and `content`, oldest first.
            add_generation_prompt: End with the words that open the assistant's next turn.

        Returns:
            The text, special tokens included. `encode_chat` gives its token ids, and tells the
            template's special tokens from those that a message writes out.

        Raises:
            ChatTemplateError: The model has no template, or it refuses the messages.

        Example:
            >>> from modelops_jax.models import load
            >>> tokenizer = load("tiny").tokenizer
            >>> tokenizer.render_chat(
            ...     [{"role": "user", "content": "Hello"}], add_generation_prompt=True
            ... )
            '<|im_start|>user\\nHello<|im_end|>\\n<|im_start|>assistant\\n'
        """
        if self.chat_template is None:
            raise ChatTemplateError(
                "this model has no chat template; give it plain text instead of messages"
            )
        return render_chat(
            self.chat_template,
            messages,
            add_generation_prompt=add_generation_prompt,
            special_tokens=self._special_tokens(),
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the three files into an existing folder, so that transformers reads them too."""
        folder = Path(folder)
        self.backend.save(str(folder / "tokenizer.json"))
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            **self._special_tokens(),
            "pad_token": self.backend.id_to_token(self.pad_id),
        }
        if self.chat_template is not None:
            config["chat_template"] = self.chat_template
        write_json(folder / "tokenizer_config.json", config)
        stops = list(self.stop_ids)
        generation: dict[str, Any] = {
            **self.generation,
            "eos_token_id": stops if len(stops) > 1 else self.eos_id,
            "pad_token_id": self.pad_id,
        }
        if self.bos_id is not None:
            generation["bos_token_id"] = self.bos_id
        write_json(folder / "generation_config.json", generation)

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> "Tokenizer":
        """Read a tokenizer from the folder of a Hugging Face model.

        The chat template comes from `chat_template.jinja` if there is one. A model that names no
        padding token pads with the end token.

        Raises:
            CheckpointError: A file is missing or damaged, a named token is not in the vocabulary,
                or no token ends a text; the message names the file and the field.
        """
        folder = Path(folder)
        backend = read_backend(folder / "tokenizer.json")
        config, path_of = read_config(folder)
        named = {key: named_token(backend, path_of(key), config, key) for key in SPECIAL_TOKENS}
        ends = end_ids(folder / "generation_config.json") or end_ids(folder / "config.json")
        eos_id = named["eos_token"]
        if eos_id is None:
            if not ends:
                raise CheckpointError(
                    f"{folder}: no token ends a text; expected 'eos_token' in "
                    "tokenizer_config.json or 'eos_token_id' in generation_config.json"
                )
            eos_id = ends[0]
        pad_id = named["pad_token"]
        tokenizer = cls(
            backend,
            bos_id=named["bos_token"],
            eos_id=eos_id,
            pad_id=eos_id if pad_id is None else pad_id,
            stop_ids=tuple(dict.fromkeys((eos_id, *ends))),
            chat_template=chat_template_of(folder, config),
            other_tokens=other_tokens(config),
            generation=generation_settings(folder / "generation_config.json"),
        )
        return tokenizer.with_turn_end()

    def _special_tokens(self) -> dict[str, str]:
        ids = {"bos_token": self.bos_id, "eos_token": self.eos_id}
        named = (
            (key, self.backend.id_to_token(id_)) for key, id_ in ids.items() if id_ is not None
        )
        return {**self.other_tokens, **{key: token for key, token in named if token is not None}}


SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token")
# Private-use characters, which stand for nothing outside this file.
PROTECTED = "\ue000"
FIRST_MARK = 0xE001


def _without_special_tokens(backend: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """A tokenizer to which every text is ordinary."""
    plain = tokenizers.Tokenizer.from_str(backend.to_str())
    plain.encode_special_tokens = True
    return plain


def _mark(index: int) -> str:
    return PROTECTED + chr(FIRST_MARK + index)
