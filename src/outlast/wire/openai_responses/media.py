"""Images and files between canonical values and this format's parts."""

from __future__ import annotations

from outlast.nouns import Format
from outlast.wire.canon import JSON, BadRequest, Document, Image, Text, Untranslatable
from outlast.wire.openai_responses import fields

_TYPES = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
}
_SUFFIXES = {kind: suffix for suffix, kind in _TYPES.items()}
_OPENAI = (Format.OPENAI_CHAT, Format.OPENAI_RESPONSES)


def data_url(url: str, path: str) -> tuple[str, str]:
    """Return media type and base64 of a `data:` URL. Raises BadRequest."""
    head, comma, data = url.removeprefix("data:").partition(",")
    media_type, *parameters = head.split(";")
    if not comma or "base64" not in (parameter.strip().lower() for parameter in parameters):
        raise BadRequest(path, "is a data URL that is not of the form data:<type>;base64,<data>")
    if not data:
        raise BadRequest(path, "is a data URL without data")
    return media_type.strip().lower(), data


def parse_image(part: JSON, path: str) -> Image:
    """Return an `input_image` part."""
    detail = fields.text_or(part, "detail", path)
    url = fields.text_or(part, "image_url", path)
    file_id = fields.text_or(part, "file_id", path)
    if url.startswith("data:"):
        media_type, data = data_url(url, fields.join(path, "image_url"))
        if not media_type:
            raise BadRequest(fields.join(path, "image_url"), "does not say the image's media type")
        return Image(media_type=media_type, data=data, detail=detail)
    if url:
        return Image(url=url, detail=detail)
    if file_id:
        return Image(file_id=file_id, detail=detail)
    raise BadRequest(path, "is an input_image without image_url or file_id")


def parse_file(part: JSON, path: str) -> Document:
    """Return an `input_file` part. Bare base64 takes its type from the file's name."""
    title = fields.text_or(part, "filename", path)
    if data := fields.text_or(part, "file_data", path):
        suffix = title.rpartition(".")[2].lower()
        media_type = _TYPES.get(suffix, "application/pdf")
        if data.startswith("data:"):
            said, data = data_url(data, fields.join(path, "file_data"))
            media_type = said or media_type
        return Document(media_type=media_type, data=data, title=title)
    if url := fields.text_or(part, "file_url", path):
        return Document(url=url, title=title)
    if file_id := fields.text_or(part, "file_id", path):
        return Document(file_id=file_id, title=title)
    raise BadRequest(path, "is an input_file without file_data, file_url or file_id")


def render_part(block: Text | Image | Document, origin: Format, path: str) -> JSON:
    """Return the input part for a block. Raises Untranslatable for another vendor's file ids."""
    if isinstance(block, Text):
        return {"type": "input_text", "text": block.text}
    if block.file_id and origin not in _OPENAI:
        raise Untranslatable(
            path,
            "is a file kept at another vendor, which this upstream cannot read; "
            "send the file's content instead of its id",
        )
    return _image(block) if isinstance(block, Image) else _document(block)


def _image(block: Image) -> JSON:
    part: JSON = {"type": "input_image", "detail": block.detail or "auto"}
    if block.data:
        part["image_url"] = f"data:{block.media_type or 'image/png'};base64,{block.data}"
    elif block.url:
        part["image_url"] = block.url
    else:
        part["file_id"] = block.file_id
    return part


def _document(block: Document) -> JSON:
    if block.text:
        title = block.title.replace('"', "'")
        head = f'<document title="{title}">' if title else "<document>"
        return {"type": "input_text", "text": f"{head}\n{block.text}\n</document>"}
    part: JSON = {"type": "input_file"}
    if block.data:
        media_type = block.media_type or "application/pdf"
        # OpenAI refuses file_data without a file name.
        part["filename"] = block.title or f"document.{_SUFFIXES.get(media_type, 'pdf')}"
        part["file_data"] = f"data:{media_type};base64,{block.data}"
    elif block.url:
        part["file_url"] = block.url
    else:
        part["file_id"] = block.file_id
    return part
