"""A forecast in words that people can plan by, in English and French. Pure.

Ends of intervals are rounded outwards, to steps that people use: "between 40 minutes and 3
hours", never "between 41 and 176 minutes". What is predicted is said each time.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

from outlast.observatory.recovery import Forecast, TooFew
from outlast.observatory.words import Lang, provider_name

_MIN, _H, _DAY = 60, 3600, 86400
_STEPS_S = (
    0,
    *(minutes * _MIN for minutes in (1, 2, 3, 5, 10, 15, 20, 25, 30, 40, 50)),
    *(hours * _H for hours in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18)),
    *(days * _DAY for days in (1, 1.5, 2, 3, 4, 5, 6, 7, 10, 14)),
)


def words(forecast: Forecast | TooFew, lang: Lang) -> str:
    """Return what the forecast says, as one to three sentences."""
    if isinstance(forecast, TooFew):
        return _too_few(forecast, lang)
    return f"{_interval(forecast, lang)} {_meaning(forecast, lang)}"


def basis_words(forecast: Forecast, provider: str, lang: Lang) -> str:
    """Return what it rests on: how many past outages, and how many of them are alike."""
    name, n, own = provider_name(provider), forecast.n, forecast.n_provider
    if lang == "fr":
        return f"D'après {n} pannes passées qui ont duré au moins autant, dont {own} chez {name}."
    return f"From {n} past outages that lasted at least as long, {own} of them at {name}."


def _interval(forecast: Forecast, lang: Lang) -> str:
    likely = _range(_down(forecast.low_50_s), _up(forecast.high_50_s), lang)
    least, most = _down(forecast.low_80_s), _up(forecast.high_80_s)
    if lang == "fr":
        long = f"jusqu'à {_span(most, lang)}" if most < math.inf else "plus de deux semaines"
        if least:
            little = _span(least, lang)
            que = "qu'" if little.startswith("un") else "que "
            rest = f"cela peut ne prendre {que}{little}, ou durer {long}"
        else:
            rest = f"c'est peut-être fini d'un moment à l'autre, mais cela peut durer {long}"
        return f"Le plus probable : {likely} ; {rest}."
    long = f"as long as {_span(most, lang)}" if most < math.inf else "more than two weeks"
    if least:
        rest = f"it could be as little as {_span(least, lang)} or {long}"
    else:
        rest = f"it could be over at any moment, or last {long}"
    return f"Most likely {likely}; {rest}."


def _range(low: float, high: float, lang: Lang) -> str:
    """The likely times; open to one side where a bound says nothing."""
    if high == math.inf:
        return f"{'plus' if lang == 'fr' else 'more than'} {_than(_span(low, lang), lang)}"
    if low == 0:
        return f"{'moins' if lang == 'fr' else 'less than'} {_than(_span(high, lang), lang)}"
    if low == high:
        return f"{'environ' if lang == 'fr' else 'about'} {_span(low, lang)}"
    between, and_ = ("entre", "et") if lang == "fr" else ("between", "and")
    return f"{between} {_span(low, lang)} {and_} {_span(high, lang)}"


def _meaning(forecast: Forecast, lang: Lang) -> str:
    if lang == "fr":
        return (
            "C'est le temps qu'il reste jusqu'à ce que tout aille bien, et le reste 15 minutes "
            f"sans rechute, estimé d'après {forecast.n} pannes passées : la moitié de telles "
            "pannes finissent dans le premier intervalle, huit sur dix dans le second."
        )
    return (
        "This is the time left until all is well and stays so for 15 minutes without a relapse, "
        f"estimated from {forecast.n} past outages: half of such outages end within the first "
        "range, eight in ten within the second."
    )


def _too_few(forecast: TooFew, lang: Lang) -> str:
    n, needed = forecast.n, forecast.needed
    if lang == "fr":
        return (
            f"Pas assez d'historique pour dire quand ce sera fini : {n} "
            f"{'panne passée' if n < 2 else 'pannes passées'} "
            f"{'a' if n < 2 else 'ont'} duré aussi longtemps, il en faut {needed}."
        )
    return (
        f"Not enough history to say when it will be over: {n} past "
        f"{'outage' if n == 1 else 'outages'} lasted this long, {needed} are needed."
    )


def _down(seconds: float) -> float:
    return _STEPS_S[max(0, bisect_right(_STEPS_S, seconds) - 1)]


def _up(seconds: float) -> float:
    """The next step, never "no time at all"; infinite beyond the last."""
    place = bisect_left(_STEPS_S, max(seconds, 1.0))
    return _STEPS_S[place] if place < len(_STEPS_S) else math.inf


def _than(span: str, lang: Lang) -> str:
    if lang == "en":
        return span
    return f"d'{span}" if span.startswith("un") else f"de {span}"


def _span(seconds: float, lang: Lang) -> str:
    if seconds < _H:
        return _counted(seconds / _MIN, "minute", lang)
    if seconds < _DAY:
        return _counted(seconds / _H, "hour" if lang == "en" else "heure", lang)
    if lang == "fr" and seconds % _DAY:
        return _counted(seconds / _H, "heure", lang)
    return _counted(seconds / _DAY, "day" if lang == "en" else "jour", lang)


def _counted(value: float, unit: str, lang: Lang) -> str:
    """`an hour`, `1½ hours`, `3 hours`; `une heure`, `une heure et demie`, `3 heures`."""
    whole, half = int(value), value % 1 != 0
    if whole == 1 and lang == "fr":
        said = f"{'un' if unit == 'jour' else 'une'}\u00a0{unit}"
    elif whole == 1 and not half:
        said = f"{'an' if unit == 'hour' else 'a'}\u00a0{unit}"
    else:
        said = f"{whole}{'½' if half and lang == 'en' else ''}\u00a0{unit}s"
    return f"{said} et demie" if half and lang == "fr" else said
