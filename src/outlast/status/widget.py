"""What other sites show of us: a script, a page for a frame, and the few words both need. Pure.

    <script async src="https://STATUS/status/widget.js" data-scope="anthropic" data-lang="fr">
    </script>
    <iframe src="https://STATUS/status/widget?scope=anthropic" title="Status"></iframe>

The script puts itself where it stands, into a shadow tree, so that neither page changes the other.
What it reads it writes as text alone; it sets no cookie and tells us nothing but that it asked. It
needs no `unsafe-inline` of the page that it is on: its style is a constructed sheet.
"""

from __future__ import annotations

import base64
import hashlib
import html

import msgspec

from outlast.nouns import Stage, Suspicion
from outlast.observatory.words import LANGS, Lang
from outlast.status.badge import said
from outlast.status.scope import Scope, headline_of, reaches
from outlast.status.stamps import clean, day_and_time, iso_or_none
from outlast.status.view import Snapshot

INCIDENTS_LIMIT = 3
SCRIPT_TYPE = "text/javascript; charset=utf-8"
_TEXTS: dict[Lang, dict[str, str]] = {
    "en": {
        "old": "This may no longer hold: it was last brought up to date at {time}.",
        "more": "All that is known",
        "title": "Status",
    },
    "fr": {
        "old": "Ceci n'est peut-être plus vrai\u00a0: dernière mise à jour à {time}.",
        "more": "Tout ce que l'on sait",
        "title": "État des services",
    },
}

_CSS = (
    ":host,body{color-scheme:light dark;font:14px/1.4 system-ui,sans-serif}"
    "body{margin:0}.o{border:1px solid #8886;border-left:4px solid var(--c,#57606a);"
    "border-radius:4px;padding:.5em .75em;background:#fff;color:#1f2328}"
    ".o p{margin:0 0 .25em}.o a{color:#0a5dc2}.o .old{font-style:italic}"
    "@media(prefers-color-scheme:dark){.o{background:#0d1117;color:#e6edf3}.o a{color:#6cb6ff}}"
)

SCRIPT = (
    """(function () {
  "use strict";
  var me = document.currentScript;
  if (!me) return;
  var lang = me.dataset.lang || (navigator.language || "").slice(0, 2);
  if (lang !== "fr") lang = "en";
  var scope = (me.dataset.scope || "").split("/").map(encodeURIComponent).join("/");
  var root = new URL(".", me.src);
  var words = {
    en: {
      old: "This may no longer hold: last brought up to date at ",
      gone: "The status cannot be read at the moment.",
      more: "All that is known"
    },
    fr: {
      old: "Ceci n'est peut-\\u00eatre plus vrai\\u00a0: derni\\u00e8re mise \\u00e0 jour \\u00e0 ",
      gone: "L'\\u00e9tat ne peut pas \\u00eatre lu pour l'instant.",
      more: "Tout ce que l'on sait"
    }
  }[lang];
  var host = document.createElement("div");
  host.lang = lang;
  me.after(host);
  var shadow = host.attachShadow({ mode: "open" });
  try {
    var sheet = new CSSStyleSheet();
    sheet.replaceSync("""
    + msgspec.json.encode(_CSS).decode()
    + """);
    shadow.adoptedStyleSheets = [sheet];
  } catch (_) { /* an old browser: without colours */ }
  var last = null;
  function line(box, text, kind) {
    var p = document.createElement("p");
    p.textContent = text;
    if (kind) p.className = kind;
    box.append(p);
    return p;
  }
  function link(box, text, address) {
    var url = new URL(address, root);
    if (url.protocol !== "https:" && url.protocol !== "http:") return;
    var a = document.createElement("a");
    a.textContent = text;
    a.href = url.href;
    a.rel = "noopener";
    line(box, "").append(a);
  }
  function show(failed) {
    var box = document.createElement("div");
    box.className = "o";
    box.setAttribute("role", "status");
    if (last) {
      if (/^#[0-9a-f]{6}$/.test(last.colour)) box.style.setProperty("--c", last.colour);
      line(box, String(last.says[lang]));
      if (last.at && (failed || last.stale || Date.now() - Date.parse(last.at) > 180000))
        line(box, words.old + last.at, "old");
      last.incidents.forEach(function (one) { link(box, String(one.title[lang]), one.url[lang]); });
      link(box, words.more, last.url[lang]);
    } else {
      line(box, words.gone, "old");
      link(box, words.more, root.href.replace(/\\/$/, ""));
    }
    shadow.replaceChildren(box);
  }
  function read() {
    if (document.hidden && last) return;
    var stop = new AbortController();
    var timer = setTimeout(function () { stop.abort(); }, 10000);
    fetch(new URL((scope ? scope + "/" : "") + "widget.json", root),
      { credentials: "omit", referrerPolicy: "no-referrer", signal: stop.signal })
      .then(function (answer) { if (!answer.ok) throw 0; return answer.json(); })
      .then(function (found) { last = found; show(false); })
      .catch(function () { show(true); })
      .finally(function () { clearTimeout(timer); });
  }
  read();
  setInterval(read, 60000);
})();
"""
)


def data(snapshot: Snapshot, scope: Scope) -> bytes:
    """Return what the script reads: the sentence, its colour, and where to read on."""
    base = snapshot.base_url
    live = [
        one.incident
        for one in snapshot.open
        if reaches(one, scope) and one.incident.stage is not Stage.RESOLVED
    ]
    return msgspec.json.encode(
        {
            "at": iso_or_none(snapshot.at or None),
            "stale": snapshot.stale,
            "colour": said(snapshot, scope, "en").colour,
            "says": {lang: clean(headline_of(snapshot, scope, lang), 400) for lang in LANGS},
            "url": {lang: f"{base}{scope.path}?lang={lang}" for lang in LANGS},
            "incidents": [
                {
                    "title": {lang: clean(one.title.get(lang, ""), 200) for lang in LANGS},
                    "confirmed": one.suspicion is Suspicion.O_DOWN,
                    "url": {
                        lang: f"{base}/status/incidents/{one.id}?lang={lang}" for lang in LANGS
                    },
                }
                for one in live[:INCIDENTS_LIMIT]
            ],
        }
    )


def frame(snapshot: Snapshot, scope: Scope, lang: Lang) -> bytes:
    """Return the page for a frame. It needs no script, and is loaded anew each minute."""
    text = _TEXTS[lang]
    colour = said(snapshot, scope, lang).colour
    says = html.escape(clean(headline_of(snapshot, scope, lang), 400))
    at = html.escape(text["old"].format(time=day_and_time(snapshot.at)))
    old = f'<p class="old">{at}</p>' if snapshot.stale and snapshot.at else ""
    url = html.escape(f"{snapshot.base_url}{scope.path}?lang={lang}")
    title = html.escape(f"{text['title']}: {clean(scope.title(lang), 100)}")
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta http-equiv="refresh" content="60">'
        f"<title>{title}</title><style>{style(colour)}</style></head><body>"
        f'<main class="o" role="status"><p>{says}</p>{old}<p>'
        f'<a href="{url}" target="_blank" rel="noopener">{html.escape(text["more"])}</a></p>'
        "</main></body></html>\n"
    ).encode()


def style(colour: str) -> str:
    return f":root{{--c:{colour}}}{_CSS}"


def policy(snapshot: Snapshot, scope: Scope) -> str:
    """The content security policy of the page for a frame: any site may frame it."""
    digest = hashlib.sha256(style(said(snapshot, scope, "en").colour).encode()).digest()
    name = base64.b64encode(digest).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{name}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors *"
    )
