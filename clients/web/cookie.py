"""The cookie by which a browser finds its conversation again. It opens nothing: the guard does that."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request

from clients.web.operations import ROOT

COOKIE = "atelier_conversation"
ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def conversation_of(request: Request) -> str:
    """The id that the browser brought; "" for none, or for what can be none."""
    told = request.cookies.get(COOKIE, "")
    return told if ID.fullmatch(told) else ""


def cookie_for(conversation_id: str, request: Request) -> Mapping[str, str]:
    """The header that sets it, for this browser's run, out of reach of scripts and of other sites."""
    if not ID.fullmatch(conversation_id):
        return {}
    secure = "; Secure" if request.url.scheme == "https" else ""
    return {"Set-Cookie": f"{COOKIE}={conversation_id}; HttpOnly; SameSite=Strict; Path={ROOT}{secure}"}
