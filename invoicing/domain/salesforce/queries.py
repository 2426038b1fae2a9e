"""Queries in our names, put into an org's names.

Only names are touched: what stands in quotes is left alone, except a picklist's value where
the org has another word for it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from invoicing.domain.model.text import label
from invoicing.domain.salesforce.field_mapping import Names
from invoicing.errors import Rejected

TOKEN = re.compile(
    r"""(?P<space>\s*)(?P<text>
        '(?:\\.|[^'\\])*'                     # a text in quotes
      | [~A-Za-z_]\w*(?:\.[~A-Za-z_]\w*)*     # a name, or a path of names
      | [+-]?\d[\w:.+-]*                      # a number, a date, an instant
      | [<>!]=
      | \S
    )""",
    re.VERBOSE | re.DOTALL,
)
CLAUSES = frozenset(
    ["SELECT", "FROM", "USING", "WHERE", "WITH", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET"]
)
KEYWORDS = frozenset(["AND", "OR", "NOT", "IN", "LIKE", "INCLUDES", "EXCLUDES", "NULL"])


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a sign, and the space before it."""

    space: str
    text: str

    @property
    def word(self) -> str:
        """Itself, letter case aside."""
        return self.text.upper()


Tokens = list[Token]


@dataclass(frozen=True, slots=True)
class Translation:
    """A query in the org's names.

    Attributes:
        soql: Its text.
        dropped: Positions in the list of fields asked for which the org does not keep.
        meanings: Our values for the org's words, by position of a picklist in that list.
    """

    soql: str
    dropped: tuple[int, ...] = ()
    meanings: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def row(self, row: list[str]) -> list[str]:
        """A row of values in the order asked for: empty where nothing is kept, in our words."""
        for position in self.dropped:
            row.insert(position, "")
        for position, words in self.meanings.items():
            row[position] = words.get(row[position], row[position])
        return row


def translate(soql: str, names: Names) -> Translation:
    """Put a query into an org's names.

    What the org does not keep is neither asked for nor sorted by.

    Raises:
        Rejected: the query's condition is about a field that the org does not keep.
    """
    tokens = [Token(m["space"], m["text"]) for m in TOKEN.finditer(soql)]
    query = _Query(names)
    text = "".join(token.space + token.text for token in query.translate(tokens))
    return Translation(text, tuple(query.dropped), query.meanings)


