"""Syntax errors in words a newcomer understands.

Goal: turn what lark raises into one `Diagnostic` with a remedy; know the habits people bring along
from other languages.
Non-goals: recovery (see `tessera.lang.parse`).
"""

from __future__ import annotations

from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from tessera.errors import Span
from tessera.lang.diagnostics import Diagnostic, nearest
from tessera.lang.source import Source

_ITEMS = """
use spec platform class enum sort const param var function interface policy init action
invariant step promise lemma cover assume expect view simulate
"""
_STATEMENTS = "require let some least fresh for"
_EXPRESSIONS = "forall exists if then else and or not true false old exact as succeeds where in"
# These are words only where the grammar asks for them, and names elsewhere.
_ELSEWHERE = """
given except within with proved violated covered unreachable unbounded secure nonsecure device
granule width region at somewhere align config ta length run mark unless zone granules bytes
KiB MiB GiB Ki Mi Gi
"""
ITEM_WORDS = tuple(_ITEMS.split())
STATEMENT_WORDS = tuple(_STATEMENTS.split())
EXPRESSION_WORDS = tuple(_EXPRESSIONS.split())
PLACE_WORDS = tuple(_ELSEWHERE.split())
_WORDS = (*ITEM_WORDS, *STATEMENT_WORDS, *EXPRESSION_WORDS, *PLACE_WORDS)
_SPELLING = {
    "LPAR": "(",
    "RPAR": ")",
    "LBRACE": "{",
    "RBRACE": "}",
    "LSQB": "[",
    "COMMA": ",",
    "COLON": ":",
    "EQUAL": "=",
    "MORETHAN": ">",
    "DOT": ".",
    "TILDE": "~",
    "NAME": "a name",
    "INT": "a number",
    "STRING": 'a "text"',
    "WORLD": "secure, nonsecure or device",
    "SOMEWHERE": "somewhere",
    "VERDICT": "proved, violated, covered or unreachable",
    "SCALE": "KiB, MiB or GiB",
    "UNIT": "granules or bytes",
    "COMPARE": "a comparison",
    "__ANON_0": "..",
    "__ANON_1": ":=",
    "__ANON_2": "=>",
}
# What continues an expression says little about what is missing.
_OPERATORS = {"ADDOP", "MULOP", "BITOP", "SHIFTOP", "COMPARE", "AS", "AND", "OR", "SUCCEEDS"} | {
    "__ANON_2",
    "DOT",
}
_STARTS = {"NAME", "INT", "LPAR", "TRUE"}
# Habits from other languages; looked up by what stands there.
_HABITS = {
    "!": "write: not",
    "&&": "write: and",
    "||": "write: or",
    "|": "write: or",
    "&": "write: and",
    ";": "nothing ends with ';' here: drop it",
    "//": "a comment starts with #",
    "/*": "a comment starts with #",
    "'": 'texts stand between double quotes: "..."',
    '"': 'the text has no end: close it with " on the same line',
    "->": "write: =>",
    "==>": "write: =>",
    "<=>": "write: ==",
    "?": "write: if ... then ... else ...",
    "@": "remove it",
    "-": "there are no negative numbers: all integers are unsigned",
    "implies": "write: =>",
    "iff": "write: ==",
    "return": "a function is one expression: function NAME(...): TYPE = ...",
    "def": "write: function NAME(...): TYPE = ...",
    "fn": "write: function NAME(...): TYPE = ...",
    "int": "choose a width: u8 u16 u32 u64 usize paddr",
    "elif": "write: else if ... then ... else ...",
    "include": 'write: use "PATH"',
    "import": 'write: use "PATH"',
}


def explain(error: UnexpectedInput, source: Source) -> tuple[Diagnostic, int]:
    """The error in words, and the place in the text (from 0) where it stands."""
    match error:
        case UnexpectedToken() if error.token.type != "$END":
            return _token(error, source)
        case UnexpectedCharacters():
            return _character(error, source)
        case _:
            return _end(error, source)


def _end(error: UnexpectedInput, source: Source) -> tuple[Diagnostic, int]:
    """The caret stands after the last thing that is not blank or a comment."""
    lines = source.lines
    line = len(lines)
    while line > 1 and not _code(lines[line - 1]):
        line -= 1
    column = len(_code(lines[line - 1])) + 1
    span = Span(source.name, line, column, line, column + 1)
    remedy = "something is missing at the end: close the last block or finish the last item"
    if isinstance(error, UnexpectedToken | UnexpectedEOF):
        allowed = _allowed(error)
        if allowed:
            remedy = f"what may come next: {allowed}"
        if "RBRACE" in _names(error):
            remedy = "a '{' above is not closed: add '}'"
        elif "RPAR" in _names(error):
            remedy = "a '(' above is not closed: add ')'"
    return Diagnostic(span, "the file ends too early", remedy), len(source.text)


