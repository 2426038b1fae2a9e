"""Formulas: read once, worked out for a record.

The operators and functions that packages here use; a formula with another one is refused when it is
read, not taken for something else. Numbers are exact, and a half is rounded away from zero.
Sources: https://help.salesforce.com/s/articleView?id=platform.customize_functions.htm and, for
negative numbers, ?id=platform.customize_functions_round.htm and customize_functions_floor.htm
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_UP,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    localcontext,
)
from functools import cached_property, lru_cache
from typing import Any

Values = Mapping[str, Any]
Term = Callable[[Values], Any]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<comment>/\*.*?\*/)
    | (?P<number>\d+(?:\.\d+)?|\.\d+)
    | "(?P<text>(?:[^"\\]|\\.)*)"
    | '(?P<quoted>(?:[^'\\]|\\.)*)'
    | \{!(?P<merge>[$\w.]+)\}
    | (?P<name>\$?[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)
    | (?P<sign><=|>=|<>|!=|==|&&|\|\||[-+*/&=<>(),!])
    )""",
    re.VERBOSE | re.DOTALL,
)
_DIGITS = 60
BEFORE = "before:"
"""Begins the names under which formulas ask for what fields held before a record is saved."""

NEW, TODAY = "is new", "today"
"""The names under which they ask whether it is new, and for the day."""


class Unreadable(ValueError):
    """A formula that is wrong, or uses what is not known here."""


class WorkedOutWrong(ValueError):
    """What Salesforce shows as ``#Error!``: no number where one is needed, a division by zero."""


@dataclass(frozen=True)
class Formula:
    """A formula that was read.

    Attributes:
        uses: The fields, resources and global values that it refers to, each with the function
            that it stands in; none: an empty one.
        worked_out: Its value, given theirs.
    """

    uses: frozenset[tuple[str, str]]
    worked_out: Term

    @cached_property
    def names(self) -> frozenset[str]:
        """The fields, resources and global values that it refers to."""
        return frozenset(name for name, _ in self.uses)


@lru_cache(maxsize=1000)
def read_formula(text: str) -> Formula:
    """Read a formula.

    Raises:
        Unreadable: with the reason.
    """
    return _Reader(text).read()


