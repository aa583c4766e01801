//! Kafka's names as Rust names, and prose as comments.

/// `ThrottleTimeMs` as `throttle_time_ms`.
pub(super) fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, &character) in characters.iter().enumerate() {
        if character.is_ascii_uppercase() && index > 0 {
            let after_lower = !characters[index - 1].is_ascii_uppercase();
            let before_lower = characters.get(index + 1).is_some_and(char::is_ascii_lowercase);
            if after_lower || before_lower {
                snake.push('_');
            }
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// A field's name, escaped where Rust has reserved the word.
pub(super) fn field_name(name: &str) -> String {
    let snake = snake_case(name);
    match snake.as_str() {
        "match" | "type" | "ref" | "gen" => format!("r#{snake}"),
        _ => snake,
    }
}

/// A comment of lines that begin with `prefix`, wrapped to 100 columns at `indent` levels of four.
pub(super) fn comment(prefix: &str, indent: usize, text: &str) -> String {
    let width = 100 - 4 * indent - prefix.len() - 1;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.iter().map(|line| format!("{prefix} {}\n", escape_markdown(line))).collect()
}

/// Prose with nothing that rustdoc would take for a link or for HTML.
fn escape_markdown(text: &str) -> String {
    let escape = |character| matches!(character, '[' | ']' | '<' | '>');
    let mut escaped = String::new();
    for character in text.chars() {
        if escape(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
