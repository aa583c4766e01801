//! The value of `sasl.jaas.config`: one login module, its flag and its options.
//!
//! Source: `javax.security.auth.login.Configuration` (the JAAS grammar) and Kafka's `JaasConfig`.

use super::{Login, Secret};

/// A login and the module that it was written for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JaasLogin {
    pub(super) login: Login,
    pub(super) is_scram: bool,
}

/// Reads one login module with a user name and a password.
pub(super) fn login(text: &str) -> Result<JaasLogin, String> {
    let tokens = tokens(text)?;
    let mut rest = tokens.iter();
    let module = match rest.next() {
        Some(Token::Word(module)) => module.as_str(),
        _ => return Err("`sasl.jaas.config` must begin with a login module".to_owned()),
    };
    let is_scram = match module.rsplit('.').next() {
        Some("PlainLoginModule") => false,
        Some("ScramLoginModule") => true,
        _ => return Err(format!("the login module {module} is not supported")),
    };
    match rest.next() {
        Some(Token::Word(flag))
            if ["required", "requisite", "sufficient", "optional"]
                .contains(&flag.to_ascii_lowercase().as_str()) => {}
        _ => return Err(format!("`required` must follow {module} in `sasl.jaas.config`")),
    }
    let (mut username, mut password) = (None, None);
    loop {
        match (rest.next(), rest.as_slice()) {
            (Some(Token::Semicolon), []) => break,
            (Some(Token::Semicolon), _) => {
                return Err("`sasl.jaas.config` holds more than one login module".to_owned());
            }
            (Some(Token::Word(name)), [Token::Equals, Token::Word(value), ..]) => {
                match name.as_str() {
                    "username" => username = Some(value.clone()),
                    "password" => password = Some(value.clone()),
                    "tokenauth" if value.eq_ignore_ascii_case("true") => {
                        return Err("delegation tokens are not supported".to_owned());
                    }
                    _ => {}
                }
                rest = rest.as_slice()[2..].iter();
            }
            (None, _) => return Err("`sasl.jaas.config` must end with `;`".to_owned()),
            _ => return Err("`sasl.jaas.config` must hold name=value pairs".to_owned()),
        }
    }
    let missing = |what: &str| format!("`sasl.jaas.config` has no {what}");
    Ok(JaasLogin {
        login: Login {
            username: username.ok_or_else(|| missing("username"))?,
            password: Secret(password.ok_or_else(|| missing("password"))?),
        },
        is_scram,
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A word or a quoted text.
    Word(String),
    Equals,
    Semicolon,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            _ if next.is_whitespace() => {}
            '=' => tokens.push(Token::Equals),
            ';' => tokens.push(Token::Semicolon),
            '"' | '\'' => tokens.push(Token::Word(quoted(next, &mut rest)?)),
            first => {
                let mut word = String::from(first);
                while let Some(letter) = rest.next_if(|letter| {
                    !letter.is_whitespace() && !matches!(letter, '=' | ';' | '"' | '\'')
                }) {
                    word.push(letter);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn quoted(
    quote: char,
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<String, String> {
    let mut text = String::new();
    while let Some(letter) = rest.next() {
        match letter {
            _ if letter == quote => return Ok(text),
            '\\' => match rest.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(escaped) => text.push(escaped),
                None => break,
            },
            _ => text.push(letter),
        }
    }
    Err("a quotation mark in `sasl.jaas.config` is never closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_read() {
        let text = "org.apache.kafka.common.security.scram.ScramLoginModule required \
                    username=\"me\" password=\"a;b=\\\"c\\\"\";";
        let read = login(text).unwrap();
        assert!(read.is_scram);
        assert_eq!(
            (read.login.username.as_str(), read.login.password.0.as_str()),
            ("me", "a;b=\"c\"")
        );
        let plain = login(
            "org.apache.kafka.common.security.plain.PlainLoginModule\nrequired\nusername=u \
             password='p' user_a=\"x\" ;",
        )
        .unwrap();
        assert!(!plain.is_scram);
        assert_eq!(plain.login.password.0, "p");
    }

    #[test]
    fn anything_else_is_refused_without_quoting_secrets() {
        for text in [
            "",
            "x.OAuthBearerLoginModule required;",
            "ScramLoginModule username=\"hunter2\";",
            "ScramLoginModule required password=\"hunter2\";",
            "ScramLoginModule required username=\"u\";",
            "ScramLoginModule required username=\"u\" password=\"hunter2\"",
            "ScramLoginModule required username=\"u\" password=\"hunter2;",
            "ScramLoginModule required username=\"u\" password=\"p\"; Other required;",
            "ScramLoginModule required \"hunter2\" = ;",
        ] {
            let complaint = login(text).unwrap_err();
            assert!(!complaint.contains("hunter2"), "{complaint}");
        }
    }
}
