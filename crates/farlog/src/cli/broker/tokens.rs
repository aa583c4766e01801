//! Which tokens let their bearers into `farlog broker` (OAUTHBEARER), and the keys that they are
//! signed with: from a file or from an issuer's server, looked at again while the broker runs.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use farlog_broker::{TokenKeys, TokenOptions, TokenTrust};
use tokio::time::sleep;

use crate::settings::surroundings::{FILE_BYTES_MAX, read_bounded};

/// Between two looks at a file of keys.
const FILE_INTERVAL: Duration = Duration::from_secs(10);

/// Between two requests for keys to a server.
const URL_INTERVAL: Duration = Duration::from_secs(300);

/// How long a server may take to answer such a request.
const URL_TIMEOUT: Duration = Duration::from_secs(10);

/// Arguments about tokens.
#[derive(Debug, Args)]
pub struct TokenArguments {
    /// Take signed tokens (OAUTHBEARER): the keys that they may be signed with, a JWK set in a file
    /// or at a URL, looked at again while the broker runs.
    #[arg(long, value_name = "FILE|URL")]
    pub oauth_jwks: Option<KeySource>,
    /// Take tokens that nobody has signed: anybody can be anyone. For trials only.
    #[arg(long, conflicts_with = "oauth_jwks")]
    pub oauth_unsecured: bool,
    /// Who must have issued the tokens (their claim iss); anybody if not given.
    #[arg(long, value_name = "TEXT")]
    pub oauth_issuer: Option<String>,
    /// Whom the tokens must be for (their claim aud); not looked at if not given. May be repeated:
    /// one of them is enough.
    #[arg(long, value_name = "TEXT")]
    pub oauth_audience: Vec<String>,
    /// The claim of the tokens that names the user.
    #[arg(long, value_name = "NAME", default_value = "sub")]
    pub oauth_principal_claim: String,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A server.
    Url(String),
}

/// Keys in use, and where they came from.
#[derive(Debug)]
pub struct KeyFollower {
    source: KeySource,
    keys: TokenKeys,
    /// What was seen last: the text, or why there was none.
    seen: Result<String, String>,
}

impl FromStr for KeySource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_url = ["http://", "https://"].iter().any(|scheme| {
            text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
        });
        Ok(if is_url { Self::Url(text.to_owned()) } else { Self::File(text.into()) })
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Url(url) => out.write_str(url),
        }
    }
}

impl TokenArguments {
    /// Which tokens are taken, and who looks for new keys; `None` if none are taken.
    ///
    /// # Errors
    /// If there are no keys, or arguments that say nothing without others.
    pub async fn options(&self) -> Result<Option<(TokenOptions, Option<KeyFollower>)>, String> {
        let (trust, follower) = match &self.oauth_jwks {
            Some(source) => {
                let follower = KeyFollower::open(source.clone()).await?;
                (TokenTrust::Signed(follower.keys.clone()), Some(follower))
            }
            None if self.oauth_unsecured => (TokenTrust::Unsecured, None),
            None if self.oauth_issuer.is_some() || !self.oauth_audience.is_empty() => {
                let why = "--oauth-issuer and --oauth-audience say which tokens are taken of those \
                           that --oauth-jwks can verify";
                return Err(why.to_owned());
            }
            None => return Ok(None),
        };
        let options = TokenOptions {
            trust,
            issuer: self.oauth_issuer.clone(),
            audiences: self.oauth_audience.clone(),
            principal_claim: self.oauth_principal_claim.clone(),
        };
        Ok(Some((options, follower)))
    }

    /// What an operator should know of what was asked for.
    pub fn warn(&self) {
        if self.oauth_unsecured {
            tracing::warn!("tokens are taken that nobody has signed: anybody can be anyone");
        }
        if let Some(source) = &self.oauth_jwks {
            if self.oauth_issuer.is_none() && self.oauth_audience.is_empty() {
                tracing::warn!(
                    "any token is taken that a key of {source} has signed, whatever it was issued \
                     for: see --oauth-audience and --oauth-issuer"
                );
            }
            if matches!(source, KeySource::Url(url) if !url.to_lowercase().starts_with("https:")) {
                tracing::warn!(
                    "the keys come from {source} without TLS: who can change them on \
                                their way can be anyone"
                );
            }
        }
    }
}

impl KeyFollower {
    async fn open(source: KeySource) -> Result<Self, String> {
        let text = source.read().await?;
        let keys = TokenKeys::parse(&text).map_err(|why| format!("{source}: {why}"))?;
        Ok(Self { source, keys, seen: Ok(text) })
    }