def _code(line: str) -> str:
    quoted = False
    for place, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        elif char == "#" and not quoted:
            return line[:place].rstrip()
    return line.rstrip()


def _token(error: UnexpectedToken, source: Source) -> tuple[Diagnostic, int]:
    token = error.token
    text = str(token)
    line, column = token.line or 1, token.column or 1
    span = Span(source.name, line, column, line, column + len(text))
    shown = text if len(text) <= 40 else text[:37] + "..."
    position = token.start_pos or 0
    remedy = _statement(error, source.text[:position])
    remedy = remedy or _habit(source.text, position, text) or _missing(error, text) or _near(text)
    if not remedy:
        allowed = _allowed(error)
        remedy = (
            f"what may stand here: {allowed}"
            if allowed
            else "check the line above: something may be missing there"
        )
    return Diagnostic(span, f"'{shown}' is not expected here", remedy), position


def _statement(error: UnexpectedToken, before: str) -> str:
    """Remedies where a word that starts no update here was read as the name of a variable."""
    if "__ANON_1" not in _names(error):
        return ""
    start = before.replace("}", "\n").replace("{", "\n").rpartition("\n")[2].split("(")[0].split()
    word = start[-1] if start else ""
    if word == "if":
        return (
            "there is no 'if' statement: write VAR := if C then A else B, "
            "or an action for each case with a 'require'"
        )
    if word in ("while", "do", "switch"):
        return "an action is one step without loops: 'for ... { VAR := ... }' changes many places"
    if word == "for":
        return "'for' is not nested: bind several names, for a: S, b: T { VAR(a, b) := ... }"
    if word in STATEMENT_WORDS:
        return f"inside 'for' stand updates only: put '{word}' before it, or use 'where'"
    return ""


def _near(text: str) -> str:
    return nearest(text, _WORDS) if text not in _WORDS else ""


def _habit(text: str, position: int, token: str) -> str:
    """A habit from another language in the two or three characters around the place."""
    if not token[:1].isalnum():
        for start in (position, position - 1, position - 2):
            for length in (3, 2):
                window = text[max(0, start) : max(0, start) + length]
                if position < start + length and window in _HABITS:
                    return _HABITS[window]
    return _HABITS.get(token, "")


def _missing(error: UnexpectedToken, text: str) -> str:
    """Remedies that follow from what the parser was waiting for."""
    names = _names(error)
    if text == "=" and "COMPARE" in names:
        return "compare with '=='"
    if text in ("=", "==") and "__ANON_1" in names:
        return "write ':=' to assign"
    if error.token.type == "COMPARE" and "AND" in names:
        return "comparisons do not chain: write a < b and b < c"
    if text == ":=" and "EQUAL" in names:
        return "write '='"
    if text in ITEM_WORDS and "RBRACE" in names:
        return f"if '{text}' starts a new item, a '}}' is missing above"
    if text in ITEM_WORDS and "RPAR" in names:
        return f"if '{text}' starts a new item, a ')' is missing above"
    if text == "}" and "RPAR" in names:
        return "a ')' is missing before it"
    if text in _WORDS and "NAME" in names:
        return f"'{text}' is a word of the language: choose another name"
    return ""


def _names(error: UnexpectedToken | UnexpectedEOF) -> set[str]:
    if isinstance(error, UnexpectedToken):
        return set(error.accepts or error.expected or ())
    return set(error.expected or ())


def _allowed(error: UnexpectedToken | UnexpectedEOF) -> str:
    """What the parser would have taken, when that is short enough to help."""
    names = _names(error) - {"$END"}
    if names >= _STARTS:
        return "an expression, e.g. a name, a number or ( ... )"
    few = names - _OPERATORS
    spelled = sorted(_SPELLING.get(name, name.lower()) for name in few)
    return " ".join(spelled) if 0 < len(spelled) <= 10 else ""


def _character(error: UnexpectedCharacters, source: Source) -> tuple[Diagnostic, int]:
    position = error.pos_in_stream or 0
    char = source.text[position]
    span = Span(source.name, error.line, error.column, error.line, error.column + 1)
    shown = f"'{char}'" if char.isprintable() else f"U+{ord(char):04X}"
    remedy = _habit(source.text, position, char) or "remove it"
    return Diagnostic(span, f"the character {shown} has no meaning here", remedy), position
