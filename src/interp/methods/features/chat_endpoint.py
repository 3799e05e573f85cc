"""A language model behind a URL, by OpenAI's protocol of chat completions, which most servers speak.

Nothing is sent but by `ask`, and nowhere but to the URL that was given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from interp.errors import InputError, RunError, first_line

_LARGEST = 1_000_000  # bytes of an answer


class _NoRedirects(HTTPRedirectHandler):
    """What is sent goes to the address that was given, and is not sent on."""

    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class ChatEndpoint:
    """`url` is the base of the API, such as "http://127.0.0.1:8080/v1"; `key` goes into the header. Raises
    `InputError` for what is no address."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0  # seconds

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InputError(
                f"{self.url!r} is no address of an endpoint; give one such as 'http://127.0.0.1:8080/v1'."
            )

    def ask(self, prompt: str) -> str:
        """What the model says to a prompt. `RunError` where the endpoint gives no answer."""
        asked = {"model": self.model, "temperature": 0, "messages": [{"role": "user", "content": prompt}]}
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        address = self.url.rstrip("/") + "/chat/completions"
        request = Request(address, data=json.dumps(asked).encode(), headers=headers)
        try:
            with build_opener(_NoRedirects).open(request, timeout=self.timeout) as response:
                body = response.read(_LARGEST + 1)
            if len(body) > _LARGEST:
                raise ValueError("the answer is too long")
            content = json.loads(body)["choices"][0]["message"]["content"]
            if not isinstance(content, str):
                raise ValueError("the answer is no text")
        except HTTPError as error:
            raise RunError(f"{self.url} refused the request ({error.code} {error.reason}).") from None
        except (URLError, OSError) as error:
            raise RunError(f"{self.url} could not be reached ({first_line(error)}).") from None
        except (ValueError, LookupError, TypeError) as error:
            why = f"{type(error).__name__}: {first_line(error)}"
            raise RunError(f"What {self.url} answers is no chat completion ({why}).") from None
        return content
