"""What somebody posts as a report: JSON or a form's fields, checked and named. Pure.

Every refusal is a sentence in English and French that says which field, and what it may be.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

BODY_LIMIT_BYTES = 4096
FIELDS_MAX = 16

_CODES = (
    "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq "
    "br bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm "
    "do dz ec ee eg eh er es et fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs "
    "gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn "
    "kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq "
    "mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm "
    "pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv "
    "sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug um us uy uz va vc ve vg vi "
    "vn vu wf ws ye yt za zm zw"
)
COUNTRIES = frozenset(_CODES.split())
"""ISO 3166-1 alpha-2, in small letters."""
CONTINENTS = frozenset(
    {"africa", "antarctica", "asia", "eu", "north-america", "oceania", "south-america"}
)
"""Written out, because `af`, `as`, `na` and `sa` are countries; only `eu` is nobody's code."""


class Posted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    provider: Annotated[str, Meta(min_length=1, max_length=40)]
    surface: Literal["web", "mobile", "api", "code", "login"]
    works: bool
    symptom: Literal["", "errors", "slow", "login", "cut_off", "wrong", "other"] = ""
    model: Annotated[str, Meta(max_length=100, pattern=r"\A[\w.:/-]*\Z")] = ""
    receipt: Annotated[str, Meta(max_length=64, pattern=r"\A[\w-]*\Z")] = ""
    region: Annotated[str, Meta(max_length=20)] = ""
    token: Annotated[str, Meta(max_length=64, pattern=r"\A[!-~]*\Z")] = ""
    id: Annotated[str, Meta(max_length=64, pattern=r"\A[!-~]*\Z")] = ""
    proof: Annotated[str, Meta(max_length=160, pattern=r"\A[!-~]*\Z")] = ""


class BadReport(Exception):
    """A report that cannot be taken, with the sentence for whoever sent it, by language."""

    def __init__(self, status: int, code: str, says: dict[str, str], field: str = "") -> None:
        super().__init__(says["en"])
        self.status = status
        self.code = code
        self.says = says
        self.field = field


_MAY_BE = {
    "provider": ("a short name, like anthropic", "un nom court, comme anthropic"),
    "surface": ("web, mobile, api, code or login", "web, mobile, api, code ou login"),
    "works": (
        "true (it works for me) or false (it does not)",
        "true (cela fonctionne chez moi) ou false (cela ne fonctionne pas)",
    ),
    "symptom": (
        "errors, slow, login, cut_off, wrong or other, or be left out",
        "errors, slow, login, cut_off, wrong ou other, ou être omis",
    ),
    "model": (
        "a model's name of at most 100 letters, digits and . : / _ -",
        "le nom d’un modèle, au plus 100 lettres, chiffres et . : / _ -",
    ),
    "receipt": (
        "the id of a receipt of this service, like req_…",
        "l’identifiant d’un reçu de ce service, comme req_…",
    ),
    "region": (
        "a country's code of two letters (ISO 3166-1, like fr) or one of "
        + ", ".join(sorted(CONTINENTS)),
        "le code d’un pays en deux lettres (ISO 3166-1, comme fr) ou l’un de "
        + ", ".join(sorted(CONTINENTS)),
    ),
    "token": (
        "up to 64 visible ASCII signs that your browser keeps",
        "au plus 64 signes ASCII visibles que votre navigateur garde",
    ),
    "id": (
        "up to 64 visible ASCII signs, new for each report",
        "au plus 64 signes ASCII visibles, nouveaux pour chaque signalement",
    ),
    "proof": (
        "the text of `challenge`, a dot and the number that was found",
        "le texte de `challenge`, un point et le nombre trouvé",
    ),
}
_PATH = re.compile(r"`\$\.(\w+)`")
_NAMED = re.compile(r"(?:unknown|required) field `([^`]*)`")
_YES, _NO = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}
_decode = msgspec.json.Decoder(Posted).decode


def read(body: bytes, form: bool) -> tuple[Posted, str]:
    """Return the report and where a form wants to go on (empty: nowhere). Raises BadReport.

    A form may name both at once, in one choice of a list: `component=anthropic/web`.
    """
    try:
        if not form:
            return _checked(_decode(body)), ""
        fields = dict(parse_qsl(body.decode(), max_num_fields=FIELDS_MAX, keep_blank_values=True))
        after = local_path(fields.pop("next", ""))
        works = fields.pop("works", "").strip().lower()
        provider, _, surface = fields.pop("component", "").partition("/")
        values: dict[str, object] = {"provider": provider, "surface": surface} if provider else {}
        values |= {name: text.strip() for name, text in fields.items()}
        if works:
            values["works"] = True if works in _YES else False if works in _NO else works
        return _checked(msgspec.convert(values, Posted)), after
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from None
    except (msgspec.DecodeError, ValueError):
        raise BadReport(
            400,
            "unreadable",
            {
                "en": "The body is not a report that can be read: send a JSON object, or a form's "
                f"fields (at most {FIELDS_MAX}).",
                "fr": "Le corps n’est pas un signalement lisible : envoyez un objet JSON ou les "
                f"champs d’un formulaire (au plus {FIELDS_MAX}).",
            },
        ) from None


def local_path(text: str) -> str:
    """Return a path of this very service, or nothing: a form must lead nobody elsewhere."""
    if len(text) > 200 or not re.fullmatch(r"/(?![/\\])[\w./?=&%@:~-]*", text, re.ASCII):
        return ""
    return text


def _checked(posted: Posted) -> Posted:
    region = posted.region.strip().lower()
    if region and region not in COUNTRIES and region not in CONTINENTS:
        raise _wrong("region")
    lowered = posted.provider.lower()
    if (region, lowered) != (posted.region, posted.provider):
        return msgspec.structs.replace(posted, region=region, provider=lowered)
    return posted


def _explained(message: str) -> BadReport:
    named = _NAMED.search(message)
    if named is not None and "unknown" in message:
        field = named.group(1)[:40]
        known = ", ".join(_MAY_BE)
        return BadReport(
            400,
            "unknown_field",
            {
                "en": f"A report has no field {field!r}: leave it out. There are {known}.",
                "fr": f"Un signalement n’a pas de champ {field!r} : omettez-le. Il y a {known}.",
            },
            field,
        )
    place = _PATH.search(message)
    found = named or place
    if found is None:
        return BadReport(
            400,
            "unreadable",
            {
                "en": "A report is a JSON object with `provider`, `surface` and `works`.",
                "fr": "Un signalement est un objet JSON avec `provider`, `surface` et `works`.",
            },
        )
    return _wrong(found.group(1), missing=named is not None)


def _wrong(field: str, *, missing: bool = False) -> BadReport:
    en, fr = _MAY_BE.get(field, ("something else", "autre chose"))
    words = {
        "en": f"`{field}` is {'missing' if missing else 'not understood'}; it must be {en}.",
        "fr": f"`{field}` {'manque' if missing else 'n’est pas compris'} ; ce doit être {fr}.",
    }
    return BadReport(400, "missing_field" if missing else "wrong_field", words, field)
