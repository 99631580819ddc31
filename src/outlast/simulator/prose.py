"""Text with the difficulties of real answers: five languages, lists, code, emoji, quotes.

Deterministic: the same key gives the same text for ever, on every machine.
"""

from __future__ import annotations

import random
import re

from outlast.simulator.script import Language

_WORDS: dict[Language, str] = {
    "en": "the a service answer river quiet window careful because between morning number small"
    " letter follow under bright harbour often measure without garden question simple carry"
    " weather early perhaps signal winter travel behind metal copper reason several gentle return"
    " almost market paper engine silver evening station remember narrow bridge honest voice"
    " yellow mountain steady circle minute answerable well-known it's doesn't other-worldly",
    "fr": "le la une réponse rivière fenêtre parce qu'elle matin nombre petite lettre après"
    " lumière souvent mesure jardin question simple météo peut-être signal hiver voyage derrière"
    " cuivre raison plusieurs doucement l'heure presque marché papier moteur soirée gare étroit"
    " pont honnête voix montagne où déjà français cœur aujourd'hui garçon forêt être naïve",
    "de": "der die das Antwort Fluss Fenster weil zwischen Morgen Zahl kleine Brief über häufig"
    " Maß Garten Frage einfach Wetter früh vielleicht Zeichen Winter Reise hinter Kupfer Grund"
    " mehrere zurück fast Markt Papier Straße Abend Bahnhof erinnern schmal Brücke ehrlich Stimme"
    " gelb Gebirge Donaudampfschifffahrt Übergang größer Müßiggang Schlüssel",
    "es": "el la una respuesta río ventana porque mañana número pequeña carta después luz menudo"
    " medida jardín pregunta sencillo tiempo quizá señal invierno viaje detrás cobre razón varios"
    " suave regreso casi mercado papel motor tarde estación estrecho puente honesto voz montaña"
    " año niño también corazón pingüino",
    "ja": "答え 川 静かな 窓 朝 数字 小さい 手紙 光 よく 庭 質問 簡単な 天気 早く たぶん 信号 冬 旅"
    " 銅 理由 いくつか 戻る 市場 紙 エンジン 夕方 駅 狭い 橋 正直な 声 黄色 山 サービス です ます",
}
_EMOJI = ("🙂", "🚀", "👩‍💻", "🇫🇷", "✅", "🌊", "❤️", "🧪")
_CODE = (
    '```python\ndef {w}(value: int) -> str:\n\treturn f"{w}: {{value}}\\n"  # {n}\n```',
    "```bash\nprintf '%s\\n' \"{w} {n}\" | sort -u > /tmp/{w}.txt\n```",
    '```json\n{{"{w}": {n}, "path": "C:\\\\{w}", "ok": true}}\n```',
)
_PIECE = re.compile(r"\s*(?:\w{1,7}|[^\w\s]{1,3})|\s+")


def dice(*key: object) -> random.Random:
    """Return a source of chance that depends on `key` alone."""
    return random.Random("|".join(map(str, key)))  # noqa: S311 - chance on purpose


def pieces(words: str) -> list[str]:
    """Cut a text into the tokens that the vendor streams and bills. They join to the text."""
    return _PIECE.findall(words)


def prose(length: int, language: Language, *key: object) -> str:
    """Return a text of exactly `length` characters; `key` decides which."""
    chance = dice("prose", language, *key)
    blocks: list[str] = []
    room = length
    while room > 0:
        block = _block(chance, language, first=not blocks)
        if blocks:
            block = "\n\n" + block
        if len(block) > room:
            paragraph = ("\n\n" if blocks else "") + _paragraph(chance, language, room)
            block = _cut(paragraph, room)
        blocks.append(block)
        room -= len(block)
    return "".join(blocks)


def _cut(words: str, length: int) -> str:
    """End a text at `length`, never in a space, so that trimming cannot change it."""
    kept = words[:length]
    end = "." if len(kept) > 1 and not kept[-2].isspace() else "x"
    return kept[:-1] + end


def _block(chance: random.Random, language: Language, *, first: bool) -> str:
    words = _WORDS[language].split()
    roll = 1.0 if first else chance.random()
    if roll < 0.12:
        name = chance.choice(_WORDS["en"].split()[:40]).replace("'", "").replace("-", "_")
        return chance.choice(_CODE).format(w=name, n=chance.randrange(10_000))
    if roll < 0.3:
        ordered = chance.random() < 0.5
        items = (
            f"{number}. " if ordered else "- " for number in range(1, chance.randrange(3, 6) + 1)
        )
        return "\n".join(sign + _sentence(chance, words, language) for sign in items)
    if roll < 0.38:
        return f"## {chance.choice(words).capitalize()} {chance.randrange(1, 100)}"
    return _paragraph(chance, language, 220)


def _paragraph(chance: random.Random, language: Language, length: int) -> str:
    words = _WORDS[language].split()
    gap = "" if language == "ja" else " "
    sentences: list[str] = []
    size = 0
    while size <= length:
        sentences.append(_sentence(chance, words, language))
        size += len(sentences[-1]) + len(gap)
    return gap.join(sentences)


def _apart(chosen: list[str], words: list[str]) -> list[str]:
    """Return the words with none twice in a row: people do not, and at a seam between two voices
    nobody could tell it from a repetition."""
    apart = chosen[:1]
    for word in chosen[1:]:
        other = words[(words.index(word) + 1) % len(words)]
        apart.append(other if word == apart[-1] else word)
    return apart


def _sentence(chance: random.Random, words: list[str], language: Language) -> str:
    chosen = _apart([chance.choice(words) for _ in range(chance.randrange(5, 14))], words)
    if chance.random() < 0.25:
        chosen[chance.randrange(len(chosen))] = str(chance.randrange(1, 100_000))
    if language == "ja":
        half = len(chosen) // 2
        return "".join(chosen[:half]) + "、" + "".join(chosen[half:]) + "。"
    if chance.random() < 0.2:
        at = chance.randrange(len(chosen))
        chosen[at] = {"fr": "« {} »", "de": "„{}“"}.get(language, '"{}"').format(chosen[at])
    if chance.random() < 0.5:
        chosen[len(chosen) // 2] += ","
    line = " ".join(chosen)
    line = line[:1].upper() + line[1:] + chance.choice((".", ".", ".", "!", "?", "…"))
    if chance.random() < 0.12:
        line += " " + chance.choice(_EMOJI)
    return line
