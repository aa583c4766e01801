//! YAML text as a tree of nodes that know their place: the only file that knows the YAML library.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::super::diagnostics::Place;

/// Nodes nested deeper than this are refused.
const DEPTH_MAX: usize = 32;
/// Nodes of a whole file, aliases counted as often as they are used.
const NODES_MAX: usize = 200_000;

/// One value of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where it stands.
    pub place: Place,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// Nothing, `~` or `null`.
    Null,
    /// A text, a number or a boolean: which of them is decided by who asks.
    Scalar {
        /// As written, without quotes.
        text: String,
        /// Written in quotes or as a block: a text whatever it looks like.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its text.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

/// Why the text is no YAML that can be read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What the parser said.
    pub message: String,
    /// Where, if it knows.
    pub place: Option<Place>,
}

/// Parses one document.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
        },
        with_snippet: false,
    };
    let parsed: Result<Spanned<Raw>, _> = serde_saphyr::from_str_with_options(text, options);
    match parsed {
        Ok(root) => Ok(node(root, text)),
        Err(error) => {
            let error = error.without_snippet();
            let place = error.location().map(|location| place(&location));
            // The library repeats the place in its text.
            let message = error.to_string();
            let message = message.lines().next().unwrap_or_default();
            let message = message.split(" at line ").next().unwrap_or(message);
            Err(SyntaxError { message: message.to_owned(), place })
        }
    }
}

impl Node {
    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// A key and its value.
    pub fn entry(&self, name: &str) -> Option<&(Key, Node)> {
        match &self.kind {
            NodeKind::Map(entries) => entries.iter().find(|(key, _)| key.name == name),
            _ => None,
        }
    }

    /// Where the value at a path stands, or the nearest thing above it that exists.
    pub fn place_of(&self, path: &[&str]) -> Place {
        let mut node = self;
        let mut place = self.place;
        for name in path {
            let index = name.parse::<usize>();
            match (&node.kind, index) {
                (NodeKind::List(items), Ok(index)) if index < items.len() => {
                    node = &items[index];
                    place = node.place;
                }
                _ => match node.entry(name) {
                    Some((key, value)) => {
                        node = value;
                        let scalar = matches!(value.kind, NodeKind::Scalar { .. });
                        place = if scalar { value.place } else { key.place };
                    }
                    None => break,
                },
            }
        }
        place
    }

    /// Changes every scalar, keys left alone.
    pub fn for_each_scalar(&mut self, change: &mut dyn FnMut(&mut String, &mut bool, Place)) {
        match &mut self.kind {
            NodeKind::Null => {}
            NodeKind::Scalar { text, quoted } => change(text, quoted, self.place),
            NodeKind::List(items) => {
                items.iter_mut().for_each(|item| item.for_each_scalar(change));
            }
            NodeKind::Map(entries) => {
                entries.iter_mut().for_each(|(_, value)| value.for_each_scalar(change));
            }
        }
    }
}

/// What the library hands over.
enum Raw {
    Null,
    Text(String),
    /// A number or boolean, whose text is looked up in the source.
    Plain(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn place(location: &Location) -> Place {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Place {
        line: number(location.line()).max(1),
        column: number(location.column()).max(1),
        length: number(location.span().len()).max(1),
    }
}

fn source<'t>(location: &Location, text: &'t str) -> Option<&'t str> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    text.get(start..start.checked_add(length)?).map(str::trim)
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let written = source(&raw.defined, text).filter(|written| !written.is_empty());
    let kind = match raw.value {
        Raw::Null => NodeKind::Null,
        Raw::Text(text) => {
            let quoted = written.is_some_and(|written| written.starts_with(['"', '\'', '|', '>']));
            NodeKind::Scalar { text, quoted }
        }
        Raw::Plain(shown) => {
            let text = written.map_or(shown, str::to_owned);
            NodeKind::Scalar { text, quoted: false }
        }
        Raw::List(items) => {
            NodeKind::List(items.into_iter().map(|item| node(item, text)).collect())
        }
        Raw::Map(entries) => NodeKind::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let place = place(&key.referenced);
                    (Key { name: key.value, place }, node(value, text))
                })
                .collect(),
        ),
    };
    Node { kind, place: place(&raw.referenced) }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(node: &Node, path: &[&str]) -> (String, bool, (u32, u32, u32)) {
        let mut at = node;
        for name in path {
            at = match (&at.kind, name.parse::<usize>()) {
                (NodeKind::List(items), Ok(index)) => &items[index],
                _ => at.get(name).unwrap(),
            };
        }
        let NodeKind::Scalar { text, quoted } = &at.kind else { panic!("{at:?}") };
        (text.clone(), *quoted, (at.place.line, at.place.column, at.place.length))
    }

    #[test]
    fn scalars_keep_their_text_and_place() {
        let text = "a: 1.10\nb: on\nc: \"on\"\nd: [0x1F, yes, null, 007]\ne: |\n  x\n  y\nf: é\n";
        let root = parse(text).unwrap();
        assert_eq!(scalar(&root, &["a"]), ("1.10".into(), false, (1, 4, 4)));
        assert_eq!(scalar(&root, &["b"]), ("on".into(), false, (2, 4, 2)));
        assert_eq!(scalar(&root, &["c"]).0, "on");
        assert!(scalar(&root, &["c"]).1);
        assert_eq!(scalar(&root, &["d", "0"]).0, "0x1F");
        assert_eq!(scalar(&root, &["d", "3"]).0, "007");
        assert_eq!(scalar(&root, &["e"]).0, "x\ny\n");
        assert_eq!(scalar(&root, &["f"]).0, "é");
    }

    #[test]
    fn anchors_and_merges_work() {
        let root = parse("x: &x { a: 12, b: y }\nz:\n  <<: *x\n  b: q\nv: *x\n").unwrap();
        assert_eq!(scalar(&root, &["z", "a"]).0, "12");
        assert_eq!(scalar(&root, &["z", "b"]).0, "q");
        assert_eq!(scalar(&root, &["v", "a"]).0, "12");
    }

    #[test]
    fn errors_have_a_place_and_limits_hold() {
        let error = parse("a: [1\nb: 2\n").unwrap_err();
        assert!(error.place.is_some(), "{error:?}");
        let error = parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(error.place.unwrap().line, 2);
        let deep = "[".repeat(100);
        assert!(parse(&deep).is_err());
        let bomb = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c \
                    [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e \
                    [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: \
                    [*f,*f,*f,*f,*f,*f,*f,*f]\n";
        assert!(parse(bomb).is_err());
    }
}
