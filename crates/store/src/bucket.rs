//! Buckets by their address.

use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

use crate::limits::{
    LOG_CONNECTION_IDLE_MAX, LOG_REQUEST_TIME_MAX, REQUEST_ATTEMPTS_MAX, REQUEST_TIME_MAX,
};
use crate::objects::ObjectPlace;

/// An address of a bucket that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {why}")]
pub struct BucketError {
    address: String,
    why: String,
}

/// What a cloud's client is to know, by its own names for it, in lower case.
struct Settings {
    /// Names that mean nothing are somebody else's.
    environment: Vec<(String, String)>,
    /// Names that mean nothing are mistakes.
    given: Vec<(String, String)>,
}

/// What requests are for.
#[derive(Clone, Copy)]
enum Use {
    Segments,
    Log,
}

impl ObjectPlace {
    /// Of an address: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or
    /// `file:///directory`.
    ///
    /// Of `environment` those settings are used whose names the cloud's own tools take from there:
    /// `AWS_…`, `GOOGLE_…`, `AZURE_…`; among them `AWS_ENDPOINT` for what is compatible with S3.
    /// `given` ones have the same names, with or without the cloud's in front, and count more.
    ///
    /// # Errors
    /// If the address is of another kind, if a given setting has no meaning, or if the settings
    /// contradict each other or lack something. The bucket itself is not asked for anything.
    pub fn from_address(
        address: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        given: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BucketError> {
        let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
        let is_cloud = |(name, _): &(String, String)| {
            ["aws_", "google_", "azure_"].iter().any(|cloud| name.starts_with(cloud))
        };
        let environment = environment.into_iter().map(lower).filter(is_cloud).collect();
        let settings = Settings { environment, given: given.into_iter().map(lower).collect() };
        opened(address, &settings).map_err(|why| BucketError { address: address.to_owned(), why })
    }
}

fn opened(address: &str, settings: &Settings) -> Result<ObjectPlace, String> {
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    let (scheme, path) = ObjectStoreScheme::parse(&url).map_err(|error| error.to_string())?;
    let client = match scheme {
        ObjectStoreScheme::Local => {
            let directory = url.to_file_path();
            let not_a_path = |()| "not the path of a directory".to_owned();
            return directory.map(ObjectPlace::Directory).map_err(not_a_path);
        }
        ObjectStoreScheme::AmazonS3 => s3,
        ObjectStoreScheme::GoogleCloudStorage => google,
        ObjectStoreScheme::MicrosoftAzure => azure,
        _ => return Err("not s3://, gs://, az:// or file://".to_owned()),
    };
    Ok(ObjectPlace::Bucket {
        store: client(address, settings, Use::Segments)?,
        log_store: client(address, settings, Use::Log)?,
        prefix: path.to_string(),
    })
}

type Client = Result<Arc<dyn ObjectStore>, String>;

fn s3(address: &str, settings: &Settings, of: Use) -> Client {
    let builder = AmazonS3Builder::new().with_url(address);
    let builder = builder.with_retry(of.retry()).with_client_options(of.options());
    let builder = settings.apply(builder, |builder, key, value: String| {
        // Who writes http:// means it.
        let is_plain = key == AmazonS3ConfigKey::Endpoint && value.starts_with("http://");
        let builder = if is_plain { builder.with_allow_http(true) } else { builder };
        builder.with_config(key, value)
    })?;
    built(builder.build())
}

fn google(address: &str, settings: &Settings, of: Use) -> Client {
    let builder = GoogleCloudStorageBuilder::new().with_url(address);
    let builder = builder.with_retry(of.retry()).with_client_options(of.options());
    built(settings.apply(builder, |builder, key, value| builder.with_config(key, value))?.build())
}

fn azure(address: &str, settings: &Settings, of: Use) -> Client {
    let builder = MicrosoftAzureBuilder::new().with_url(address);
    let builder = builder.with_retry(of.retry()).with_client_options(of.options());
    built(settings.apply(builder, |builder, key, value| builder.with_config(key, value))?.build())
}

fn built<S: ObjectStore>(store: Result<S, object_store::Error>) -> Client {
    store.map(|store| Arc::new(store) as _).map_err(|error| error.to_string())
}

impl Settings {
    /// Tells a client all that it is to know.
    fn apply<B, K: FromStr>(
        &self,
        mut builder: B,
        with: impl Fn(B, K, String) -> B,
    ) -> Result<B, String> {
        for (name, value) in &self.environment {
            if let Ok(key) = name.parse() {
                builder = with(builder, key, value.clone());
            }
        }
        for (name, value) in &self.given {
            let key = name.parse().map_err(|_| format!("no setting is called {name}"))?;
            builder = with(builder, key, value.clone());
        }
        Ok(builder)
    }
}

impl Use {
    fn retry(self) -> RetryConfig {
        let max_retries = match self {
            Self::Segments => REQUEST_ATTEMPTS_MAX - 1,
            // The log's writer sees every failure itself.
            Self::Log => 0,
        };
        RetryConfig { max_retries, retry_timeout: REQUEST_TIME_MAX, ..RetryConfig::default() }
    }

    fn options(self) -> ClientOptions {
        let options = ClientOptions::new();
        match self {
            Self::Segments => options,
            Self::Log => options
                .with_timeout(LOG_REQUEST_TIME_MAX)
                .with_pool_idle_timeout(LOG_CONNECTION_IDLE_MAX),
        }
    }
}
