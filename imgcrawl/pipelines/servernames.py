"""Names that servers give files (`Content-Disposition`), for `{filename}` in IMAGES_NAME."""

from __future__ import annotations

from email.message import Message
from email.utils import collapse_rfc2231_value

from scrapy import Request
from scrapy.http import Response

from imgcrawl.images.names import with_file_name


def named_by_server(response: Response, request: Request, requested_path: str) -> str:
    """*requested_path*, the path that the image of *request* asked for, with the name that *response* gives the file
    where IMAGES_NAME has `{filename}`, if it gives one."""
    path = request.meta.get("image_path_by_server")
    name = file_name_of(response) if path else ""
    return with_file_name(path, name) if path and name else requested_path


def file_name_of(response: Response) -> str:
    """The file's name in Content-Disposition (RFC 6266), as leniently as browsers read it; empty if there is none."""
    header = response.headers.get("Content-Disposition") or b""
    try:
        text = header.decode()
    except UnicodeDecodeError:
        text = header.decode("latin-1")
    if not text.isprintable():
        return ""
    message = Message()
    message["Content-Disposition"] = text
    parameters = message.get_params([], header="Content-Disposition")
    names = [value for key, value in parameters if key.lower() == "filename"]
    extended = [value for value in names if isinstance(value, tuple)]  # filename*= (RFC 8187) goes before filename=
    return collapse_rfc2231_value((extended or names or [""])[0]).replace("\\", "/").rpartition("/")[2].strip()
