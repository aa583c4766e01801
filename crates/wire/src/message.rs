//! What every generated message can do.

use crate::api_key::ApiKey;
use crate::primitives::{DecodeError, EncodeError, Reader, VersionRange, Writer};

/// One message of the protocol: a value that holds every field of every version.
///
/// Shape and rules are those of Kafka's own generator (`README.md` beside the definitions): a field
/// that a version does not carry is left out when it is *ignorable* or has its default value, and
/// is an error otherwise; decoding gives absent fields their default.
pub trait Message: Sized {
    /// Kafka's name of the message, for instance `FetchRequest`.
    const NAME: &'static str;
    /// The versions that can be encoded and decoded: all that Kafka calls stable.
    const VERSIONS: VersionRange;

    /// Appends the message, without header, in this version's format.
    ///
    /// # Errors
    /// When `version` is outside [`Self::VERSIONS`], when a field is set that this version cannot
    /// carry, or when a value is too long for its length prefix. `out` then holds a part of the
    /// message and is of no use.
    fn encode(&self, out: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Reads the message, without header. Leaves behind in `input` what follows the message.
    ///
    /// # Errors
    /// When the bytes are not this message in this version. Memory use is bounded by the length of
    /// the input, whatever it declares.
    fn decode(input: &mut Reader, version: i16) -> Result<Self, DecodeError>;
}

/// A message that a client sends and a broker answers.
pub trait Request: Message {
    /// The number by which the broker tells requests apart.
    const API_KEY: ApiKey;
    /// The answer, always in the version of the request.
    type Response: Message;

    /// The version of [`RequestHeader`](crate::messages::request_header::RequestHeader) that
    /// precedes this request in this version: 2 if flexible, else 1.
    fn request_header_version(version: i16) -> i16;

    /// The version of [`ResponseHeader`](crate::messages::response_header::ResponseHeader) that
    /// precedes the answer: 1 if flexible, else 0. `ApiVersions` is always answered with 0, so
    /// that a client can read it before it knows the broker (KIP-511).
    fn response_header_version(version: i16) -> i16;
}
