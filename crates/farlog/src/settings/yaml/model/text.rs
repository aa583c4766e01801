//! Texts with a grammar of their own; the `format` of their schema is what the walk checks.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A text with a grammar of its own, checked by its `format`.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $format:literal, $types:expr, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": $types, "format": $format, "examples": [$example] })
            }
        }
    };
}

text!(
    /// A duration: `500ms`, `5s`, `2m`, `1h`, `90d`.
    Span, "duration", ["string"], "5s"
);
text!(
    /// A number of bytes: `1048576`, `64KiB`, `10MB`.
    Size, "bytes", ["string", "integer"], "64KiB"
);
text!(
    /// Bytes per second: `50MB/s`.
    Rate, "rate", ["string", "integer"], "50MB/s"
);
text!(
    /// An instant: `2026-01-31T12:00:00Z`, or milliseconds since 1970.
    Instant, "instant", ["string", "integer"], "2026-01-31T12:00:00Z"
);
text!(
    /// A broker's address: `host:port`.
    Address, "address", ["string"], "broker-1:9092"
);
