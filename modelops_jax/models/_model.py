"""A loaded model: parameters, tokenizer, and what one does with them."""

import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from modelops_jax._option_types import require_integer

from ._config import DecoderConfig
from ._decoder import forward, unembed
from ._generate import Progress, generate
from ._head import init_head, read_texts
from ._hf import write_folder
from ._params import Params
from ._progress import show_rows
from ._prompts import check_list, check_strings, encode_prompts, stop_texts
from ._score import score
from ._tokenizer import Tokenizer


@functools.partial(jax.jit, static_argnames=("config", "dtype"))
def _logits(
    params: Params, token_ids: Int[Array, "batch length"], *, config: DecoderConfig, dtype: Any
) -> Float[Array, "batch length vocabulary"]:
    return unembed(params, config, forward(params, config, token_ids, dtype=dtype)[0])


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A language model in memory, or one that reads texts; `load` makes one.

    Args:
        config: The architecture.
        params: The parameter tree; `forward` and `unembed` are the functions over it.
        tokenizer: Text to token ids and back.
        name: The name or path it was loaded by, after aliases.
    """

    config: DecoderConfig
    params: Params = dataclasses.field(repr=False)
    tokenizer: Tokenizer
    name: str

    @property
    def dtype(self) -> np.dtype:
        """Type of the parameters, in which activations are computed too."""
        return self.params["model"]["embed_tokens"]["weight"].dtype

    def logits(self, token_ids: Any) -> Float[Array, "batch length vocabulary"]:
        """Logits of the next token after each token.

        Args:
            token_ids: Integers of shape (batch, length), rows of one length, on the host. Inside
                your own `jit` use `forward` and `unembed`.

        Returns:
            float32 logits of shape (batch, length, vocabulary).

        Raises:
            TypeError: `token_ids` are not integers.
            ValueError: Not two axes, a row longer than the context, or an id outside the
                vocabulary.

        Example:
            >>> from modelops_jax.models import load
            >>> load("tiny").logits([[72, 105]]).shape
            (1, 2, 260)
        """
        self._check_head(has_labels=False)
        ids = np.asarray(token_ids)
        if not np.issubdtype(ids.dtype, np.integer):
            raise TypeError(f"token_ids must be integers, found {ids.dtype}")
        if ids.ndim != 2 or not ids.size:
            raise ValueError(f"token_ids must have shape (batch, length), found {ids.shape}")
        if ids.shape[1] > self.config.max_position:
            raise ValueError(
                f"token_ids has rows of {ids.shape[1]} tokens; the model's context is "
                f"{self.config.max_position}"
            )
        if ids.min() < 0 or ids.max() >= self.config.vocab_size:
            raise ValueError(
                f"token_ids range from {ids.min()} to {ids.max()}; the vocabulary has "
                f"{self.config.vocab_size} ids, from 0"
            )
        ids = jnp.asarray(ids.astype(np.int32))
        return _logits(self.params, ids, config=self.config, dtype=self.dtype)

    def generate(
        self,
        prompts: Sequence[Any],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        rows: Sequence[int] | None = None,
        stop: str | Sequence[str] = (),
        stop_ids: Sequence[int] = (),
        progress: Progress | bool = False,
    ) -> list[str]:
        """Continue each prompt until the model ends its turn or `max_new_tokens` are there.

        Args:
            prompts: Strings, which are taken as they are, and lists of messages
                `{"role": str, "content": str}`, which go through the chat template.
            max_new_tokens: Most tokens to append to a prompt.
            temperature: 0 takes the likeliest token each time; 1 samples from the model.
            top_k: Sample among the k likeliest tokens.
            top_p: Sample from the smallest set of tokens with this probability.
            seed: The same seed gives the same samples.
            rows: The number of each prompt, on which its samples depend; its index by default.
                Parts of a long list get the samples of the whole with their numbers there.
            stop: Texts that end a continuation too, wherever tokens begin and end; also special
                tokens by their text.
            stop_ids: Token ids that end a continuation beside the model's own.
            progress: True shows a bar; a function is called with the numbers of finished and of
                all prompts.

        Returns:
            The continuations, without the prompt, without special tokens, and without what ended
            them.

        Raises:
            TypeError: A prompt is neither a string nor a list of messages, or a number is none or
                of another kind.
            ValueError: A prompt is empty or leaves no room in the context, a stop text is empty,
                or a stop token is not in the vocabulary.

        Example:
            >>> from modelops_jax.models import load
            >>> len(load("tiny").generate(["Hello", "Goodbye"], max_new_tokens=4))
            2
        """
        self._check_head(has_labels=False)
        encoded = encode_prompts(self.tokenizer, prompts)
        stops = stop_texts(stop)
        # Decoded texts have none of the special tokens.
        named = [id_ for id_ in map(self.tokenizer.special_id, stops) if id_ is not None]
        if isinstance(stop_ids, str | bytes) or not isinstance(stop_ids, Iterable):
            raise TypeError(f"stop_ids must be a list of integers, found {stop_ids!r}")
        for index, id_ in enumerate(stop_ids):
            require_integer(id_, f"stop_ids[{index}]")
            if not 0 <= id_ < self.config.vocab_size:
                raise ValueError(
                    f"stop_ids has {id_}; the vocabulary has {self.config.vocab_size} ids, from 0"
                )

        def text_of(index: int, ids: list[int]) -> str:
            return self.tokenizer.decode(ids, after=encoded[index].text)

        def has_stop(index: int, ids: list[int]) -> bool:
            text = text_of(index, ids)
            return any(stop in text for stop in stops)

        with show_rows("generating", progress) as report:
            made = generate(
                self.params,
                self.config,
                [prompt.ids for prompt in encoded],
                max_new_tokens=max_new_tokens,
                stop_ids=tuple(dict.fromkeys((*self.tokenizer.stop_ids, *stop_ids, *named))),
                pad_id=self.tokenizer.pad_id,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                seed=seed,
                rows=rows,
                dtype=self.dtype,
                ended=has_stop if stops else None,
                progress=report,
            )
        texts = [text_of(index, ids) for index, ids in enumerate(made)]
        return [min([text, *(text.split(stop, 1)[0] for stop in stops)], key=len) for text in texts]

    def score(
        self, prompts: Sequence[Any], completions: Sequence[Any]
    ) -> tuple[Float[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
        """Log-likelihood of each completion after its prompt.

        Args:
            prompts: Strings or lists of messages, as for `generate`.
            completions: Strings, tokenized on their own as what follows the prompt; the end of
                the turn is not added.

        Returns:
            Log-likelihoods in nats, at most 0, and the numbers of tokens they are sums over.

        Raises:
            TypeError: A prompt is neither a string nor a list of messages, or a completion is not
                a string.
            ValueError: The lists differ in length, a prompt is empty, or a pair is longer than
                the context.

        Example:
            >>> from modelops_jax.models import load
            >>> log_likelihood, tokens = load("tiny").score(["Hello"], [" you"])
            >>> tokens.tolist(), bool(log_likelihood[0] < 0)
            ([4], True)
        """
        self._check_head(has_labels=False)
        check_list("completions", completions)
        check_strings("completions", completions)
        encoded = encode_prompts(self.tokenizer, prompts)
        # Lists of different length are refused by `score`.
        after = [prompt.text for prompt in encoded] + [""] * len(completions)
        return score(
            self.params,
            self.config,
            [prompt.ids for prompt in encoded],
            [
                self.tokenizer.encode(completion, plain=True, after=text)
                for completion, text in zip(completions, after, strict=False)
            ],
            pad_id=self.tokenizer.pad_id,
            dtype=self.dtype,
        )

    def with_labels(self, labels: Sequence[Any], *, seed: int = 0) -> "Model":
        """A model on the same trunk that reads a text: with a new head in place of the old one.

        The head is a linear map of the state of the last token, as in transformers'
        `...ForSequenceClassification`; train it with `modelops_jax.training.fit`.

        Args:
            labels: The classes, in the order of their indices; a single name is that of a value to
                predict (regression).
            seed: The same seed gives the same head: normal, with standard deviation 0.02.

        Returns:
            The model; the trunk's weights are shared.

        Raises:
            TypeError: `labels` is no list of strings.
            ValueError: There is no label, or one occurs twice or is empty.

        Example:
            >>> from modelops_jax.models import load
            >>> load("tiny").with_labels(["ham", "spam"]).config.labels
            ('ham', 'spam')
        """
        check_list("labels", labels)
        check_strings("labels", labels)
        if not labels:
            raise ValueError("labels is empty; expected the classes, or the name of a value")
        config = dataclasses.replace(self.config, labels=tuple(labels))
        score = init_head(config, len(labels), seed, self.dtype)
        params = {"model": self.params["model"], "score": score}
        return dataclasses.replace(self, config=config, params=params)

    def predict(self, texts: Sequence[Any]) -> list[str] | Float[np.ndarray, " rows"]:
        """The label of each text, or its value; of a model with labels.

        Args:
            texts: Strings, tokenized as they are, with the special tokens a text begins with.

        Returns:
            For classes, the name of the likeliest one (the first of equals); for a single label,
            float32 values.

        Raises:
            TypeError: The model has no labels, or a text is not a string.
            ValueError: A text has no tokens, or more than the context.

        Example:
            >>> from modelops_jax.models import load
            >>> model = load("tiny").with_labels(["ham", "spam"])
            >>> set(model.predict(["Hello", "Win money"])) <= {"ham", "spam"}
            True
        """
        logits = self._read(texts)
        if len(self.config.labels) == 1:
            return logits[:, 0]
        return [self.config.labels[index] for index in logits.argmax(axis=1)]

    def predict_proba(self, texts: Sequence[Any]) -> Float[np.ndarray, "rows labels"]:
        """The probability of each class for each text; the columns are `config.labels`.

        Args:
            texts: As for `predict`.

        Returns:
            float32, rows that add up to 1.

        Raises:
            TypeError: The model has no classes, or a text is not a string.
            ValueError: A text has no tokens, or more than the context.

        Example:
            >>> from modelops_jax.models import load
            >>> load("tiny").with_labels(["ham", "spam"]).predict_proba(["Hello"]).shape
            (1, 2)
        """
        logits = self._read(texts)
        if logits.shape[1] == 1:
            raise TypeError(f"{self.name} predicts a value ({self.config.labels[0]}), no classes")
        return np.asarray(jax.nn.softmax(logits, axis=1))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Hugging Face folder, which `load` and transformers read; whole or not at all.

        Args:
            path: The folder to make; it may exist only if it is empty.

        Raises:
            FileExistsError: `path` exists and is not an empty folder.
            OSError: It could not be written, for want of room say.
        """
        write_folder(path, self.config, self.params, self.tokenizer)

    def _read(self, texts: Sequence[Any]) -> Float[np.ndarray, "rows labels"]:
        self._check_head(has_labels=True)
        check_list("texts", texts)
        check_strings("texts", texts)
        return read_texts(
            self.params,
            self.config,
            [self.tokenizer.encode(text, add_special_tokens=True) for text in texts],
            pad_id=self.tokenizer.pad_id,
            dtype=self.dtype,
        )

    def _check_head(self, *, has_labels: bool) -> None:
        if has_labels and not self.config.labels:
            raise TypeError(
                f"{self.name} is a language model; model.with_labels(...) gives it a head"
            )
        if self.config.labels and not has_labels:
            raise TypeError(
                f"{self.name} reads texts (labels: {', '.join(self.config.labels)}) and writes "
                "none; use predict"
            )
