//! What is to be said about a settings file: all of it at once, each with its place and a hint.

use std::fmt::Write as _;

pub use super::properties::Place;

/// How bad it is. Ordered from harmless to fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Accepted, and worth knowing.
    Info,
    /// Accepted, but nothing will happen: probably not what was meant.
    Warning,
    /// Accepted from a MirrorMaker 2 file, and part of what MirrorMaker 2 does that this release
    /// of Farlog does not do.
    NotYet,
    /// Refused.
    Error,
}

impl Severity {
    /// The word in front of the message.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::NotYet => "not yet",
            Severity::Error => "error",
        }
    }
}

/// One file that diagnostics may point into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// As the person named it.
    pub name: String,
    /// Its text, for the excerpt.
    pub text: String,
}

/// Which file of a report: an index into [`Report::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(usize);

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// Where, if it has a place.
    pub place: Option<(FileId, Place)>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Everything to be said about one settings file and the files that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The settings file first.
    pub files: Vec<SourceFile>,
    /// In the order found; [`Self::sorted`] gives reading order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Words in a line that make the renderer hide what follows them.
const SECRET_WORDS: [&str; 5] = ["password", "jaas", "secret", "keystore.key", "credentials"];

impl Report {
    /// The settings file itself.
    pub const MAIN: FileId = FileId(0);

    /// An empty report on a file.
    pub fn new(name: &str, text: &str) -> Report {
        let main = SourceFile { name: name.to_owned(), text: text.to_owned() };
        Report { files: vec![main], diagnostics: Vec::new() }
    }

    /// Adds a file that diagnostics may point into.
    pub fn add_file(&mut self, name: &str, text: &str) -> FileId {
        self.files.push(SourceFile { name: name.to_owned(), text: text.to_owned() });
        FileId(self.files.len() - 1)
    }

    /// Adds a diagnostic and returns it, so that a hint can be added.
    pub fn say(
        &mut self,
        severity: Severity,
        place: Option<(FileId, Place)>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let said = Diagnostic { severity, message: message.into(), place, hint: None };
        let same = |each: &Diagnostic| (each.place, &each.message) == (said.place, &said.message);
        // What holds for several links is said once.
        let index = self.diagnostics.iter().position(same).unwrap_or(self.diagnostics.len());
        if index == self.diagnostics.len() {
            self.diagnostics.push(said);
        }
        &mut self.diagnostics[index]
    }

    /// An error at a place.
    pub fn error(
        &mut self,
        place: impl Into<Option<(FileId, Place)>>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.say(Severity::Error, place.into(), message)
    }

    /// A warning at a place.
    pub fn warning(
        &mut self,
        place: impl Into<Option<(FileId, Place)>>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.say(Severity::Warning, place.into(), message)
    }

    /// How many there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|each| each.severity == severity).count()
    }

    /// Whether anything was refused.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Whether something at exactly this place was refused already.
    pub fn is_refused(&self, place: (FileId, Place)) -> bool {
        let refused =
            |each: &Diagnostic| each.severity == Severity::Error && each.place == Some(place);
        self.diagnostics.iter().any(refused)
    }

    /// In reading order: by file and place, those without a place last, "not yet" at the very end
    /// where it is not overlooked.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut sorted: Vec<&Diagnostic> = self.diagnostics.iter().collect();
        sorted.sort_by_key(|each| {
            (each.severity == Severity::NotYet, each.place.is_none(), each.place)
        });
        sorted
    }

    /// The whole report as plain text, as a person reads it on a terminal.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for diagnostic in self.sorted() {
            self.render_one(diagnostic, &mut out);
            out.push('\n');
        }
        out
    }

    /// `2 errors, 1 warning`, or nothing if there is nothing to count.
    pub fn summary(&self) -> Option<String> {
        let counted = [
            (Severity::Error, "error", "errors"),
            (Severity::Warning, "warning", "warnings"),
            (Severity::NotYet, "feature not yet here", "features not yet here"),
        ];
        let parts: Vec<String> = counted
            .into_iter()
            .filter_map(|(severity, one, many)| match self.count(severity) {
                0 => None,
                1 => Some(format!("1 {one}")),
                count => Some(format!("{count} {many}")),
            })
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn render_one(&self, diagnostic: &Diagnostic, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}: {}", diagnostic.severity.word(), diagnostic.message);
        let mut margin = " ".to_owned();
        if let Some((file, place)) = diagnostic.place
            && let Some(file) = self.files.get(file.0)
        {
            margin = " ".repeat(place.line.to_string().len());
            let _ = writeln!(out, "{margin}--> {}:{}:{}", file.name, place.line, place.column);
            if let Some(excerpt) = excerpt(&file.text, place) {
                let _ = writeln!(out, "{margin} |");
                let _ = writeln!(out, "{} | {}", place.line, excerpt.line);
                let _ = writeln!(out, "{margin} | {}{}", excerpt.indent, excerpt.carets);
            }
        }
        if let Some(hint) = &diagnostic.hint {
            for (index, line) in hint.lines().enumerate() {
                let label = if index == 0 { "= help:" } else { "       " };
                let _ = writeln!(out, "{margin} {label} {line}");
            }
        }
    }
}

