"""Several results of one network as one, so that they share a plot."""

from collections.abc import Iterable
from dataclasses import replace

from fmzip.report.fields import flatten
from fmzip.report.result import Coded, Result


def is_digest(key: str) -> bool:
    """Whether a key of a manifest names a digest, of weights or pictures."""
    return any(word in key for word in ("hash", "digest", "sha"))


def merge(results: Iterable[Result]) -> list[Result]:
    """Results of the same network on the same pictures as one, so that they share a plot.

    Codecs of one name with other configurations get it beside their name, and stay one family.
    """
    groups: list[list[Result]] = []
    for result in results:
        same = next((group for group in groups if _same(group[0], result)), None)
        if same is None:
            groups.append([result])
        else:
            same.append(result)
    return [_merged(group) for group in groups]


def _same(a: Result, b: Result) -> bool:
    def key(result: Result) -> object:
        hashes = {k: v for k, v in flatten(result.manifest) if is_digest(k)}
        maps = [(layer.name, layer.shape) for layer in result.codecs[0].layers]
        return result.network, result.baseline, hashes, maps

    return key(a) == key(b)


def _merged(group: list[Result]) -> Result:
    if len(group) == 1:
        return group[0]
    codecs: dict[str, Coded] = {}
    for result in group:
        for coded in result.codecs:
            name, number = coded.name, 2
            known = codecs.get(name)
            if known is not None and replace(known, config={}) == replace(coded, config={}):
                continue  # the same baseline, in both
            if known is not None:
                other = dict(flatten(known.config))
                new = [f"{k} {v}" for k, v in flatten(coded.config) if other.get(k) != v]
                name = f"{name} ({', '.join(new)})" if new else name
            while name in codecs:
                name, number = f"{coded.name} ({number})", number + 1
            codecs[name] = replace(coded, name=name)
    return replace(group[0], codecs=tuple(codecs.values()))