class _Reader:
    """Reads by precedence: or, and, comparison, sum, product, sign."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._uses: set[tuple[str, str]] = set()
        self._function = ""
        position, text = 0, text.strip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.end() == position:
                raise Unreadable(f"{text[position : position + 20]!r} cannot be read")
            kind = str(found.lastgroup)
            if kind != "comment":
                self._tokens.append(("text" if kind == "quoted" else kind, found[kind]))
            position = found.end()
        self._tokens.append(("end", ""))

    def read(self) -> Formula:
        term = self._either()
        if self._tokens[0][0] != "end":
            raise Unreadable(f"{self._tokens[0][1]!r} is not expected")
        return Formula(frozenset(self._uses), term)

    def _next(self, *signs: str) -> str | None:
        kind, text = self._tokens[0]
        if kind == "sign" and text in signs:
            self._tokens.pop(0)
            return text
        return None

    def _expect(self, sign: str) -> None:
        if self._next(sign) is None:
            raise Unreadable(f"{sign!r} is missing before {self._tokens[0][1]!r}")

    def _chain(self, part: Callable[[], Term], signs: Mapping[str, Callable[..., Any]]) -> Term:
        left = part()
        while sign := self._next(*signs):
            left = _applied(signs[sign], [left, part()])
        return left

    def _logical(self, sign: str, function: str, part: Callable[[], Term]) -> Term:
        """Terms between the signs of a function, and that function of them."""
        terms = [part()]
        while self._next(sign):
            terms.append(part())
        return _LAZY[function][2](terms) if len(terms) > 1 else terms[0]

    def _either(self) -> Term:
        return self._logical("||", "OR", self._both)

    def _both(self) -> Term:
        return self._logical("&&", "AND", self._compared)

    def _compared(self) -> Term:
        return self._chain(self._sum, _COMPARISONS)

    def _sum(self) -> Term:
        return self._chain(self._product, _SUMS)

    def _product(self) -> Term:
        return self._chain(self._signed, _PRODUCTS)

    def _signed(self) -> Term:
        if self._next("-"):
            return _applied(lambda a: None if a is None else -_number(a), [self._signed()])
        if self._next("!"):
            return _applied(lambda a: not a, [self._signed()])
        return self._atom()

    def _atom(self) -> Term:
        kind, text = self._tokens.pop(0)
        match kind:
            case "number":
                return _constant(Decimal(text))
            case "text":
                return _constant(re.sub(r"\\(.)", r"\1", text))
            case "merge":
                return self._reference(text)
            case "name" if self._next("("):
                return self._call(text.upper())
            case "name" if text.upper() in _CONSTANTS:
                return _constant(_CONSTANTS[text.upper()])
            case "name":
                return self._reference(text)
            case "sign" if text == "(":
                inner = self._either()
                self._expect(")")
                return inner
        raise Unreadable(f"{text!r} is not expected" if text else "it ends too early")

    def _reference(self, name: str) -> Term:
        self._uses.add((name, self._function))
        return _reader_of(name)

    def _before(self, name: str) -> Term:
        """What a field held before it is saved, or whether it held something else."""
        kind, field = self._tokens.pop(0)
        if kind != "name":
            raise Unreadable(f"{name} takes a field")
        self._expect(")")
        self._uses.add((field, name))
        now, before = _reader_of(field), _reader_of(f"{BEFORE}{field}")
        if name == "PRIORVALUE":
            return before
        return _applied(lambda value, old: not _equal(value, old), [now, before])

    def _call(self, name: str) -> Term:
        if name in {"ISCHANGED", "PRIORVALUE"}:
            return self._before(name)
        arguments = self._arguments(name)
        if name in _LAZY:
            least, most, build = _LAZY[name]
        elif name in _FUNCTIONS:
            least, most, act = _FUNCTIONS[name]

            def build(terms: list[Term]) -> Term:
                return _applied(act, terms)

        else:
            raise Unreadable(f"the function {name} is not known here")
        if not least <= len(arguments) <= most:
            raise Unreadable(f"{name} does not take {len(arguments)} arguments")
        return build(arguments)

    def _arguments(self, name: str) -> list[Term]:
        outside, self._function = self._function, name
        arguments: list[Term] = []
        if self._next(")") is None:
            arguments.append(self._either())
            while self._next(","):
                arguments.append(self._either())
            self._expect(")")
        self._function = outside
        return arguments


def _reader_of(name: str) -> Term:
    return lambda values: _exact(values[name])


def _constant(value: Any) -> Term:
    return lambda _values: value


def _applied(act: Callable[..., Any], terms: list[Term]) -> Term:
    return lambda values: act(*(term(values) for term in terms))


def _exact(value: Any) -> Any:
    return Decimal(repr(value)) if isinstance(value, float) else value


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float):
        raise WorkedOutWrong(f"{value!r} is no number")
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _arithmetic(act: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Any, Any], Any]:
    def worked_out(left: Any, right: Any) -> Any:
        if left is None or right is None:
            return None
        try:
            with localcontext(prec=_DIGITS):
                return act(_number(left), _number(right))
        except (DivisionByZero, InvalidOperation):
            raise WorkedOutWrong("a division by zero") from None

    return worked_out


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        return f"{left or ''}{right or ''}"
    return _arithmetic(lambda a, b: a + b)(left, right)


def _equal(left: Any, right: Any) -> bool:
    blank = (None, "")
    return left in blank if right in blank else bool(left == right)


def _ordered(act: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: left is not None and right is not None and act(left, right)


def _rounded(number: Any, digits: Any) -> Decimal | None:
    if number is None or digits is None:
        return None
    with localcontext(prec=_DIGITS):
        return _number(number).quantize(Decimal(1).scaleb(-int(digits)), ROUND_HALF_UP)


def _without_fraction(number: Any) -> Decimal | None:
    return None if number is None else _number(number).to_integral_value(ROUND_DOWN)


def _last_letters(text: str | None, count: Any) -> str | None:
    return None if text is None else text[max(len(text) - int(count), 0) :]


def _is_number(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)\s*", text) is not None


def _value(text: Any) -> Decimal | None:
    if text in (None, ""):
        return None
    if not _is_number(text):
        raise WorkedOutWrong(f"{text!r} is no number")
    return Decimal(text.strip())


def _text(value: Any) -> str:
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        text = f"{_number(value):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return "" if value is None else str(value)


def _case(terms: list[Term]) -> Term:
    asked, *rest = terms
    if len(rest) % 2 == 0:
        raise Unreadable("CASE needs pairs of a value and a result, and what else")
    *pairs, otherwise = rest

    def worked_out(values: Values) -> Any:
        value = asked(values)
        for case, result in zip(pairs[::2], pairs[1::2], strict=True):
            if _equal(value, case(values)):
                return result(values)
        return otherwise(values)

    return worked_out


def _if(terms: list[Term]) -> Term:
    test, then, otherwise = terms
    return lambda values: then(values) if test(values) else otherwise(values)


_MANY = 1000
_CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None}
_COMPARISONS: dict[str, Callable[..., Any]] = {
    "=": _equal,
    "==": _equal,
    "<>": lambda a, b: not _equal(a, b),
    "!=": lambda a, b: not _equal(a, b),
    "<": _ordered(lambda a, b: bool(a < b)),
    "<=": _ordered(lambda a, b: bool(a <= b)),
    ">": _ordered(lambda a, b: bool(a > b)),
    ">=": _ordered(lambda a, b: bool(a >= b)),
}
_SUMS: dict[str, Callable[..., Any]] = {
    "+": _plus,
    "-": _arithmetic(lambda a, b: a - b),
    "&": lambda a, b: _text(a) + _text(b),
}
_PRODUCTS: dict[str, Callable[..., Any]] = {
    "*": _arithmetic(lambda a, b: a * b),
    "/": _arithmetic(lambda a, b: a / b),
}
_LAZY: dict[str, tuple[int, int, Callable[[list[Term]], Term]]] = {
    "AND": (1, _MANY, lambda terms: lambda values: all(term(values) for term in terms)),
    "OR": (1, _MANY, lambda terms: lambda values: any(term(values) for term in terms)),
    "CASE": (4, _MANY, _case),
    "IF": (3, 3, _if),
    "ISNEW": (0, 0, lambda _: _reader_of(NEW)),
    "TODAY": (0, 0, lambda _: _reader_of(TODAY)),
}
"""Functions that work out no more of their arguments than they need."""

_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "ABS": (1, 1, lambda number: None if number is None else abs(_number(number))),
    "BLANKVALUE": (2, 2, lambda value, other: other if value in (None, "") else value),
    "CONTAINS": (2, 2, lambda text, part: (part or "") in (text or "")),
    "FLOOR": (1, 1, _without_fraction),
    "ISBLANK": (1, 1, lambda value: value in (None, "")),
    "ISNUMBER": (1, 1, _is_number),
    "ISPICKVAL": (2, 2, _equal),
    "LEFT": (2, 2, lambda text, count: None if text is None else text[: int(count)]),
    "LEN": (1, 1, lambda text: Decimal(len(text or ""))),
    "MAX": (1, _MANY, lambda *values: max(map(_number, values))),
    "MIN": (1, _MANY, lambda *values: min(map(_number, values))),
    "NOT": (1, 1, lambda value: not value),
    "RIGHT": (2, 2, _last_letters),
    "ROUND": (2, 2, _rounded),
    "TEXT": (1, 1, _text),
    "UPPER": (1, 1, lambda text: None if text is None else text.upper()),
    "VALUE": (1, 1, _value),
}
"""By name: the fewest and the most arguments, and what is done with their values."""
