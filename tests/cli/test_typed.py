"""``mp-fetch typed``."""


def test_typed_prints_what_was_found_and_makes_a_view(mp_fetch):
    assert mp_fetch("profiles", "-q").code == 0
    done = mp_fetch("typed")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["column", "type", "coverage", "values"]
    created = next(line for line in lines if line.startswith("created "))
    assert created.split()[1] == "TIMESTAMP"
    # Aligned: every cell of a column starts at the same place.
    start = lines[0].index("coverage")
    assert created[start - 1 :].startswith(f" {created.split()[2]} ")
    assert any(line.startswith("UserName ") for line in lines)
    assert max(map(len, lines[:-1])) <= 80
    assert "columns of 1,030 profiles in view 'profiles_typed'" in lines[-1]


def test_typed_as_json_is_one_object_with_the_librarys_names(mp_fetch):
    assert mp_fetch("profiles", "people", "-q").code == 0
    told = mp_fetch("typed", "people", "--into", "wide", "--materialize", "--keep-properties", "--json").json
    assert (told["database"], told["table"], told["source"]) == ("mixpanel.duckdb", "wide", "people")
    assert (told["materialized"], told["rows"]) == (True, 1030)
    columns = {each["column"]: each for each in told["columns"]}
    assert columns["seats"]["mixed"] is True
    assert set(columns["seats"]["kinds"]) == {"text", "integer", "fraction"}
    assert mp_fetch("typed", "people", "--into", "wide").code == 0


def test_mistakes_are_said_in_a_sentence_with_the_right_code(mp_fetch, tmp_path):
    missing = mp_fetch("typed", "--database", "typo.duckdb")
    assert (missing.code, list(tmp_path.iterdir())) == (5, [])
    assert mp_fetch("profiles", "-q").code == 0
    for words in (["nobody"], ["_mixpanel_pages"], ["--into", "profiles"], ["--into", ""]):
        done = mp_fetch("typed", *words)
        assert (done.code, done.out) == (2, ""), words
        assert done.said[0].startswith("Error: "), words
        assert done.err.count("\n") == 1, words
    assert mp_fetch("typed", "nobody", "--json").json["error"]["code"] == "unsuitable_table"
    (tmp_path / "broken.duckdb").write_bytes(b"not a database at all" * 500)
    assert mp_fetch("typed", "--database", "broken.duckdb").code == 5
