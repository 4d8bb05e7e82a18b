"""The evidence chain: whatever is changed later is seen."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import InputError
from evaluation.evidence_chain import START, Entry, append, verify

NAMES = ("predictions.csv", "policy.toml", "tables/gaps.csv", "report.html")


@pytest.fixture
def folder(tmp_path):
    """A folder with four files and their evidence, written in two goes."""
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"content of {name}")
    entries = [Entry.of_file(name.split(".")[0], tmp_path / name, tmp_path) for name in NAMES]
    append(tmp_path / "evidence.jsonl", entries[:2])
    append(tmp_path / "evidence.jsonl", entries[2:])
    return tmp_path


def chain(folder):
    return folder / "evidence.jsonl"


def test_an_untouched_folder_has_no_fault(folder):
    assert verify(chain(folder), folder) == []
    lines = [json.loads(line) for line in chain(folder).read_text().splitlines()]
    assert [line["place"] for line in lines] == [1, 2, 3, 4]
    assert [line["previous"] for line in lines] == [
        START,
        *(line["hash"] for line in lines[:3]),
    ]
    assert lines[2]["name"] == "tables/gaps.csv"


def test_the_bytes_do_not_depend_on_when_or_in_how_many_goes(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "evidence.jsonl"
    last = append(
        other, [Entry.of_file(name.split(".")[0], folder / name, folder) for name in NAMES]
    )
    assert other.read_bytes() == chain(folder).read_bytes()
    assert last == append(chain(folder), [])


@given(st.data())
def test_any_changed_byte_is_seen(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("chain")
    entry = Entry(what="report", name="r", sha256="a" * 64, beside=False, who="Zoë \x00\n")
    last = append(chain(folder), [entry] * 3)
    content = bytearray(chain(folder).read_bytes())
    assert verify(chain(folder), folder, last) == []
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    chain(folder).write_bytes(content)
    assert verify(chain(folder), folder)
    with pytest.raises(InputError):
        append(chain(folder), [entry])
    assert chain(folder).read_bytes() == content


def rewritten(folder, change):
    lines = chain(folder).read_bytes().splitlines(keepends=True)
    chain(folder).write_bytes(b"".join(change(lines)))
    return verify(chain(folder), folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:1] + lines[2:],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [*lines, lines[3]],
        lambda lines: [*lines[:2], b"\n", *lines[2:]],
        lambda lines: [*lines, b"{}\n"],
        lambda lines: [*lines[:3], lines[3][:-1]],
        lambda lines: [*lines[:3], lines[3].replace(b"\n", b"\r\n")],
        lambda lines: [lines[0].replace(b'{"', b'{ "'), *lines[1:]],
        lambda lines: [b"[" * 10_000 + b"\n", *lines[1:]],
    ],
)
def test_removed_moved_added_and_reformatted_lines_are_seen(folder, change):
    assert rewritten(folder, change)


def test_a_cut_end_is_seen_only_by_the_hash_that_was_kept(folder):
    last = append(chain(folder), [])
    assert rewritten(folder, lambda lines: lines[:3]) == []
    (fault,) = verify(chain(folder), folder, last)
    assert "hash was kept" in str(fault)


def test_an_edited_line_with_a_fitting_hash_breaks_the_next(folder):
    lines = chain(folder).read_text().splitlines()
    forged = chain(folder).with_name("forged.jsonl")
    entry = Entry(what="policy", name="policy.toml", sha256="0" * 64)
    forged.write_text(lines[0] + "\n")
    append(forged, [entry])
    second = forged.read_text().splitlines()[1]
    faults = rewritten(folder, lambda kept: [kept[0], f"{second}\n".encode(), *kept[2:]])
    assert [fault.row for fault in faults if fault.row] == [3]


def test_changed_and_missing_files_are_named(folder):
    (folder / "policy.toml").write_text("weaker")
    (folder / "report.html").unlink()
    changed, missing = map(str, verify(chain(folder), folder))
    assert "policy.toml: it is not the policy that was recorded in line 2" in changed
    assert "report.html: the recorded file is missing" in missing


def test_the_last_entry_of_a_name_counts(folder):
    (folder / "report.html").write_text("second edition")
    assert verify(chain(folder), folder)
    append(chain(folder), [Entry.of_file("report", folder / "report.html", folder)])
    assert verify(chain(folder), folder) == []


def test_a_file_elsewhere_is_recorded_and_not_looked_for(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "embeddings.npz"
    elsewhere.write_bytes(b"x")
    entry = Entry.of_file("embeddings", elsewhere, folder, time="2025-06-30T12:00:00Z")
    assert (entry.name, entry.beside) == ("embeddings.npz", False)
    append(chain(folder), [entry])
    elsewhere.unlink()
    assert verify(chain(folder), folder) == []
    assert '"time":"2025-06-30T12:00:00Z"' in chain(folder).read_text()


def test_the_first_broken_line_is_named_and_the_file_left(folder):
    content = chain(folder).read_bytes().replace(b"policy", b"police")
    chain(folder).write_bytes(content)
    with pytest.raises(InputError, match="row 2: the line was changed") as caught:
        append(chain(folder), [Entry(what="a", name="a", sha256="0" * 64)])
    assert len(caught.value.faults) == 1
    assert chain(folder).read_bytes() == content


@pytest.mark.parametrize(
    "values",
    [
        {"name": "../secret"},
        {"name": "/etc/passwd"},
        {"name": "a\\b"},
        {"name": "a\nb"},
        {"sha256": "A" * 64},
        {"time": "yesterday"},
        {"time": "2025-06-30T12:00:00+02:00"},
        {"what": ""},
    ],
)
def test_entries_that_do_not_fit_are_refused(values):
    with pytest.raises(InputError):
        Entry.parse({"what": "a", "name": "a", "sha256": "0" * 64} | values, "entry")


def test_missing_files_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        verify(tmp_path / "evidence.jsonl", tmp_path)
    with pytest.raises(InputError, match="no such file"):
        Entry.of_file("report", tmp_path / "none", tmp_path)
