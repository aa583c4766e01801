//! Patterns in the dialect of `java.util.regex`, matched as MirrorMaker 2 matches them: the whole
//! name must match, and a list of patterns is joined with `|` *without* grouping them first.
//!
//! Topic, group and config names are ASCII, so the dialects differ only in spelling; this file
//! respells what the Rust engine writes differently and refuses what it cannot express.

use std::fmt;

use fancy_regex::{Regex, RegexBuilder};
use thiserror::Error;

/// Steps that a match with look-around or back-references may backtrack before it is given up.
/// Names have at most 249 characters, so only a pathological pattern gets there.
const BACKTRACK_STEPS_MAX: usize = 200_000;
/// Memory that one compiled pattern may take, in bytes.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Length of a pattern, in bytes; a list joined with `|` counts as one pattern.
pub const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// A compiled pattern that a whole name must match.
#[derive(Clone)]
pub struct JavaPattern {
    source: String,
    regex: Regex,
}

/// Why a pattern was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    /// The pattern is longer than [`PATTERN_BYTES_MAX`].
    #[error("the pattern has {length_bytes} bytes, more than the {PATTERN_BYTES_MAX} allowed")]
    TooLong {
        /// Its length.
        length_bytes: usize,
    },
    /// Legal or illegal in Java, but nothing that this engine can do.
    #[error("`{construct}` in the pattern `{pattern}` is not supported")]
    Unsupported {
        /// The whole pattern.
        pattern: String,
        /// The offending piece of it.
        construct: String,
    },
    /// The engine does not accept the pattern.
    #[error("`{pattern}` is no valid pattern: {reason}")]
    Invalid {
        /// The whole pattern.
        pattern: String,
        /// What the engine said.
        reason: String,
    },
}

/// A pattern gave up on a name: nothing is known about whether it matches.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the pattern `{pattern}` could not be matched against `{name}`: {reason}")]
pub struct PatternMatchError {
    /// The pattern.
    pub pattern: String,
    /// The name it was tried on.
    pub name: String,
    /// What the engine said.
    pub reason: String,
}

impl JavaPattern {
    /// Compiles one pattern.
    ///
    /// # Errors
    /// If it is too long, illegal, or uses something that cannot be expressed here.
    pub fn new(pattern: &str) -> Result<JavaPattern, PatternError> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong { length_bytes: pattern.len() });
        }
        let respelled = Respelling::new(pattern).run()?;
        let invalid = |error: fancy_regex::Error| PatternError::Invalid {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        };
        // On its own first: wrapped, an unbalanced `)` would close the wrapper.
        compile(&respelled).map_err(invalid)?;
        let regex = compile(&format!(r"\A(?:{respelled})\z")).map_err(invalid)?;
        Ok(JavaPattern { source: pattern.to_owned(), regex })
    }

    /// Compiles a list as MirrorMaker 2 does: joined with `|`, `None` (matches nothing) if empty.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn joined<S: AsRef<str>>(list: &[S]) -> Result<Option<JavaPattern>, PatternError> {
        if list.is_empty() {
            return Ok(None);
        }
        let joined = list.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("|");
        JavaPattern::new(&joined).map(Some)
    }

    /// Whether the whole of `name` matches.
    ///
    /// # Errors
    /// If the match was given up after too many steps.
    pub fn matches(&self, name: &str) -> Result<bool, PatternMatchError> {
        self.regex.is_match(name).map_err(|error| PatternMatchError {
            pattern: self.source.clone(),
            name: name.to_owned(),
            reason: error.to_string(),
        })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

fn compile(pattern: &str) -> Result<Regex, fancy_regex::Error> {
    RegexBuilder::new(pattern)
        .backtrack_limit(BACKTRACK_STEPS_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .delegate_dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
}

impl fmt::Debug for JavaPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JavaPattern({})", self.source)
    }
}

impl fmt::Display for JavaPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.source)
    }
}

impl PartialEq for JavaPattern {
    fn eq(&self, other: &JavaPattern) -> bool {
        self.source == other.source
    }
}

impl Eq for JavaPattern {}

/// One walk over a pattern that writes it again in the engine's dialect.
struct Respelling<'p> {
    pattern: &'p str,
    rest: std::str::Chars<'p>,
    out: String,
    class_depth: usize,
    before: Before,
}

/// What stands before the next character: the dialects differ in what may be repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that can be repeated: the start, `(`, `|`, flags.
    Nothing,
    /// Something that can be repeated.
    Atom,
    /// A quantifier, which `?` or `+` may make reluctant or possessive.
    Quantifier,
}

