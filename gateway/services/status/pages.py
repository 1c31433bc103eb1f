"""The pages: French, plain HTML from templates; they need no script, which only keeps them fresh.

Forms carry a token of this process, besides the check of their origin; a PIN goes from its form to the card
service and nowhere else: no page, address, log line or error repeats it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.errors import Deferred, Trouble
from gateway.fichier import State
from gateway.follow.headline import LEVEL_WORDS, RESTARTING
from gateway.follow.moments import at_words, clock, moment, on_words, since_words
from gateway.formats.words import day, euros, plural
from gateway.lan.http import Request, Response, Route, explain_json, failure
from gateway.services.status.api import PREFIX, same_origin
from gateway.services.status.view import Batch, Pending, View

TEMPLATES = Path(__file__).parent.parent / "templates"
FORM_LIMIT = 1024
RECENT = 12
"""Fichiers on the first page."""

STATIC = {"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}

STATE_WORDS: dict[str, str] = {
    State.RECEIVED: "Reçu",
    State.CHECKED: "À signer",
    State.SIGNED: "Signé",
    State.SEALED: "À transmettre",
    State.SENT: "Transmis",
    State.INTEGRATED: "Pris en charge",
    State.REFUSED: "Refusé",
}

FILTERS: Mapping[str, Mapping[str, str]] = {
    "etat": {"": "Tous", **STATE_WORDS, "held": "En attente d'une décision"},
    "arl": {"": "Tous", "positive": "ARL positif", "negative": "ARL négatif", "late": "ARL en retard"},
    "part": {"": "Toutes", "R": "Rejetées", "P": "Payées", "D": "Différées", "none": "Sans nouvelle"},
}
"""What a list can be narrowed to: query name → value → word."""

SAID = {
    ("signature", "ok"): "Code accepté : la carte signe. Laissez-la dans le lecteur.",
    ("oubli", "ok"): "Code oublié : rien ne sera plus signé sans qu'il soit tapé de nouveau.",
}
"""What the first page says of what was just done, by the query of its address."""


class Pages:
    """The HTML routes over one view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._token = secrets.token_urlsafe(24)
        self._static = {name: (TEMPLATES / name).read_bytes() for name in STATIC}
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "typeset": typeset, "euros": euros, "plural": plural, "day": day, "on": on_words,
            "at": lambda iso: at_words(iso, view.clock()), "since": lambda iso: since_words(iso, view.clock()),
        }  # fmt: skip
        self._templates.globals |= {"level_words": LEVEL_WORDS, "state_words": STATE_WORDS, "filters": FILTERS}

    def routes(self) -> list[Route]:
        """The route table."""
        return [
            Route("GET", "/", self.home),
            Route("POST", "/signature", self.sign, limit=FORM_LIMIT),
            Route("POST", "/oubli", self.forget, limit=FORM_LIMIT),
            Route("GET", "/fichiers", self.fichiers),
            Route("GET", "/fichiers/{id}", self.fichier),
            Route("GET", "/lots", self.lots),
            Route("GET", "/factures", self.factures),
            Route("GET", "/retours", self.returns),
            Route("GET", "/static/{name}", self.static),
        ]

    def explain(self, path: str, status: int, trouble: Trouble) -> Response:
        """A trouble as a page, or as JSON to who asked the API."""
        if path.startswith(PREFIX):
            return explain_json(path, status, trouble)
        return self._page("trouble.html", status, trouble=trouble, refresh=isinstance(trouble, Deferred))

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        now = clock(moment(self._view.clock().isoformat()))
        text = self._templates.get_template(template).render({"refresh": True, "now": now, **values})
        return Response(status, (("content-type", "text/html; charset=utf-8"),), text.encode())

    async def static(self, request: Request) -> Response:
        """Style sheet, script and icon, as they were when the service started."""
        name = request.arguments["name"]
        if name not in STATIC:
            raise failure(404)
        headers = (("content-type", f"{STATIC[name]}; charset=utf-8"), ("cache-control", "max-age=300"))
        return Response(200, headers, self._static[name])

    # -- the first page

    async def home(self, request: Request) -> Response:
        """How things stand, what to sign, what to do, the last fichiers."""
        return await self._home(200, said="".join(SAID.get(done, "") for done in request.query.items()))

    async def _home(self, status: int, said: str = "", refused: str = "", asked: str | None = None) -> Response:
        """``asked``: the card whose code was ``refused``."""
        situation = self._view.situation()
        recent, names = [], {}
        batches: tuple[Batch, ...] = ()
        kept: tuple[Batch, ...] = ()
        if situation.headline is not RESTARTING:
            recent = self._view.fichiers(limit=RECENT)
            names = {row["id"]: row["name"] for row in recent}
            if pending := await self._pending():
                batches, kept = pending.to_sign, pending.kept
        return self._page(
            "home.html", status, situation=situation, recent=recent, names=names, batches=batches, kept=kept,
            said=said, refused=refused, asked=asked, token=self._token, refresh=not batches,
        )  # fmt: skip

    async def _pending(self) -> Pending | None:
        """What awaits a code and whose code is kept; None where there is no card service to ask."""
        try:
            return await self._view.pending()
        except Trouble:
            return None

    async def sign(self, request: Request) -> Response:
        """The PIN for the batch that was displayed, or the wish to type it on the reader; back to the first page, with
        the card's word if it refuses."""
        fields = await self._fields(request)
        code, root, card = fields.get("code", ""), fields.get("lot", ""), fields.get("card")
        try:
            told = await self._view.unlock(code, root, "dernier" in fields, card)
        except Trouble as trouble:
            return await self._home(503, refused=trouble.text, asked=card)
        if not told["ok"]:
            return await self._home(422, refused=told["text"], asked=card)
        return Response(303, (("location", "/?signature=ok"),))

    async def forget(self, request: Request) -> Response:
        """Every kept code is dropped, of all cards; back to the first page, which says so or why not."""
        await self._fields(request)
        try:
            await self._view.forget()
        except Trouble as trouble:
            return await self._home(503, refused=trouble.text)
        return Response(303, (("location", "/?oubli=ok"),))

    async def _fields(self, request: Request) -> dict[str, str]:
        """What a form of ours sends; 403 for any other."""
        fields = await request.form()
        if not same_origin(request, required=True) or not self._is_ours(fields.get("jeton", "")):
            raise failure(403)
        return fields

    def _is_ours(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    # -- the lists

    async def fichiers(self, request: Request) -> Response:
        """All fichiers, or those of a state."""
        chosen = request.query.get("etat", "")
        return self._page("fichiers.html", rows=self._view.fichiers(chosen), chosen=chosen)

    async def fichier(self, request: Request) -> Response:
        """The life of one fichier."""
        return self._page("fichier.html", one=self._view.fichier(request.arguments["id"]))

    async def lots(self, request: Request) -> Response:
        """All lots, or those with an ARL of a kind."""
        chosen = request.query.get("arl", "")
        return self._page("lots.html", rows=self._view.lots(chosen), chosen=chosen)

    async def factures(self, request: Request) -> Response:
        """All factures, or those with a part of a kind, and the sums."""
        chosen = request.query.get("part", "")
        return self._page("factures.html", rows=self._view.factures(chosen), sums=self._view.sums(), chosen=chosen)

    async def returns(self, request: Request) -> Response:
        """Returns for the practice."""
        return self._page("returns.html", rows=self._view.returns())


def typeset(text: str) -> str:
    """A French sentence whose high punctuation and numbers stay on the line of their words."""
    return re.sub(r" (?=[:;?!»])|(?<=[«\d]) (?=\w)", "\u00a0", text)