impl Diagnostic {
    /// Adds what to do about it.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Diagnostic {
        self.hint = Some(hint.into());
        self
    }
}

struct Excerpt {
    line: String,
    indent: String,
    carets: String,
}

/// Characters of a line that are shown; settings have short lines, inline certificates do not.
const EXCERPT_CHARACTERS_MAX: usize = 160;

/// The line of a place and the carets under it. Secrets are hidden from the first `=` or `:` on.
fn excerpt(text: &str, place: Place) -> Option<Excerpt> {
    let index = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let whole = text.lines().nth(index)?;
    let lower = whole.to_ascii_lowercase();
    let secret = SECRET_WORDS.iter().filter_map(|word| Some(lower.find(word)? + word.len())).min();
    let shown = match secret {
        Some(after) => {
            let end = whole[after..].find(['=', ':']).map_or(whole.len(), |at| after + at + 1);
            if end < whole.len() { format!("{} …", &whole[..end]) } else { whole.to_owned() }
        }
        None => whole.to_owned(),
    };
    let cut: String = shown
        .chars()
        .take(EXCERPT_CHARACTERS_MAX)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let width = cut.chars().count();
    let start = usize::try_from(place.column).ok()?.saturating_sub(1).min(width);
    let length = usize::try_from(place.length).ok()?.clamp(1, (width - start).max(1));
    Some(Excerpt { line: cut, indent: " ".repeat(start), carets: "^".repeat(length) })
}

/// The candidate nearest to a misspelt word, if one is near enough.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, with two neighbours swapped counting as one.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (rows[i][j + 1] + 1).min(row[j] + 1);
            best = best.min(rows[i][j] + usize::from(a != b));
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let text = "a=1\nsasl.jaas.config=Plain required password=\"hunter2\";\n";
        let mut report = Report::new("mm2.properties", text);
        let place = Place { line: 2, column: 1, length: 16 };
        report.error((Report::MAIN, place), "bad").hint("do better\nor else");
        assert_eq!(
            report.render(),
            "error: bad\n --> mm2.properties:2:1\n  |\n2 | sasl.jaas.config= …\n  | \
             ^^^^^^^^^^^^^^^^\n  = help: do better\n          or else\n\n"
        );
    }

    #[test]
    fn misspelt_words_find_their_neighbours() {
        let words = ["source", "target", "topics", "topic-prefixes"];
        assert_eq!(nearest("sorce", words), Some("source"));
        assert_eq!(nearest("taregt", words), Some("target"));
        assert_eq!(nearest("topic", words), Some("topics"));
        assert_eq!(nearest("banana", words), None);
    }

    #[test]
    fn any_place_renders() {
        let mut report = Report::new("x", "é\u{7}x\n");
        for (line, column, length) in [(0, 0, 0), (1, 1, 99), (1, 99, 1), (9, 1, 1)] {
            let place = Place { line, column, length };
            report.error((Report::MAIN, place), "m");
        }
        assert!(report.render().contains("x:9:1"));
    }
}
