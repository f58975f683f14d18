"""Numbers and names as the report writes them."""

from collections.abc import Sequence

MISSING = "\N{EN DASH}"
SPACE = "\N{NO-BREAK SPACE}"  # between a number and its unit


def shown(text: object, limit: int | None = None) -> str:
    """A name from a file: without control characters; the tail of it where it is too long."""
    clean = "".join(
        c if c.isprintable() or c == SPACE else "\N{REPLACEMENT CHARACTER}" for c in str(text)
    )
    return clean if limit is None or len(clean) <= limit else "…" + clean[1 - limit :]


def number(value: float | None, digits: int = 2) -> str:
    """With a minus sign and commas, no sign at zero: 1,234.50; a dash for None."""
    if value is None:
        return MISSING
    text = f"{value:,.{digits}f}"
    if not any(c in "123456789" for c in text):
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, digits: int = 2) -> str:
    """With a sign unless it is rounded to zero."""
    text = number(value, digits)
    grows = value is not None and value > 0 and any(c in "123456789" for c in text)
    return f"+{text}" if grows else text


def percent(fraction: float | None, digits: int = 1) -> str:
    return MISSING if fraction is None else f"{number(100 * fraction, digits)}{SPACE}%"


def interval(ends: tuple[float, float] | None, digits: int = 2) -> str:
    return MISSING if ends is None else f"{number(ends[0], digits)} to {number(ends[1], digits)}"


def joules(pj: float | None) -> str:
    """An energy in pJ with a prefix that fits it, three digits."""
    if pj is None:
        return MISSING
    for exponent, unit in ((12, "J"), (9, "mJ"), (6, "µJ"), (3, "nJ")):
        if abs(pj) >= 10**exponent * 0.9995:
            scaled = pj / 10**exponent
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{number(scaled, digits)}{SPACE}{unit}"
    return f"{number(pj, 0)}{SPACE}pJ"


def data(count: float | None) -> str:
    """A number of bytes with a prefix that fits it."""
    if count is None:
        return MISSING
    for exponent, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 10**exponent:
            return f"{number(count / 10**exponent, 1)}{SPACE}{unit}"
    return f"{number(count, 0)}{SPACE}B"


def size(shape: Sequence[int]) -> str:
    return "\N{MULTIPLICATION SIGN}".join(map(str, shape))


def listed(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), *names[-1:]])
