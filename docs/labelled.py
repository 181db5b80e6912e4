"""Marks tables for ``pages.css``: what their columns are called, for telephones, and which of them list flags."""

from docutils import nodes


def label(app, document, _):
    """Put each column's heading into its cells, shown where a table has become a list and its head is gone."""
    if app.builder.format != "html":
        return
    for table in document.findall(nodes.table):
        group = next(table.findall(nodes.tgroup))
        heads = [row for part in group.findall(nodes.thead) for row in part]
        if not heads:
            continue
        headings = [entry.children for entry in heads[0]]
        if heads[0][0].astext() == "flag":
            table["classes"].append("flags")
        rows = [row for part in group.findall(nodes.tbody) for row in part]
        if len(headings) > 2 and not _speaks_for_itself(rows):
            _fill(rows, headings)


def _speaks_for_itself(rows):
    """Figures stay a table on a telephone; a name with its type or value needs no heading."""
    if any("text-right" in entry["classes"] for row in rows for entry in row):
        return True
    return all(_is_code(row[1]) for row in rows)


def _is_code(entry):
    return (
        len(entry) == 1
        and len(entry[0]) == 1
        and isinstance(entry[0][0], nodes.literal)
    )


def _fill(rows, headings):
    for row in rows:
        for entry, heading in list(zip(row, headings, strict=True))[1:]:
            if heading and entry.children:
                words = [child.deepcopy() for child in heading[0]]
                named = nodes.inline("", "", *words, classes=["column"])
                entry[0].insert(0, [named, nodes.Text(" ")])


def setup(app):
    """Register with Sphinx, behind what takes columns away."""
    app.connect("doctree-resolved", label, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
