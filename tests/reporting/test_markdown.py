"""The Markdown forms: they fit where they go, and nothing that an endpoint says becomes markup."""

import html.parser

import pytest
from markdown_it import MarkdownIt

from conformance.reporting import markdown
from conformance.reporting import markdown_text as md
from conformance.reporting.model import Endpoint, Step, Where
from conformance.verdict.outcome import Outcome
from tests.report_builders import LONG_CURL, report, row, violation

WILD = (
    "`` ` ``` <img src=x onerror=a> <script>b</script> @everyone [l](javascript:c) ![i](http://t.test/x) | a\n"
    "# head\n```\n</details>\n~~~\n::error::x\x1b[31m <!-- &#64; https://t.test/y"
)


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = set()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def rendered(text):
    """As a browser sees it: GitHub's tables and raw HTML included."""
    found = Tags()
    found.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    return found


FORMS = [markdown.render, markdown.comment]


@pytest.mark.parametrize("render", FORMS)
def test_nothing_from_outside_becomes_markup(render):
    wild = violation(
        observed=WILD,
        expected=WILD,
        where=Where(WILD, "body", WILD),
        steps=(Step("POST", "/x", curl=f"curl {WILD}"),),
    )
    made = report(row("stream.index", "fail", "MUST", "lenient", wild), endpoint=Endpoint(WILD, WILD, WILD))
    found = rendered(render(made))
    assert found.tags <= {
        *("h2", "h3", "p", "strong", "code", "pre", "ul", "li", "details", "summary"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert "<script>b</script>" in found.text
    assert "\x1b" not in found.text


def test_the_outcome_comes_first_then_areas_then_the_worst():
    text = markdown.render(report())
    assert text.startswith("## ❌ NONCONFORMANT\n\n2 requirements are violated; 5 of 10 requirements exercised")
    order = ["| area |", "### Breaks clients", "`stream.index`", "### Lenient", "`tool_choice.lenient`", "### Cosmetic"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    found = rendered(text)
    assert {"table", "details"} <= found.tags
    assert LONG_CURL in found.text


def test_what_was_known_before_and_what_is_missing_is_told():
    text = markdown.render(report())
    assert "Waivers: 1 used, 1 expired" in text
    assert "### Against report.json of 2025" in text
    assert "`errors.x`" in text
    assert "### Could not be judged" in text
    assert "`--without errors.unsupported`" in text


@pytest.mark.parametrize(("outcome", "sign"), [("conformant", "✅"), ("incomplete", "⚠️"), ("no_verdict", "⚠️")])
def test_every_outcome_has_its_sign(outcome, sign):
    for render in FORMS:
        assert f"## {sign} {outcome.upper().replace('_', ' ')}" in render(report(outcome=Outcome(outcome)))


def test_a_report_without_rows_is_told_too():
    made = report(row("stream.fine"), gaps=(), waivers=(), baseline=None)
    made = type(made)(**{**made.__dict__, "rows": ()})
    assert "| area |" not in markdown.render(made)


def many(number, size):
    long = violation(observed="é" * size, steps=(Step("POST", "/x", curl="curl " + "é" * 3_900),))
    return report(*(row(f"stream.r{n}", "fail", "MUST", "lenient", long) for n in range(number)))


def test_a_report_fits_a_jobs_summary():
    text = markdown.render(many(400, 600))
    assert len(text.encode()) <= 1024 * 1024
    assert "more are in `report.json`" in text
    assert "### Against" in text


def test_a_comment_fits_and_names_the_worst():
    text = markdown.comment(many(400, 600))
    assert len(text) <= 65_536
    assert text.startswith("<!-- conformance -->\n")
    assert "- and 390 more" in text
    short = markdown.comment(report())
    assert "- **FAIL** MUST `stream.index` (breaks clients)" in short
    assert "stream.note" not in short
    assert "- expired: `errors.blocked`" in short
    assert "curl" not in short


def test_a_command_that_is_too_long_is_pointed_to():
    long = violation(steps=(Step("POST", "/x", curl="x" * 10_000),))
    text = markdown.render(report(row("stream.index", "fail", "MUST", "lenient", long)))
    assert "conformance replay <report> stream.index" in text
    assert "x" * 5_000 not in text


def test_our_own_words_are_no_markup_either():
    words = "a *b* _c_ <i> [x](y) `z` # &amp; @x https://t.test"
    shown = rendered(md.plain(words)).text.strip()
    assert shown.replace("\u200b", "") == words
    assert "@x" not in shown
    assert "://" not in shown
    assert rendered(md.code("a ``` b` ")).text.strip() == "a ``` b`"
    assert md.code("") == "` `"