class _Query:
    """One SELECT: the whole query, or one in parentheses."""

    def __init__(self, names: Names, parent: str = "") -> None:
        self._names = names
        self._parent = parent
        self._sobject = ""
        self.dropped: list[int] = []
        self.meanings: dict[int, Mapping[str, str]] = {}

    def translate(self, tokens: Tokens) -> Tokens:
        """The query in the org's names."""
        clauses = list(_clauses(tokens))
        source = next(clause[1] for clause in clauses if clause[0].word == "FROM")
        theirs = self._source(source.text)
        out: Tokens = []
        for clause in clauses:
            match clause[0].word:
                case "SELECT":
                    out += self._select(clause)
                case "FROM":
                    out += [clause[0], replace(clause[1], text=theirs), *clause[2:]]
                case "ORDER" | "GROUP":
                    out += self._sorting(clause)
                case "WHERE" | "HAVING":
                    out += self._condition(clause)
                case _:
                    out += clause
        return out

    def _source(self, name: str) -> str:
        if not self._parent:
            self._sobject = name
            return self._names.sobject(name)
        names = self._names.of(self._parent)
        self._sobject = names.schema.children.get(name, ("",))[0]
        return names.mapping.children.get(name, name)

    def _select(self, clause: Tokens) -> Tokens:
        kept: list[Tokens] = []
        for position, item in enumerate(_items(clause[1:])):
            translated = self._nested(item, self._sobject) or self._item(item)
            if translated is None:
                self.dropped.append(position)
            else:
                kept.append(translated)
            words = self._names.meanings(self._sobject, item[0].text)
            if words:
                self.meanings[position] = words
        return [clause[0], *_joined(kept or [[Token(" ", "Id")]])]

    def _sorting(self, clause: Tokens) -> Tokens:
        kept = [item for raw in _items(clause[2:]) if (item := self._item(raw))]
        return [*clause[:2], *_joined(kept)] if kept else []

    def _item(self, item: Tokens) -> Tokens | None:
        """Some tokens with their names translated; None when one of these is not kept."""
        out: Tokens = []
        for token in item:
            theirs = self._named(token)
            if theirs is None:
                return None
            out.append(replace(token, text=theirs))
        return out

    def _named(self, token: Token) -> str | None:
        if not _is_name(token):
            return token.text
        return self._names.path(self._sobject, token.text)

    def _nested(self, tokens: Tokens, parent: str) -> Tokens | None:
        """A query in parentheses, translated; None when there is none."""
        if [token.word for token in tokens[:2]] != ["(", "SELECT"]:
            return None
        inner = _Query(self._names, parent).translate(tokens[1:-1])
        return [tokens[0], *inner, tokens[-1]]

    def _condition(self, clause: Tokens) -> Tokens:
        out: Tokens = []
        labels: dict[str, list[str]] = {}
        position = 0
        while position < len(clause):
            end = _end_of_nested(clause, position)
            token = clause[position]
            nested = self._nested(clause[position:end], "")
            if nested:
                out += nested
                position = end
                continue
            position += 1
            if token.text.startswith("'"):
                _say(out, token, labels)
                continue
            if _is_name(token) and token.word not in KEYWORDS:
                labels = self._names.labels(self._sobject, token.text)
            theirs = self._named(token)
            if theirs is None:
                raise Rejected(
                    f"This org keeps no {label(token.text)!r} of its invoices (see the field "
                    "mapping), and what was asked for cannot be done without."
                )
            out.append(replace(token, text=theirs))
        return out


def _say(out: Tokens, token: Token, labels: dict[str, list[str]]) -> None:
    """Write a text in quotes, in the org's words; several words make a list of it."""
    value = token.text[1:-1]
    words = [f"'{_escaped(word)}'" for word in labels.get(value, [])] or [token.text]
    said = ", ".join(words)
    if len(words) > 1 and out[-1].text in ("=", "!="):
        operator = "IN" if out[-1].text == "=" else "NOT IN"
        out[-1] = Token(" ", operator)
        said, token = f"({said})", replace(token, space=" ")
    out.append(replace(token, text=said))


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("'", "\\'")


def _is_name(token: Token) -> bool:
    return token.text[0].isalpha() or token.text[0] in "_~"


def _depths(tokens: Tokens) -> Iterator[tuple[int, Token]]:
    """Every token with the number of parentheses it stands in; these count as inside."""
    depth = 0
    for token in tokens:
        depth += token.text == "("
        yield depth, token
        depth -= token.text == ")"


def _clauses(tokens: Tokens) -> Iterator[Tokens]:
    clause: Tokens = []
    for depth, token in _depths(tokens):
        if depth == 0 and token.word in CLAUSES and clause:
            yield clause
            clause = []
        clause.append(token)
    yield clause


def _items(tokens: Tokens) -> Iterator[Tokens]:
    """The items that commas separate."""
    item: Tokens = []
    for depth, token in _depths(tokens):
        if depth == 0 and token.text == ",":
            yield item
            item = []
        else:
            item.append(token)
    yield item


def _joined(items: list[Tokens]) -> Tokens:
    out: Tokens = []
    for number, item in enumerate(items):
        out += [Token("", ",")] if number else []
        out += [replace(item[0], space=item[0].space or " "), *item[1:]]
    return out


def _end_of_nested(tokens: Tokens, start: int) -> int:
    """Position after the parentheses that begin here."""
    depth = 0
    for position in range(start, len(tokens)):
        depth += (tokens[position].text == "(") - (tokens[position].text == ")")
        if depth == 0:
            return position + 1
    return len(tokens)
