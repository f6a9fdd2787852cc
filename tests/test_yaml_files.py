import pytest

from metauas.errors import InputError
from metauas.files.yaml import MAX_BYTES, MAX_DEPTH, read_mapping

LAUGHS = "a: &a [x, x]\n" + "\n".join(f"{b}: &{b} [*{a}, *{a}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


def read(folder, text):
    (folder / "my.yaml").write_text(text)
    return read_mapping(folder / "my.yaml", example="size: 96")


def test_a_mapping_is_read_and_its_doubled_keys_are_told(tmp_path):
    assert read(tmp_path, "a: 1\nb: {c: [2, x]}\na: 3\n") == (
        {"a": 3, "b": {"c": [2, "x"]}},
        ["'a' stands there 2 times; keep one"],
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; write lines such as `size: 96`"),
        ("[1]", "holds a list, not a mapping"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor for the tag"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        (LAUGHS, r"line 2 refers to a value elsewhere \(\*name\); write it out"),
        ("a: &a [*a]", "line 1 refers to a value elsewhere"),
        ("a: &a {b: 1}\nc:\n  <<: *a", "line 3 refers to a value elsewhere"),
        ("a: " + "[" * 10_000, "nested more than 20 deep"),
        ("a: " + "{b: " * MAX_DEPTH + "1" + "}" * MAX_DEPTH, "nested more than 20 deep"),
        ("a: 1\n" * (MAX_BYTES // 5 + 1), f"more than {MAX_BYTES} bytes"),
        ("a: 2026-13-45", "not valid YAML: month must be in 1..12"),
        ("? [1]\n: 2", "unhashable key"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("a: \x07", "special characters are not allowed"),
    ],
)
def test_what_is_no_mapping_of_plain_values_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"(?s)my\.yaml .*{message}"):
        read(tmp_path, text)


def test_other_encodings_are_refused(tmp_path):
    (tmp_path / "my.yaml").write_bytes("a: größe".encode("latin-1"))
    with pytest.raises(InputError, match=r"my\.yaml is not valid YAML.*utf-8"):
        read_mapping(tmp_path / "my.yaml", example="size: 96")
