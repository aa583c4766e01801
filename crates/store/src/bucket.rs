//! Buckets by their address.

use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

use crate::limits::{REQUEST_ATTEMPTS_MAX, REQUEST_TIME_MAX};
use crate::objects::ObjectPlace;

/// An address of a bucket that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {why}")]
pub struct BucketError {
    address: String,
    why: String,
}

impl ObjectPlace {
    /// Of an address: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or
    /// `file:///directory`.
    ///
    /// Of `settings` those are used whose names the cloud's own tools take from the environment:
    /// `AWS_…`, `GOOGLE_…`, `AZURE_…`; among them `AWS_ENDPOINT` for what is compatible with S3.
    ///
    /// # Errors
    /// If the address is of another kind, or if the settings contradict each other or lack
    /// something. The bucket itself is not asked for anything.
    pub fn from_address(
        address: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BucketError> {
        let settings = settings.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        let settings = settings.filter(|(name, _)| {
            ["aws_", "google_", "azure_"].iter().any(|cloud| name.starts_with(cloud))
        });
        opened(address, settings).map_err(|why| BucketError { address: address.to_owned(), why })
    }
}

fn opened(
    address: &str,
    settings: impl Iterator<Item = (String, String)>,
) -> Result<ObjectPlace, String> {
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    let (scheme, path) = ObjectStoreScheme::parse(&url).map_err(|error| error.to_string())?;
    let retry = RetryConfig {
        max_retries: REQUEST_ATTEMPTS_MAX - 1,
        retry_timeout: REQUEST_TIME_MAX,
        ..RetryConfig::default()
    };
    let store: Result<Arc<dyn ObjectStore>, object_store::Error> = match scheme {
        ObjectStoreScheme::Local => {
            let directory = url.to_file_path();
            let not_a_path = |()| "not the path of a directory".to_owned();
            return directory.map(ObjectPlace::Directory).map_err(not_a_path);
        }
        ObjectStoreScheme::AmazonS3 => {
            let builder = AmazonS3Builder::new().with_url(address).with_retry(retry);
            let builder = settings.fold(builder, |builder, (name, value)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            });
            builder.build().map(|store| Arc::new(store) as _)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::new().with_url(address).with_retry(retry);
            let builder = settings.fold(builder, |builder, (name, value)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            });
            builder.build().map(|store| Arc::new(store) as _)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::new().with_url(address).with_retry(retry);
            let builder = settings.fold(builder, |builder, (name, value)| match name.parse() {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            });
            builder.build().map(|store| Arc::new(store) as _)
        }
        _ => return Err("not s3://, gs://, az:// or file://".to_owned()),
    };
    let store = store.map_err(|error| error.to_string())?;
    Ok(ObjectPlace::Bucket { store, prefix: path.to_string() })
}
