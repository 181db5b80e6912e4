"""Folds the tests of "What can go wrong" away: each row keeps two columns, and opens to show what holds it."""

from html import escape

from docutils import nodes

PAGE = "what-can-go-wrong"
_FOLDED = (
    '<details><summary title="The test that holds this">test</summary>'
    "<code>{}</code></details>"
)


def fold(app, document, name):
    """Turn the third column of each table into a part of the second one that opens."""
    if name != PAGE or app.builder.format != "html":
        return
    for group in document.findall(nodes.tgroup):
        if group["cols"] != 3:
            continue
        group["cols"] = 2
        group.remove(
            next(
                spec
                for spec in reversed(group.children)
                if isinstance(spec, nodes.colspec)
            )
        )
        for row in group.findall(nodes.row):
            _, content, tests = row.children
            row.remove(tests)
            if not isinstance(row.parent, nodes.thead):
                names = map(_breakable, tests.findall(nodes.literal))
                folded = _FOLDED.format("<br>".join(names))
                content += nodes.raw("", folded, format="html")


def _breakable(literal):
    """A test's name that may go on in the next line."""
    return (
        escape(literal.astext())
        .replace("_", "_<wbr>")
        .replace("/", "/<wbr>")
        .replace("::", "::<wbr>")
    )


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-resolved", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
