//! The grammar of `java.util.Properties.load(InputStream)`, with the place of every key and value.
//!
//! Source: the class documentation of `java.util.Properties` (Java SE 21). The bytes are
//! ISO-8859-1; anything else is written `\uXXXX`. A `\` is always consumed: a regex that needs one
//! is written with two in the file.

use std::collections::BTreeMap;

use thiserror::Error;

/// One `key = value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key, escapes resolved. May be empty: Java accepts that.
    pub key: String,
    /// The value, escapes resolved; trailing white space kept.
    pub value: String,
    /// Where the key begins.
    pub key_place: Place,
    /// Where the value begins; the end of the line for an empty one.
    pub value_place: Place,
}

/// A position in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// From 1, in characters (which are bytes in ISO-8859-1).
    pub column: u32,
    /// Characters up to the end of the thing or of its line, whichever comes first.
    pub length: u32,
}

/// A parsed file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// In file order, with every occurrence of a repeated key.
    pub entries: Vec<Property>,
}

/// Why a file was refused: Java's only complaint about a file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("malformed \\u escape: four hexadecimal digits must follow")]
pub struct MalformedEscape {
    /// Where the backslash stands.
    pub place: Place,
}

impl Properties {
    /// Parses the bytes of a file.
    ///
    /// # Errors
    /// On a `\u` that four hexadecimal digits do not follow; nothing else is an error to Java.
    pub fn parse(bytes: &[u8]) -> Result<Properties, MalformedEscape> {
        let mut entries = Vec::new();
        for line in LogicalLines::new(bytes) {
            entries.push(property(&line)?);
        }
        Ok(Properties { entries })
    }

    /// The value of `key`: the last one wins.
    pub fn get(&self, key: &str) -> Option<&Property> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }

    /// Key to winning entry.
    pub fn by_key(&self) -> BTreeMap<&str, &Property> {
        self.entries.iter().map(|entry| (entry.key.as_str(), entry)).collect()
    }

    /// Entries that a later entry of the same key makes ineffective, each with that later one.
    pub fn overridden(&self) -> Vec<(&Property, &Property)> {
        let winners = self.by_key();
        let loses = |entry: &Property| winners[entry.key.as_str()].key_place != entry.key_place;
        let lost = self.entries.iter().filter(|entry| loses(entry));
        lost.map(|entry| (entry, winners[entry.key.as_str()])).collect()
    }
}

/// A character of a logical line and where it stood.
#[derive(Clone, Copy, Debug)]
struct Letter {
    byte: u8,
    line: u32,
    column: u32,
}

/// Splits a file into logical lines: comments and blank lines gone, continuations joined.
struct LogicalLines<'b> {
    bytes: &'b [u8],
    at: usize,
    line: u32,
    line_start: usize,
}

