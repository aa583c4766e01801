//! The first message of a client (RFC 7628, section 3.1; RFC 5801 for what it begins with).

/// What a client says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FirstMessage<'a> {
    /// As whom it wants to act, as it is written; empty if it does not say.
    pub(super) acts_as: &'a str,
    /// The token.
    pub(super) token: &'a str,
}

/// Between the parts of a message, and all that follows an error.
pub(super) const SEPARATOR: char = '\x01';

/// Reads it: `n,[a=NAME],` and pairs `KEY=VALUE`, each with a separator after it, another one
/// before them all and one at the end. What comes besides `auth` (KIP-342) is read and left alone.
///
/// # Errors
/// What is wrong, without anything of the message.
pub(super) fn parse(message: &[u8]) -> Result<FirstMessage<'_>, &'static str> {
    let text = std::str::from_utf8(message).map_err(|_| "the message is not UTF-8")?;
    let rest = text.strip_prefix("n,").ok_or("the message does not begin with n,")?;
    let (acts_as, rest) = rest.split_once(',').ok_or("the message has no second comma")?;
    let acts_as = match acts_as {
        "" => "",
        name => name.strip_prefix("a=").filter(|name| is_name(name)).ok_or("no name after n,")?,
    };
    let rest = rest.strip_prefix(SEPARATOR).ok_or("no separator before the pairs")?;
    let pairs = rest.strip_suffix(SEPARATOR).ok_or("no separator at the end")?;
    let mut auth = None;
    if !pairs.is_empty() {
        let pairs = pairs.strip_suffix(SEPARATOR).ok_or("no separator after the pairs")?;
        for pair in pairs.split(SEPARATOR) {
            let (key, value) = pair.split_once('=').ok_or("a pair without =")?;
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                return Err("a key of other characters than letters");
            }
            if value.is_empty() || !value.bytes().all(is_of_value) {
                return Err("a value of forbidden characters");
            }
            if key == "auth" && auth.replace(value).is_some() {
                return Err("auth is there twice");
            }
        }
    }
    let (scheme, token) =
        auth.and_then(|auth| auth.split_once(' ')).ok_or("there is no auth with a token")?;
    let token = token.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err("the scheme is not bearer");
    }
    if token.is_empty() || !token.bytes().all(is_of_token) {
        return Err("the token has forbidden characters");
    }
    Ok(FirstMessage { acts_as, token })
}

impl FirstMessage<'_> {
    /// Whether a client wants to act as nobody else; commas and equals signs of names are escaped.
    pub(super) fn may_act(&self, name: &str) -> bool {
        let asked = self.acts_as.replace("=2C", ",").replace("=3D", "=");
        asked.is_empty() || asked == name
    }
}

/// A name without commas, and with equals signs as RFC 5801 escapes them.
fn is_name(name: &str) -> bool {
    let mut parts = name.split('=');
    let first = parts.next().unwrap_or_default();
    let is_escaped = |part: &str| part.starts_with("2C") || part.starts_with("3D");
    let is_plain = name.bytes().all(|byte| byte.is_ascii() && byte != 0);
    is_plain && !name.is_empty() && !first.contains(',') && parts.all(is_escaped)
}

fn is_of_value(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | b' ' | b'\t' | b'\r' | b'\n')
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_of_clients_are_read() {
        let read = |text: &'static str| parse(text.as_bytes());
        let first = read("n,,\x01auth=Bearer a.b-_.c\x01\x01").unwrap();
        assert_eq!(first, FirstMessage { acts_as: "", token: "a.b-_.c" });
        let first = read("n,a=x=2Cy=3Dz,\x01traceId=1 2\x01auth=bEARER  t\x01\x01").unwrap();
        assert_eq!(first.token, "t");
        assert!(first.may_act("x,y=z") && !first.may_act("x"));
        for (bad, why) in [
            ("", "n,"),
            ("y,,\x01auth=Bearer t\x01\x01", "n,"),
            ("n,\x01auth=Bearer t\x01\x01", "comma"),
            ("n,a=,\x01auth=Bearer t\x01\x01", "name"),
            ("n,b=x,\x01auth=Bearer t\x01\x01", "name"),
            ("n,a=x=20,\x01auth=Bearer t\x01\x01", "name"),
            ("n,,auth=Bearer t\x01\x01", "separator"),
            ("n,,\x01auth=Bearer t\x01", "separator"),
            ("n,,\x01auth=Bearer t", "separator"),
            ("n,,\x01\x01", "no auth"),
            ("n,,\x01", "separator"),
            ("n,,\x01other=Bearer t\x01\x01", "no auth"),
            ("n,,\x01auth=Bearer\x01\x01", "no auth"),
            ("n,,\x01auth=Bearer \x01\x01", "token"),
            ("n,,\x01auth=Basic t\x01\x01", "scheme"),
            ("n,,\x01auth=Bearer t t\x01\x01", "token"),
            ("n,,\x01auth=Bearer t\x01auth=Bearer t\x01\x01", "twice"),
            ("n,,\x01a1=x\x01auth=Bearer t\x01\x01", "letters"),
            ("n,,\x01a=\x01auth=Bearer t\x01\x01", "value"),
            ("n,,\x01\x01\x01auth=Bearer t\x01\x01", "="),
        ] {
            let told = read(bad).expect_err(bad);
            assert!(told.contains(why), "{bad:?}: {told}");
        }
        assert!(parse(b"n,,\x01auth=Bearer \xff\x01\x01").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes: Vec<u8>,
            text in "n,[a=2C3D]{0,6},\x01?[\x01a-z= ]*",
        ) {
            let _ = parse(&bytes);
            if let Ok(first) = parse(text.as_bytes()) {
                prop_assert!(!first.token.is_empty());
            }
        }

        #[test]
        fn what_is_written_is_read(
            token in "[-_.a-zA-Z0-9]{1,64}",
            pairs in "(x=[!-~]{1,8}\x01){0,3}",
        ) {
            let text = format!("n,,\x01{pairs}auth=Bearer {token}\x01\x01");
            prop_assert_eq!(parse(text.as_bytes()).unwrap().token, token.as_str());
        }
    }
}