impl<'p> Respelling<'p> {
    fn new(pattern: &'p str) -> Respelling<'p> {
        let out = String::with_capacity(pattern.len() + 16);
        Respelling { pattern, rest: pattern.chars(), out, class_depth: 0, before: Before::Nothing }
    }

    fn run(mut self) -> Result<String, PatternError> {
        while let Some(next) = self.rest.next() {
            if self.class_depth > 0 {
                self.in_class(next)?;
                continue;
            }
            let mut before = Before::Atom;
            match next {
                '\\' => self.escape()?,
                '[' => self.open_class(),
                '(' if self.rest.as_str().starts_with('?') => {
                    before = Before::Nothing;
                    self.group()?;
                }
                '(' | '|' => {
                    before = Before::Nothing;
                    self.out.push(next);
                }
                '*' | '+' | '?' | '{' => before = self.quantifier(next)?,
                other => self.out.push(other),
            }
            self.before = before;
        }
        Ok(self.out)
    }

    fn in_class(&mut self, next: char) -> Result<(), PatternError> {
        match next {
            '\\' => return self.escape(),
            '[' => self.open_class(),
            ']' => {
                self.class_depth -= 1;
                self.out.push(']');
            }
            // A set operation there, a plain character in Java.
            '~' => self.literal('~'),
            '&' if ["&&", "&]"].iter().any(|empty| self.rest.as_str().starts_with(empty)) => {
                return Err(self.unsupported("an intersection with nothing"));
            }
            other => self.out.push(other),
        }
        Ok(())
    }

    fn quantifier(&mut self, sign: char) -> Result<Before, PatternError> {
        self.out.push(sign);
        match self.before {
            Before::Atom => {
                if sign == '{' {
                    let rest = self.rest.as_str();
                    let end = rest.find('}').ok_or_else(|| self.unsupported("{"))?;
                    self.out.push_str(&rest[..=end]);
                    self.rest = rest[end + 1..].chars();
                }
                Ok(Before::Quantifier)
            }
            Before::Quantifier if matches!(sign, '+' | '?') => Ok(Before::Nothing),
            _ => Err(self.unsupported(&format!("{sign} with nothing to repeat"))),
        }
    }

    fn open_class(&mut self) {
        self.class_depth += 1;
        self.out.push('[');
        if self.rest.as_str().starts_with('^') {
            self.rest.next();
            self.out.push('^');
        }
        // `[]a]` is a class with a bracket in it, in both dialects.
        if self.rest.as_str().starts_with(']') {
            self.rest.next();
            self.literal(']');
        } else if self.class_depth > 1 && self.rest.as_str().starts_with(':') {
            // `[[:alpha:]]` is no POSIX class in Java but the letters of ":alph". The engine writes
            // escapes away before it looks for such classes; a range of one letter stops it.
            self.rest.next();
            let range = self.rest.as_str().starts_with('-');
            self.out.push_str(if range { ":" } else { ":-:" });
        }
    }

    /// `(?` and its flags. `d`, `u` and `U` change nothing for ASCII names and are dropped.
    fn group(&mut self) -> Result<(), PatternError> {
        let rest = self.rest.as_str();
        let flags_end = rest[1..]
            .find(|letter: char| !letter.is_ascii_alphabetic() && letter != '-')
            .map_or(rest.len(), |end| end + 1);
        let flags = &rest[1..flags_end];
        let closer = rest[flags_end..].chars().next();
        if flags.is_empty() || !matches!(closer, Some(')' | ':')) {
            self.out.push_str("(?");
            self.rest.next();
            return Ok(());
        }
        if flags.split('-').next().is_some_and(|on| on.contains('x')) {
            return Err(self.unsupported(&format!("(?{flags}")));
        }
        let kept: String =
            flags.chars().filter(|flag| !matches!(flag, 'd' | 'u' | 'U' | 'x')).collect();
        let kept = kept.trim_end_matches('-');
        match (closer, kept.is_empty()) {
            (Some(':'), true) => self.out.push_str("(?:"),
            (Some(':'), false) => self.out.push_str(&format!("(?{kept}:")),
            (_, true) => {}
            (_, false) => self.out.push_str(&format!("(?{kept})")),
        }
        let consumed = flags_end + 1;
        self.rest = rest[consumed..].chars();
        Ok(())
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let Some(escaped) = self.rest.next() else {
            return Err(PatternError::Invalid {
                pattern: self.pattern.to_owned(),
                reason: "it ends in a lone backslash".to_owned(),
            });
        };
        match escaped {
            'b' | 'B' | 'A' | 'G' | 'z' | 'Z' if self.class_depth > 0 => {
                return Err(self.unsupported(&format!("\\{escaped} inside [ ]")));
            }
            'Q' => self.quotation(),
            'p' | 'P' => return self.property(escaped),
            'h' => self.class(" \\t", "[ \\t]"),
            'H' => self.class("[^ \\t]", "[^ \\t]"),
            'v' => self.class("\\n\\x0B\\x0C\\r", "[\\n\\x0B\\x0C\\r]"),
            'V' => self.class("[^\\n\\x0B\\x0C\\r]", "[^\\n\\x0B\\x0C\\r]"),
            '0' => return self.octal(),
            'c' => match self.rest.next() {
                Some(control) if control.is_ascii() => {
                    self.literal(char::from(control as u8 ^ 64));
                }
                _ => return Err(self.unsupported("\\c")),
            },
            'u' => return self.utf16(),
            'e' => self.literal('\u{1B}'),
            'G' => self.out.push_str("\\A"),
            'Z' => self.out.push_str("\\z"),
            'd'
            | 'D'
            | 's'
            | 'S'
            | 'w'
            | 'W'
            | 'b'
            | 'B'
            | 'A'
            | 'z'
            | 'a'
            | 'f'
            | 't'
            | 'n'
            | 'r'
            | 'x'
            | 'k'
            | '1'..='9' => {
                self.out.push('\\');
                self.out.push(escaped);
            }
            other if other.is_ascii_alphanumeric() => {
                return Err(self.unsupported(&format!("\\{other}")));
            }
            other => self.literal(other),
        }
        Ok(())
    }

    /// `\Q…\E`: everything between is literal; without `\E`, everything to the end.
    fn quotation(&mut self) {
        let rest = self.rest.as_str();
        let (quoted, after) = rest.split_once("\\E").unwrap_or((rest, ""));
        for letter in quoted.chars() {
            self.literal(letter);
        }
        self.rest = after.chars();
    }

    fn property(&mut self, letter: char) -> Result<(), PatternError> {
        let rest = self.rest.as_str();
        let Some((name, after)) = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'))
        else {
            self.out.push('\\');
            self.out.push(letter);
            return Ok(());
        };
        let posix = match name {
            "Lower" | "javaLowerCase" => "lower",
            "Upper" | "javaUpperCase" => "upper",
            "ASCII" => "ascii",
            "Alpha" => "alpha",
            "Digit" => "digit",
            "Alnum" => "alnum",
            "Punct" => "punct",
            "Graph" => "graph",
            "Print" => "print",
            "Blank" => "blank",
            "Cntrl" => "cntrl",
            "XDigit" => "xdigit",
            "Space" | "javaWhitespace" => "space",
            _ => {
                let name = name.strip_prefix("Is").unwrap_or(name);
                self.out.push_str(&format!("\\{letter}{{{name}}}"));
                self.rest = after.chars();
                return Ok(());
            }
        };
        let not = if letter == 'P' { "^" } else { "" };
        self.class(&format!("[:{not}{posix}:]"), &format!("[[:{not}{posix}:]]"));
        self.rest = after.chars();
        Ok(())
    }

    /// `\0n`, `\0nn`, `\0mnn` with m <= 3.
    fn octal(&mut self) -> Result<(), PatternError> {
        let rest = self.rest.as_str();
        let digits = rest.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
        let three_fit = rest.as_bytes().first().is_some_and(|first| *first <= b'3');
        let digits = if three_fit { digits } else { digits.min(2) };
        let code = u32::from_str_radix(&rest[..digits], 8).ok().and_then(char::from_u32);
        let Some(code) = code else {
            return Err(self.unsupported("\\0"));
        };
        self.literal(code);
        self.rest = rest[digits..].chars();
        Ok(())
    }

    fn utf16(&mut self) -> Result<(), PatternError> {
        let rest = self.rest.as_str();
        let code = rest.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(code) = code.and_then(char::from_u32) else {
            return Err(self.unsupported("\\u"));
        };
        self.literal(code);
        self.rest = rest[4..].chars();
        Ok(())
    }

    fn class(&mut self, inside: &str, outside: &str) {
        self.out.push_str(if self.class_depth > 0 { inside } else { outside });
    }

    fn literal(&mut self, letter: char) {
        if letter.is_ascii_alphanumeric() {
            self.out.push(letter);
        } else {
            self.out.push_str(&format!("\\x{{{:X}}}", u32::from(letter)));
        }
    }

    fn unsupported(&self, construct: &str) -> PatternError {
        PatternError::Unsupported {
            pattern: self.pattern.to_owned(),
            construct: construct.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