    /// Looks for new keys, for ever. Those in use stay until there are others that can be used.
    pub async fn follow(mut self) -> Infallible {
        loop {
            sleep(match &self.source {
                KeySource::File(_) => FILE_INTERVAL,
                KeySource::Url(_) => URL_INTERVAL,
            })
            .await;
            self.look().await;
        }
    }

    /// Looks once, and says what is new.
    async fn look(&mut self) {
        let seen = self.source.read().await;
        if seen == self.seen {
            return;
        }
        let taken = seen.clone().and_then(|text| {
            self.keys.replace(&text).map_err(|why| format!("{}: {why}", self.source))
        });
        match taken {
            Ok(()) => tracing::info!("tokens may be signed with new keys of {}", self.source),
            Err(why) => tracing::warn!("the keys for tokens stay as they are: {why}"),
        }
        self.seen = seen;
    }
}

impl KeySource {
    async fn read(&self) -> Result<String, String> {
        let bytes = match self {
            Self::File(path) => {
                let path = path.clone();
                let reading = tokio::task::spawn_blocking(move || read_bounded(&path));
                let read = reading.await.map_err(|error| error.to_string());
                read.and_then(|read| read.map_err(|error| error.to_string()))
            }
            Self::Url(url) => get(url).await,
        };
        let bytes = bytes.map_err(|why| format!("cannot read {self}: {why}"))?;
        String::from_utf8(bytes).map_err(|_| format!("{self} is not UTF-8"))
    }
}

/// What a server has at a URL.
async fn get(url: &str) -> Result<Vec<u8>, String> {
    let whole = |error: reqwest::Error| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(why) = source {
            text = format!("{text}: {why}");
            source = why.source();
        }
        text
    };
    let client = reqwest::Client::builder().timeout(URL_TIMEOUT).build().map_err(whole)?;
    let answered = client.get(url).send().await.map_err(whole)?;
    let mut answer = answered.error_for_status().map_err(whole)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(whole)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use farlog_testkit::tokens::{Issuer, key_set};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        tokens: TokenArguments,
    }

    async fn options(arguments: &[&str]) -> Result<Option<TokenOptions>, String> {
        let line = Line::try_parse_from([&["broker"], arguments].concat());
        let found = line.map_err(|error| error.to_string())?.tokens.options().await?;
        Ok(found.map(|(options, _)| options))
    }

    #[tokio::test]
    async fn arguments_say_which_tokens_are_taken() {
        assert!(options(&[]).await.unwrap().is_none());
        let unsecured = options(&["--oauth-unsecured"]).await.unwrap().unwrap();
        assert!(matches!(unsecured.trust, TokenTrust::Unsecured));
        assert_eq!(unsecured.principal_claim, "sub");
        assert!(options(&["--oauth-unsecured", "--oauth-jwks", "x"]).await.is_err());
        assert!(options(&["--oauth-issuer", "x"]).await.unwrap_err().contains("--oauth-jwks"));
        let absent = options(&["--oauth-jwks", "/no/such/file"]).await.unwrap_err();
        assert!(absent.contains("cannot read /no/such/file"), "{absent}");
        assert_eq!("HTTPS://a".parse(), Ok(KeySource::Url("HTTPS://a".to_owned())));
    }

    #[tokio::test]
    async fn keys_of_a_file_are_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jwks.json");
        std::fs::write(&path, key_set([&Issuer::es256("1")])).unwrap();
        let mut follower = KeyFollower::open(KeySource::File(path.clone())).await.unwrap();
        let keys = follower.keys.clone();
        for (text, expected) in
            [("{".to_owned(), r#"[Some("1")]"#), (key_set([&Issuer::es256("2")]), r#"[Some("2")]"#)]
        {
            std::fs::write(&path, text).unwrap();
            follower.look().await;
            assert_eq!(format!("{keys:?}"), expected);
        }
        std::fs::remove_file(&path).unwrap();
        follower.look().await;
        assert_eq!(format!("{keys:?}"), r#"[Some("2")]"#);
    }

    #[tokio::test]
    async fn keys_of_a_server_are_read() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", server.local_addr().unwrap());
        let set = key_set([&Issuer::es256("1")]);
        let answers = [
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{set}", set.len()),
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ];
        let serving = tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = server.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let source = KeySource::Url(url);
        let follower = KeyFollower::open(source.clone()).await.unwrap();
        assert_eq!(format!("{:?}", follower.keys), r#"[Some("1")]"#);
        let absent = KeyFollower::open(source).await.unwrap_err();
        assert!(absent.contains("404"), "{absent}");
        serving.await.unwrap();
    }
}
