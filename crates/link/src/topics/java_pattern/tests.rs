//! The dialect's differences one by one; the answers are those of `java.util.regex` (OpenJDK 21).

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(pattern: &str, matching: &[&str], others: &[&str]) {
    let compiled = JavaPattern::new(pattern).unwrap();
    for name in matching {
        assert!(compiled.matches(name).unwrap(), "`{pattern}` must match `{name}`");
    }
    for name in others {
        assert!(!compiled.matches(name).unwrap(), "`{pattern}` must not match `{name}`");
    }
}

#[test]
fn the_whole_name_must_match() {
    check("orders", &["orders"], &["orders2", "my-orders", ""]);
    check("a|ab", &["a", "ab"], &["abc", "b"]);
    check(".*", &["", "anything"], &[]);
    check("^orders$", &["orders"], &["orders\n"]);
    check("", &[""], &["a"]);
}

#[test]
fn mm2_defaults_compile() {
    check(
        r"mm2.*\.internal|.*\.replica|__.*",
        &["mm2-offsets.A.internal", "x.replica", "__consumer_offsets"],
        &["mm2-offsets", "replica", "_x", "x.internal"],
    );
    check(r"console-consumer-.*|connect-.*|__.*", &["connect-a"], &["my-connect-a"]);
}

#[test]
fn lists_are_joined_without_groups() {
    let joined = JavaPattern::joined(&["x(a", "b)y"]).unwrap().unwrap();
    assert!(joined.matches("xay").unwrap());
    assert!(joined.matches("xby").unwrap());
    assert!(!joined.matches("xa").unwrap());
    let flagged = JavaPattern::joined(&["(?i)a", "b"]).unwrap().unwrap();
    assert!(flagged.matches("B").unwrap(), "the flag reaches into the next entry");
    assert_eq!(JavaPattern::joined::<&str>(&[]).unwrap(), None);
}

#[test]
fn looks_and_references_work() {
    check("(?!secret-).*", &["open"], &["secret-1"]);
    check(".*(?<!-dlq)", &["a"], &["a-dlq"]);
    check(r"(\w+)-\1", &["ab-ab"], &["ab-cd"]);
    check("(?<n>a+)-\\k<n>", &["aa-aa"], &["aa-a"]);
    check("a*+b", &["aab"], &["aa"]);
    check("(?>a|ab)c", &["ac"], &["abc"]);
}

#[test]
fn java_spellings_are_respelled() {
    check(r"\Qa.b\E.*", &["a.b", "a.bc"], &["axb"]);
    check(r"\Qa[", &["a["], &["a"]);
    check(r"a\-b\_c\.d", &["a-b_c.d"], &["a-b_cxd"]);
    check(r"[a\-c\.]+", &["a-c."], &["b"]);
    check(r"\p{Alpha}\p{Digit}+", &["a12"], &["12", "a"]);
    check(r"[\p{Lower}_]+", &["ab_c"], &["AB"]);
    check(r"\P{Digit}", &["a"], &["1"]);
    check(r"\u0041\x42\0103", &["ABC"], &["abc"]);
    check(r"[a-z&&[^b]]", &["a"], &["b"]);
    check("[[:alpha:]]", &[":", "a", "l", "p", "h"], &["b", "z"]);
    check("[a~~b]", &["a", "b", "~"], &["c"]);
    check("(?u)a(?id:B)", &["ab", "aB"], &["Ab"]);
    check(r"orders\Z", &["orders"], &["orders2"]);
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    for pattern in
        [r"a\y", r"\X", "(?x) a # b", r"\N{DIGIT ONE}", r"\E", "*a", "a**", "{1}", "(?u)+"]
    {
        assert!(
            matches!(JavaPattern::new(pattern), Err(PatternError::Unsupported { .. })),
            "{pattern}"
        );
    }
    for pattern in ["a(", "a)", "[a", "a\\", "a)|(b"] {
        assert!(
            matches!(JavaPattern::new(pattern), Err(PatternError::Invalid { .. })),
            "{pattern}: {:?}",
            JavaPattern::new(pattern)
        );
    }
    let long = "a".repeat(PATTERN_BYTES_MAX + 1);
    assert!(matches!(JavaPattern::new(&long), Err(PatternError::TooLong { .. })));
}

#[test]
fn a_pathological_pattern_gives_up_instead_of_hanging() {
    let pattern = JavaPattern::new(r"(a*)*(?=b)\1").unwrap();
    let answer = pattern.matches(&"a".repeat(249));
    assert!(matches!(answer, Ok(false) | Err(PatternMatchError { .. })), "{answer:?}");
}

proptest! {
    #[test]
    fn no_pattern_panics(pattern in ".{0,40}", name in "[a-zA-Z0-9._-]{0,20}") {
        if let Ok(pattern) = JavaPattern::new(&pattern) {
            let _ = pattern.matches(&name);
        }
    }

    #[test]
    fn escapes_never_panic(pattern in r"(\\[a-zA-Z0-9]|[\[\](){}?^&:~a-c0-9-]){0,12}") {
        if let Ok(pattern) = JavaPattern::new(&pattern) {
            let _ = pattern.matches("abc");
        }
    }

    #[test]
    fn a_quoted_name_matches_itself_only(
        name in "[a-zA-Z0-9._-]{1,20}",
        other in "[a-z._-]{1,20}",
    ) {
        let pattern = JavaPattern::new(&format!("\\Q{name}\\E")).unwrap();
        prop_assert!(pattern.matches(&name).unwrap());
        prop_assert_eq!(pattern.matches(&other).unwrap(), name == other);
    }
}
