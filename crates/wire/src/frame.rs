//! Frames: a 4-byte size, a header, a message. What goes over a connection, without the connection.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::api_key::ApiKey;
use crate::error_code::ErrorCode;
use crate::message::{Message, Request};
use crate::messages::request_header::RequestHeader;
use crate::messages::response_header::ResponseHeader;
use crate::primitives::{DecodeError, EncodeError, Reader, Writer};

/// Bytes of the size that precedes every frame; it does not count itself.
pub const SIZE_BYTES: usize = 4;

/// A size prefix that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameSizeError {
    /// Below zero: not Kafka, or out of step.
    #[error("frame of negative size {size}: the peer does not speak Kafka, or TLS is expected")]
    Negative {
        /// The declared size.
        size: i32,
    },
    /// Above the limit.
    #[error("frame of {size} bytes, at most {frame_bytes_max} are accepted")]
    TooLarge {
        /// The declared size in bytes.
        size: usize,
        /// The limit in bytes.
        frame_bytes_max: usize,
    },
}

/// The size of the frame that follows `prefix`, in bytes.
///
/// # Errors
/// When it is negative or above `frame_bytes_max`: see [`crate::limits`].
pub fn size_of_frame(
    prefix: [u8; SIZE_BYTES],
    frame_bytes_max: usize,
) -> Result<usize, FrameSizeError> {
    let size = i32::from_be_bytes(prefix);
    match usize::try_from(size) {
        Err(_) => Err(FrameSizeError::Negative { size }),
        Ok(size) if size > frame_bytes_max => {
            Err(FrameSizeError::TooLarge { size, frame_bytes_max })
        }
        Ok(size) => Ok(size),
    }
}

/// A whole request with its size and header, ready to be sent.
///
/// # Errors
/// When the request cannot be written in `version`.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Bytes, EncodeError> {
    let header = RequestHeader {
        request_api_key: R::API_KEY.into(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(str::to_owned),
    };
    encode(&header, R::request_header_version(version), request, version)
}

/// A whole response with its size and header, ready to be sent.
///
/// # Errors
/// When the response cannot be written in `version`.
pub fn encode_response<R: Request>(
    response: &R::Response,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, EncodeError> {
    let header = ResponseHeader { correlation_id };
    encode(&header, R::response_header_version(version), response, version)
}

/// Like [`encode_response`], in pieces: `bytes` and `records` fields of at least `field_bytes_min`
/// are shared, not copied.
///
/// # Errors
/// When the response cannot be written in `version`.
pub fn encode_response_chunks<R: Request>(
    response: &R::Response,
    version: i16,
    correlation_id: i32,
    field_bytes_min: usize,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut out = Writer::sharing(field_bytes_min);
    ResponseHeader { correlation_id }.encode(&mut out, R::response_header_version(version))?;
    response.encode(&mut out, version)?;
    let size = size_prefix::<R::Response>(out.len())?;
    let mut chunks = vec![Bytes::copy_from_slice(&size)];
    chunks.append(&mut out.into_chunks());
    Ok(chunks)
}

fn encode<H: Message, M: Message>(
    header: &H,
    header_version: i16,
    message: &M,
    version: i16,
) -> Result<Bytes, EncodeError> {
    let mut out = Writer::new();
    out.raw(&[0; SIZE_BYTES]);
    header.encode(&mut out, header_version)?;
    message.encode(&mut out, version)?;
    let mut frame: BytesMut = out.into_bytes();
    let size = size_prefix::<M>(frame.len() - SIZE_BYTES)?;
    frame[..SIZE_BYTES].copy_from_slice(&size);
    Ok(frame.freeze())
}

fn size_prefix<M: Message>(length: usize) -> Result<[u8; SIZE_BYTES], EncodeError> {
    let size = i32::try_from(length).map_err(|_| EncodeError::TooLong {
        field: M::NAME,
        length,
        length_max: i32::MAX as usize,
    })?;
    Ok(size.to_be_bytes())
}

/// The id by which a response (without its size) is matched with its request.
///
/// # Errors
/// When the frame is shorter than that.
pub fn correlation_id(frame: &[u8]) -> Result<i32, DecodeError> {
    match frame.first_chunk::<4>() {
        Some(id) => Ok(i32::from_be_bytes(*id)),
        None => Err(DecodeError::Truncated {
            field: "ResponseHeader.correlation_id",
            needed: 4,
            remaining: frame.len(),
        }),
    }
}

/// The correlation id and the response to a request `R` that was sent in `version`, from a frame
/// without its size. `bytes` and `records` fields are slices of `frame`.
///
/// A broker that does not know the version of an `ApiVersions` request answers in version 0 with
/// `UNSUPPORTED_VERSION`, and from Kafka 2.4 on names the versions that it does know (KIP-511):
/// that answer is understood, too.
///
/// # Errors
/// When the frame is not such a response, or is longer than it.
pub fn decode_response<R: Request>(
    frame: Bytes,
    version: i16,
) -> Result<(i32, R::Response), DecodeError> {
    let mut input = Reader::new(frame);
    let header = ResponseHeader::decode(&mut input, R::response_header_version(version))?;
    if R::API_KEY == ApiKey::ApiVersions && version > 0 {
        let body = input.into_bytes();
        // The error code comes first in every version.
        let refused = body.starts_with(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes());
        if refused && let Ok(response) = decode_all(&mut Reader::new(body.clone()), 0) {
            return Ok((header.correlation_id, response));
        }
        input = Reader::new(body);
    }
    Ok((header.correlation_id, decode_all(&mut input, version)?))
}

fn decode_all<M: Message>(input: &mut Reader, version: i16) -> Result<M, DecodeError> {
    let message = M::decode(input, version)?;
    input.finish(M::NAME)?;
    Ok(message)
}

/// The header of a request, from a frame without its size, and a reader that stands at the
/// request itself.
///
/// `header_version` says which header an API and version has (for APIs that are not known: 1, whose
/// fields every header begins with).
///
/// # Errors
/// When the frame does not begin with a request header.
pub fn decode_request_header(
    frame: Bytes,
    header_version: impl FnOnce(i16, i16) -> i16,
) -> Result<(RequestHeader, Reader), DecodeError> {
    let mut peek = Reader::new(frame.clone());
    let api_key = peek.i16("RequestHeader.request_api_key")?;
    let api_version = peek.i16("RequestHeader.request_api_version")?;
    let mut input = Reader::new(frame);
    let header = RequestHeader::decode(&mut input, header_version(api_key, api_version))?;
    Ok((header, input))
}
