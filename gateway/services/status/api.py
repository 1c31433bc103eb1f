"""``/api/v1`` of the status service: what the pages show, as JSON for programs.

A trouble is ``{"code", "text"}`` with its status.  POST takes ``application/json`` only, which no page of
another origin can send without asking first; an ``Origin`` that is not ours is refused besides.
"""

from __future__ import annotations

from gateway.lan.http import Request, Response, Route, answer_json, failure
from gateway.services.status.view import View

PREFIX = "/api/v1"
UNLOCK_LIMIT = 1024


class Api:
    """The JSON routes over one view."""

    def __init__(self, view: View) -> None:
        self._view = view

    def routes(self) -> list[Route]:
        """The route table."""
        return [
            Route("GET", f"{PREFIX}/status", self.status),
            Route("GET", f"{PREFIX}/fichiers", self.fichiers),
            Route("GET", f"{PREFIX}/fichiers/{{id}}", self.fichier),
            Route("GET", f"{PREFIX}/lots", self.lots),
            Route("GET", f"{PREFIX}/factures", self.factures),
            Route("GET", f"{PREFIX}/returns", self.returns),
            Route("GET", f"{PREFIX}/card", self.card),
            Route("POST", f"{PREFIX}/card/unlock", self.unlock, limit=UNLOCK_LIMIT),
        ]

    async def status(self, request: Request) -> Response:
        """Headline, rungs, tasks, progress, counts; 503 while the board cannot be read."""
        situation = self._view.situation()
        return answer_json(situation.to_json(), 503 if situation.counts is None else 200)

    async def fichiers(self, request: Request) -> Response:
        """``?state=``: one state, or ``held``."""
        return answer_json({"fichiers": self._view.fichiers(request.query.get("state", ""))})

    async def fichier(self, request: Request) -> Response:
        """One fichier with its life."""
        return answer_json(self._view.fichier(request.arguments["id"]))

    async def lots(self, request: Request) -> Response:
        """``?arl=``: ``positive``, ``negative`` or ``late``."""
        return answer_json({"lots": self._view.lots(request.query.get("arl", ""))})

    async def factures(self, request: Request) -> Response:
        """``?part=``: ``P``, ``R``, ``D`` or ``none``."""
        rows = self._view.factures(request.query.get("part", ""))
        return answer_json({"factures": rows, "sums": self._view.sums()})

    async def returns(self, request: Request) -> Response:
        """Returns for the practice; their content is served by intake."""
        return answer_json({"returns": self._view.returns()})

    async def card(self, request: Request) -> Response:
        """The card that is spoken of first and what it is about to sign; under ``cards`` the same for each card."""
        return answer_json((await self._view.pending()).to_json())

    async def unlock(self, request: Request) -> Response:
        """``{"pin", "root"}``, with ``"last_try": true`` where one try is left, and ``"card"``, its serial's last four
        digits, where there are several → ``{"ok": true}``, or 422 with code, text and tries.  Without ``pin``, or with
        an empty one, the code is typed on the reader, where it has keys."""
        if not same_origin(request):
            raise failure(403)
        asked = await request.json()
        if not isinstance(asked, dict) or not isinstance(asked.get("root"), str):
            raise failure(400, "La demande doit porter « root ».")
        pin, card = asked.get("pin", ""), asked.get("card")
        if not isinstance(pin, str) or not isinstance(card, str | None):
            raise failure(400, "« pin » et « card » doivent être des chaînes.")
        told = await self._view.unlock(pin, asked["root"], asked.get("last_try") is True, card)
        return answer_json(told, 200 if told["ok"] else 422)


def same_origin(request: Request, required: bool = False) -> bool:
    """Whether a request that changes something comes from a page of ours, or (not ``required``) from no page."""
    origin = request.headers.get("origin")
    if origin is None:
        return not required
    return origin.partition("://")[2] == request.headers.get("host")
