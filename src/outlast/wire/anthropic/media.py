"""Images and documents as Anthropic takes them. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from outlast.nouns import Format
from outlast.wire.canon import JSON, Document, Image, Request, Untranslatable

_IMAGE_TYPES = {"image/jpeg", "image/png", "image/gif", "image/webp"}


def image_block(image: Image, request: Request, field: str, dropped: Callable[[str], None]) -> JSON:
    """Return an image block. Raises Untranslatable where Anthropic cannot get at the image."""
    if image.detail in {"low", "high", "original"}:
        dropped("messages.image.detail")
    block: JSON = {"type": "image", "source": _image_source(image, request, field)}
    if image.cache_control:
        block["cache_control"] = image.cache_control
    return block


def _image_source(image: Image, request: Request, field: str) -> JSON:
    if image.data:
        media_type = image.media_type.lower().replace("image/jpg", "image/jpeg")
        if media_type not in _IMAGE_TYPES:
            raise Untranslatable(
                field,
                f"Anthropic takes JPEG, PNG, GIF and WebP images, not {media_type or 'this one'}",
            )
        return {"type": "base64", "media_type": media_type, "data": image.data}
    if image.url:
        return {"type": "url", "url": _url(image.url, field)}
    return {"type": "file", "file_id": _file(image.file_id, request, field)}


def document_block(document: Document, request: Request, field: str) -> JSON:
    """Return a document block. Raises Untranslatable where Anthropic cannot read the document."""
    block: JSON = {"type": "document", "source": _document_source(document, request, field)}
    if document.title:
        block["title"] = document.title
    if document.cache_control:
        block["cache_control"] = document.cache_control
    return block


def _document_source(document: Document, request: Request, field: str) -> JSON:
    if document.data:
        media_type = document.media_type.lower()
        if media_type == "application/pdf":
            return {"type": "base64", "media_type": media_type, "data": document.data}
        if media_type.startswith("text/") or media_type == "application/json":
            return _plain(_decoded(document.data, field), field)
        raise Untranslatable(
            field, f"Anthropic takes PDF and plain text, not {media_type or 'this document'}"
        )
    if document.url:
        return {"type": "url", "url": _url(document.url, field)}
    if document.file_id:
        return {"type": "file", "file_id": _file(document.file_id, request, field)}
    return _plain(document.text, field)


def _plain(text: str, field: str) -> JSON:
    if not text.strip():
        raise Untranslatable(field, "the document is empty")
    return {"type": "text", "media_type": "text/plain", "data": text}


def _decoded(data: str, field: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Untranslatable(field, "the document is not base64 of UTF-8 text") from error


def _url(url: str, field: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise Untranslatable(field, "Anthropic fetches http and https addresses only")
    return url


def _file(file_id: str, request: Request, field: str) -> str:
    if request.origin is not Format.ANTHROPIC:
        raise Untranslatable(
            field, "a file that was uploaded to another vendor cannot be read by Anthropic"
        )
    return file_id
