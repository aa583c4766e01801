//! Sets of topic names that can be reasoned about without knowing the topics: one name, or
//! everything that starts so. Patterns are widened to what they surely begin with, so an answer
//! errs on the side of an overlap.

use std::fmt;

use farlog_link::topics::{Naming, TopicRule};

use super::super::topology::LinkSettings;

/// A set of topic names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One name.
    Exact(String),
    /// Names that start so.
    Starts {
        /// With what.
        prefix: String,
        /// All of them, not only some.
        whole: bool,
    },
}

impl Shape {
    pub(super) fn everything() -> Shape {
        Shape::Starts { prefix: String::new(), whole: true }
    }

    /// A name of the shape that is long enough to see its prefixes.
    fn example(&self) -> String {
        match self {
            Shape::Exact(name) => name.clone(),
            Shape::Starts { prefix, .. } => format!("{prefix}x"),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Exact(name) => write!(formatter, "`{name}`"),
            Shape::Starts { prefix, whole: true } if prefix.is_empty() => {
                formatter.write_str("every topic")
            }
            Shape::Starts { prefix, whole: false } if prefix.is_empty() => {
                formatter.write_str("some topics")
            }
            Shape::Starts { prefix, .. } => write!(formatter, "`{prefix}…`"),
        }
    }
}

/// What two sets have in common, as far as it can be known.
pub(super) fn overlap(left: &Shape, right: &Shape) -> Option<Shape> {
    match (left, right) {
        (Shape::Exact(one), Shape::Exact(other)) => (one == other).then(|| left.clone()),
        (Shape::Exact(name), Shape::Starts { prefix, whole })
        | (Shape::Starts { prefix, whole }, Shape::Exact(name)) => {
            let exact = if *whole {
                Shape::Exact(name.clone())
            } else {
                Shape::Starts { prefix: name.clone(), whole: false }
            };
            name.starts_with(prefix.as_str()).then_some(exact)
        }
        (
            Shape::Starts { prefix: one, whole: one_whole },
            Shape::Starts { prefix: other, whole: other_whole },
        ) => {
            let longer = if one.len() >= other.len() { one } else { other };
            let related = one.starts_with(other.as_str()) || other.starts_with(one.as_str());
            let whole = *one_whole && *other_whole;
            related.then(|| Shape::Starts { prefix: longer.clone(), whole })
        }
    }
}

/// The part of `arriving`, topics on the link's source, that the link mirrors.
pub(super) fn mirrored(link: &LinkSettings, arriving: &[Shape]) -> Vec<Shape> {
    let selection = &link.topics;
    let mut passing = Vec::new();
    for rule in &selection.filter.include {
        for wanted in shapes(rule) {
            passing.extend(arriving.iter().filter_map(|shape| match (shape, rule) {
                // A known name is asked of the rule itself.
                (Shape::Exact(name), rule) => {
                    rule.matches(name).unwrap_or(true).then(|| shape.clone())
                }
                (shape, _) => overlap(shape, &wanted),
            }));
        }
    }
    passing.dedup();
    passing.retain(|shape| {
        let example = shape.example();
        !is_excluded(&selection.filter.exclude, shape)
            && !selection.naming.is_internal(&example)
            && !selection.naming.is_cycle(&example)
    });
    passing
}

/// What the shapes are called on the link's target.
pub(super) fn renamed(link: &LinkSettings, shapes: &[Shape]) -> Vec<Shape> {
    let naming = &link.topics.naming;
    let rename = |shape: &Shape| match shape {
        Shape::Exact(name) => Shape::Exact(naming.remote_topic(name).into_owned()),
        Shape::Starts { prefix, whole } if naming.naming == Naming::Prefixed => {
            Shape::Starts { prefix: naming.remote_topic(prefix).into_owned(), whole: *whole }
        }
        Shape::Starts { .. } => shape.clone(),
    };
    shapes.iter().map(rename).collect()
}

/// Whether all of the shape is excluded.
fn is_excluded(exclude: &[TopicRule], shape: &Shape) -> bool {
    exclude.iter().any(|rule| match shape {
        Shape::Exact(name) => rule.matches(name).unwrap_or(false),
        Shape::Starts { prefix, .. } => shapes(rule).iter().any(|excluded| {
            matches!(excluded, Shape::Starts { prefix: gone, whole: true }
                if prefix.starts_with(gone.as_str()))
        }),
    })
}

/// The smallest shapes that hold everything a rule matches.
fn shapes(rule: &TopicRule) -> Vec<Shape> {
    match rule {
        TopicRule::Literal(name) => vec![Shape::Exact(name.clone())],
        TopicRule::Prefix(prefix) => vec![Shape::Starts { prefix: prefix.clone(), whole: true }],
        TopicRule::Pattern(pattern) => {
            let text = pattern.as_str();
            if text.contains(['(', '[']) && text.contains('|') {
                vec![Shape::Starts { prefix: String::new(), whole: false }]
            } else {
                text.split('|').map(shape_of_alternative).collect()
            }
        }
    }
}

/// The shape of a pattern without alternatives: its literal beginning.
fn shape_of_alternative(pattern: &str) -> Shape {
    let mut prefix = String::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let (literal, length) = match letter {
            '\\' if rest[1..].starts_with(['.', '-', '_']) => (&rest[1..2], 2),
            letter if letter.is_ascii_alphanumeric() || "_-".contains(letter) => (&rest[..1], 1),
            _ => break,
        };
        let after = &rest[length..];
        if after.starts_with(['*', '+', '?', '{']) {
            break; // Repeated: it may be missing.
        }
        prefix.push_str(literal);
        rest = after;
    }
    match rest {
        "" => Shape::Exact(prefix),
        ".*" => Shape::Starts { prefix, whole: true },
        _ => Shape::Starts { prefix, whole: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_begin_with_what_they_surely_begin_with() {
        let starts = |prefix: &str, whole| Shape::Starts { prefix: prefix.into(), whole };
        assert_eq!(shape_of_alternative(".*"), starts("", true));
        assert_eq!(shape_of_alternative("pay\\.eu.*"), starts("pay.eu", true));
        assert_eq!(shape_of_alternative("pay.eu"), starts("pay", false));
        assert_eq!(shape_of_alternative("orders"), Shape::Exact("orders".into()));
        assert_eq!(shape_of_alternative("ab*"), starts("a", false));
        assert_eq!(shape_of_alternative("(?!x).*"), starts("", false));
    }

    #[test]
    fn overlaps() {
        let starts = |prefix: &str| Shape::Starts { prefix: prefix.into(), whole: true };
        let exact = |name: &str| Shape::Exact(name.into());
        assert_eq!(overlap(&starts("a"), &starts("ab")), Some(starts("ab")));
        assert_eq!(overlap(&starts("a"), &starts("b")), None);
        assert_eq!(overlap(&exact("ab"), &starts("a")), Some(exact("ab")));
        assert_eq!(overlap(&exact("ab"), &exact("a")), None);
    }
}