impl LogicalLines<'_> {
    fn new(bytes: &[u8]) -> LogicalLines<'_> {
        LogicalLines { bytes, at: 0, line: 1, line_start: 0 }
    }

    fn skip_blanks(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| is_blank(*byte)) {
            self.at += 1;
        }
    }

    /// Steps over `\n`, `\r` or `\r\n`.
    fn end_line(&mut self) {
        let carriage_return = self.bytes.get(self.at) == Some(&b'\r');
        self.at += 1;
        if carriage_return && self.bytes.get(self.at) == Some(&b'\n') {
            self.at += 1;
        }
        self.line += 1;
        self.line_start = self.at;
    }

    /// Reads to the end of the natural line and says whether it is continued.
    fn natural_line(&mut self, letters: &mut Vec<Letter>) -> bool {
        let mut escaped = false;
        while let Some(&byte) = self.bytes.get(self.at).filter(|byte| !is_line_end(**byte)) {
            escaped = byte == b'\\' && !escaped;
            let column = position(self.at - self.line_start + 1);
            letters.push(Letter { byte, line: self.line, column });
            self.at += 1;
        }
        if escaped {
            // The odd backslash at the end is the sign of continuation, even at the file's end.
            letters.pop();
        }
        let continued = escaped && self.at < self.bytes.len();
        if self.at < self.bytes.len() {
            self.end_line();
        }
        continued
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = Vec<Letter>;

    fn next(&mut self) -> Option<Vec<Letter>> {
        loop {
            self.skip_blanks();
            let first = *self.bytes.get(self.at)?;
            if is_line_end(first) {
                self.end_line();
                continue;
            }
            let mut letters = Vec::new();
            if matches!(first, b'#' | b'!') {
                // A comment is never continued.
                self.natural_line(&mut letters);
                continue;
            }
            let start = self.at;
            while self.natural_line(&mut letters) && !letters.is_empty() {
                self.skip_blanks();
            }
            // A lone backslash leaves nothing, and the next line starts afresh; but as the very
            // last line it is a property without key and value.
            let lone_at_end = self.at == self.bytes.len() && self.at - start <= 2;
            if !letters.is_empty() || (lone_at_end && !self.bytes.ends_with(b"\r\n")) {
                return Some(letters);
            }
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0C)
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn property(line: &[Letter]) -> Result<Property, MalformedEscape> {
    let mut escaped = false;
    let key_end = line
        .iter()
        .position(|letter| {
            let ends = !escaped && (is_blank(letter.byte) || matches!(letter.byte, b'=' | b':'));
            escaped = letter.byte == b'\\' && !escaped;
            ends
        })
        .unwrap_or(line.len());
    let mut separator_seen = false;
    let value_start = line[key_end..]
        .iter()
        .position(|letter| {
            let separator = matches!(letter.byte, b'=' | b':') && !separator_seen;
            separator_seen |= separator;
            !separator && !is_blank(letter.byte)
        })
        .map_or(line.len(), |skipped| key_end + skipped);
    let (key, value) = (&line[..key_end], &line[value_start..]);
    Ok(Property {
        key: resolve(key)?,
        value: resolve(value)?,
        key_place: place(key, line, 0),
        value_place: place(value, line, value_start),
    })
}

/// Where `part` stands, and how far it reaches on its first line.
fn place(part: &[Letter], line: &[Letter], start: usize) -> Place {
    let Some(first) = part.first() else {
        let last = line.get(start).or_else(|| line.last());
        return last.map_or(Place { line: 1, column: 1, length: 0 }, |last| {
            let after = u32::from(start >= line.len());
            Place { line: last.line, column: last.column + after, length: 0 }
        });
    };
    let length = part.iter().take_while(|letter| letter.line == first.line).count();
    Place { line: first.line, column: first.column, length: position(length) }
}

/// Resolves the escapes of a key or value.
fn resolve(letters: &[Letter]) -> Result<String, MalformedEscape> {
    let mut units: Vec<u16> = Vec::with_capacity(letters.len());
    let mut rest = letters.iter();
    while let Some(letter) = rest.next() {
        if letter.byte != b'\\' {
            units.push(u16::from(letter.byte));
            continue;
        }
        let Some(escaped) = rest.next() else { break };
        units.push(match escaped.byte {
            b'u' => {
                let digits = rest.as_slice().get(..4).unwrap_or_default();
                let unit = hexadecimal(digits).ok_or(MalformedEscape {
                    place: Place { line: letter.line, column: letter.column, length: 2 },
                })?;
                rest = rest.as_slice()[4..].iter();
                unit
            }
            b't' => 0x09,
            b'n' => 0x0A,
            b'f' => 0x0C,
            b'r' => 0x0D,
            other => u16::from(other),
        });
    }
    // Java strings may hold half a surrogate pair, ours may not: such a half becomes U+FFFD.
    Ok(String::from_utf16_lossy(&units))
}

fn hexadecimal(digits: &[Letter]) -> Option<u16> {
    if digits.len() != 4 {
        return None;
    }
    digits.iter().try_fold(0u16, |unit, digit| {
        let value = char::from(digit.byte).to_digit(16)?;
        Some(unit << 4 | u16::try_from(value).ok()?)
    })
}

#[cfg(test)]
mod tests;
