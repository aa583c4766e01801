//! The grammar, rule by rule; each answer is what `java.util.Properties` of OpenJDK 21 gives.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let parsed = Properties::parse(text.as_bytes()).unwrap();
    let pairs: Vec<(&str, &str)> =
        parsed.entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
    assert_eq!(pairs, expected, "{text:?}");
}

#[test]
fn the_class_documentation_s_examples() {
    check("Truth = Beauty", &[("Truth", "Beauty")]);
    check(" Truth:Beauty", &[("Truth", "Beauty")]);
    check("Truth                    :Beauty", &[("Truth", "Beauty")]);
    check(
        "fruits                           apple, banana, pear, \\\n   cantaloupe, watermelon, \\\n \
         kiwi, mango",
        &[("fruits", "apple, banana, pear, cantaloupe, watermelon, kiwi, mango")],
    );
    check("cheeses", &[("cheeses", "")]);
    check("\\:\\=", &[(":=", "")]);
}

#[test]
fn separators() {
    check("a=b=c", &[("a", "b=c")]);
    check("a = = b", &[("a", "= b")]);
    check("a b c", &[("a", "b c")]);
    check("a : b", &[("a", "b")]);
    check("a :: b", &[("a", ": b")]);
    check("a\tb", &[("a", "b")]);
    check("a\x0C=\x0Cb", &[("a", "b")]);
    check("=b", &[("", "b")]);
    check("a=", &[("a", "")]);
    check("a\\ b=c", &[("a b", "c")]);
    check("us->eu.topics = .*", &[("us->eu.topics", ".*")]);
}

#[test]
fn white_space_and_comments() {
    check("\n\n  \t\n# a=b\n  ! c=d\na=b  \n", &[("a", "b  ")]);
    check("a=b # no comment", &[("a", "b # no comment")]);
    check("# comment \\\na=b", &[("a", "b")]);
    check("a=1\\\n# not a comment", &[("a", "1# not a comment")]);
    check("a=1\r\nb=2\rc=3\n", &[("a", "1"), ("b", "2"), ("c", "3")]);
}

#[test]
fn continuations() {
    check("a=b\\\n   c", &[("a", "bc")]);
    check("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]);
    check("a=b\\\\\\\nc=d", &[("a", "b\\c=d")]);
    check("a=b\\\r\n  c", &[("a", "bc")]);
    check("a=b\\\n\nc=d", &[("a", "b"), ("c", "d")]);
    check("a=b\\\n  \nc=d", &[("a", "b"), ("c", "d")]);
    check("a=b\\", &[("a", "b")]);
    check("a\\\n=b", &[("a", "b")]);
    check("a=\\\n\\\nb", &[("a", "b")]);
    check("\\\n  # x", &[]);
    check("\\\n\n# x", &[]);
    check("\\\n  a=b", &[("a", "b")]);
    check("\\", &[("", "")]);
    check("\\\n", &[("", "")]);
    check("\\\r\n", &[]);
    check("\\\n  ", &[]);
}

#[test]
fn escapes() {
    check("a=foo\\.bar", &[("a", "foo.bar")]);
    check("a=foo\\\\.bar", &[("a", "foo\\.bar")]);
    check("a=\\t\\n\\r\\f\\q\\\"", &[("a", "\t\n\r\x0Cq\"")]);
    check("a=\\u0041\\u00e9\\uD83D\\uDE00", &[("a", "Aé😀")]);
    check("\\u0061=b", &[("a", "b")]);
    check("a\\u003Db=c", &[("a=b", "c")]);
    let latin = Properties::parse(b"a=caf\xE9").unwrap();
    assert_eq!(latin.entries[0].value, "café");
    check("a=é", &[("a", "Ã©")]);
}

#[test]
fn the_only_error_has_a_place() {
    for (text, line, column) in [
        ("a=\\u12", 1, 3),
        ("x=y\nkey=ab\\u12G4", 2, 7),
        ("\\u=", 1, 1),
        ("a=b\\\n  \\u+041", 2, 3),
    ] {
        let error = Properties::parse(text.as_bytes()).unwrap_err();
        assert_eq!((error.place.line, error.place.column), (line, column), "{text:?}");
    }
}

#[test]
fn places() {
    let parsed = Properties::parse(b"# c\n  key = value\n\nlong=\\\n   here\nempty =").unwrap();
    let places: Vec<_> = parsed
        .entries
        .iter()
        .map(|entry| {
            let (key, value) = (entry.key_place, entry.value_place);
            ((key.line, key.column, key.length), (value.line, value.column, value.length))
        })
        .collect();
    assert_eq!(places, [((2, 3, 3), (2, 9, 5)), ((4, 1, 4), (5, 4, 4)), ((6, 1, 5), (6, 8, 0))]);
}

#[test]
fn the_last_of_a_repeated_key_wins() {
    let parsed = Properties::parse(b"a=1\nb=2\na=3\n").unwrap();
    assert_eq!(parsed.get("a").unwrap().value, "3");
    let overridden = parsed.overridden();
    assert_eq!(overridden.len(), 1);
    assert_eq!((overridden[0].0.key_place.line, overridden[0].1.key_place.line), (1, 3));
}

/// Writes a key or value so that Java reads it back: everything unusual as `\uXXXX`.
fn escaped(text: &str) -> String {
    text.encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect()
}

proptest! {
    #[test]
    fn what_was_written_is_read(pairs in proptest::collection::vec((".{1,12}", ".{0,12}"), 0..8)) {
        let text: String = pairs
            .iter()
            .map(|(key, value)| format!("  {}\t=  {}\r\n# x\n\n", escaped(key), escaped(value)))
            .collect();
        let parsed = Properties::parse(text.as_bytes()).unwrap();
        let read: Vec<(String, String)> =
            parsed.entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
        prop_assert_eq!(read, pairs);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Properties::parse(&bytes);
    }

    #[test]
    fn places_point_into_the_file(text in "[ab=:# \\\\\n\r\tu0]{0,60}") {
        if let Ok(parsed) = Properties::parse(text.as_bytes()) {
            for entry in parsed.entries {
                prop_assert!(entry.key_place.line >= 1 && entry.key_place.column >= 1);
                prop_assert!(entry.value_place.line >= entry.key_place.line);
            }
        }
    }
}
