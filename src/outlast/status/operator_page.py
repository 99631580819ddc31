"""The operators' pages as HTML: complete without a script, nothing from anywhere else.

Everything is escaped by the template engine; the style is named by its hash in the policy, and
there is no script at all.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from outlast.observatory.words import Lang
from outlast.status.operator_texts import TEXTS
from outlast.status.page import FOLDER, content_hash, squeezed, templates


class OperatorRenderer:
    """Templates, read once."""

    def __init__(self) -> None:
        self._css = "".join(
            squeezed((FOLDER / name).read_text(encoding="utf-8"))
            for name in ("style.css", "operator.css")
        )
        self._templates = templates()
        self._templates.filters["u"] = address

    @property
    def policy(self) -> str:
        """The content security policy of every page."""
        return (
            f"default-src 'none'; style-src '{content_hash(self._css)}'; img-src data:; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )

    def render(self, template: str, lang: Lang, path: str, **more: Any) -> bytes:
        """`path`: of the page itself, for the other language."""
        values: dict[str, Any] = {
            "session": None,
            "said": "",
            "problems": (),
            "title": "",
            **more,
        }
        text = self._templates.get_template(f"operator_{template}.html").render(
            lang=lang,
            other="fr" if lang == "en" else "en",
            t=TEXTS[lang],
            path=path,
            css=Markup(self._css),  # noqa: S704 - our own file
            **values,
        )
        # As it is: an empty line in a text that is being written is a part of it.
        return text.encode("utf-8", "replace")


def address(path: str, lang: Lang, **query: str) -> str:
    """A path with its language, and what else is asked."""
    return f"{path}?{urlencode({**query, 'lang': lang})}"
