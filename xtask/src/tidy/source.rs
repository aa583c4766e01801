//! A Rust file as the rules see it: its lines, and the same lines with all text that is not code
//! (comments, strings, character literals) blanked out, so that words and braces can be trusted.

/// A source file, taken apart.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// The lines as written.
    pub(super) lines: Vec<&'a str>,
    /// The same lines, code only; as many as `lines`.
    pub(super) code: Vec<String>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Source<'a> {
        let blanked = blank(text);
        let code: Vec<String> = blanked.lines().map(str::to_owned).collect();
        let lines: Vec<&str> = text.lines().collect();
        debug_assert_eq!(lines.len(), code.len());
        Source { lines, code }
    }
}

/// What the scanner is inside of.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Code,
    LineComment,
    /// Block comments nest.
    BlockComment(usize),
    Text,
    /// A raw string ends with a quote and this many `#`.
    RawText(usize),
}

/// The text with everything but code replaced by spaces, line ends kept.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut state = State::Code;
    let mut at = 0;
    while at < chars.len() {
        let (next, taken) = step(state, &chars, at);
        let end = (at + taken).min(chars.len());
        let stays = state == State::Code && next == State::Code && taken == 1;
        out.extend(chars[at..end].iter().map(|&one| if one == '\n' || stays { one } else { ' ' }));
        state = next;
        at = end;
    }
    out
}

/// What the scanner is inside of after the next characters, and how many they are. In code, one
/// character taken is code itself; several are a literal or the start of a comment or string.
fn step(state: State, chars: &[char], at: usize) -> (State, usize) {
    let here = chars[at];
    let next = chars.get(at + 1).copied();
    match state {
        State::LineComment if here == '\n' => (State::Code, 1),
        State::LineComment => (state, 1),
        State::BlockComment(depth) => match (here, next) {
            ('*', Some('/')) if depth == 1 => (State::Code, 2),
            ('*', Some('/')) => (State::BlockComment(depth - 1), 2),
            ('/', Some('*')) => (State::BlockComment(depth + 1), 2),
            _ => (state, 1),
        },
        State::Text => match here {
            '\\' => (state, 2),
            '"' => (State::Code, 1),
            _ => (state, 1),
        },
        State::RawText(hashes) => {
            let ends = here == '"' && hashes_at(chars, at + 1) >= hashes;
            if ends { (State::Code, 1 + hashes) } else { (state, 1) }
        }
        State::Code => match (here, next) {
            ('/', Some('/')) => (State::LineComment, 2),
            ('/', Some('*')) => (State::BlockComment(1), 2),
            ('"', _) => (State::Text, 1),
            ('r', _) if starts_raw_text(chars, at) => {
                let hashes = hashes_at(chars, at + 1);
                (State::RawText(hashes), 2 + hashes)
            }
            ('\'', _) => (State::Code, character_literal(chars, at).unwrap_or(1)),
            _ => (State::Code, 1),
        },
    }
}

fn hashes_at(chars: &[char], at: usize) -> usize {
    chars[at.min(chars.len())..].iter().take_while(|&&one| one == '#').count()
}

/// `r"`, `r#"`, `br"`, `cr#"`…, but not the end of an identifier, nor a raw identifier.
fn starts_raw_text(chars: &[char], at: usize) -> bool {
    let is_word = |index: usize| chars[index].is_alphanumeric() || chars[index] == '_';
    let prefix = at > 0 && matches!(chars[at - 1], 'b' | 'c');
    let start = if prefix { at - 1 } else { at };
    let is_start = start == 0 || !is_word(start - 1);
    is_start && chars.get(at + 1 + hashes_at(chars, at + 1)) == Some(&'"')
}

/// The length of a character literal; `None` for a lifetime.
fn character_literal(chars: &[char], at: usize) -> Option<usize> {
    if chars.get(at + 1) == Some(&'\\') {
        // The escaped character may itself be a quote.
        let end = chars.get(at + 3..)?.iter().take(12).position(|&one| one == '\'')?;
        return Some(end + 4);
    }
    (chars.get(at + 2) == Some(&'\'')).then_some(3)
}
