//! Every limit of the wire, with the reason for its value.

/// The largest frame that is read once a connection is authenticated, in bytes, without the size
/// prefix. Kafka's own default (`socket.request.max.bytes`) is 100 MiB, so no broker with default
/// settings takes a larger request; fetch limits keep responses far below it.
pub const FRAME_BYTES_MAX: usize = 100 * 1024 * 1024;

/// The largest frame that is read before a connection is authenticated, in bytes. The largest
/// legitimate one is the `ApiVersions` response (7 bytes for each of about 90 APIs, and features).
pub const FRAME_BYTES_BEFORE_AUTHENTICATION_MAX: usize = 64 * 1024;

/// How many bytes of memory a decoder may use for one byte of frame.
///
/// No honest message passes it: an empty `bytes` field is one byte on the wire and 32 in memory,
/// an empty string or array 24, and every structure in an array has fields that do better (the
/// reader asserts it for each array in debug builds). What `bytes` and `records` hold is a slice
/// of the frame and costs nothing more.
pub const DECODED_BYTES_PER_FRAME_BYTE_MAX: usize = 32;

/// Memory that any frame may use, however short, in bytes: room for one element of every array
/// that has fields which take no bytes on the wire (unset tagged fields).
pub const DECODED_BYTES_ALWAYS_ALLOWED: usize = 4 * 1024;

/// The longest string of the protocol, in bytes of UTF-8: its length is an `int16`, and Kafka
/// keeps the same bound for the compact strings of flexible versions.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

const _: () = assert!(FRAME_BYTES_BEFORE_AUTHENTICATION_MAX <= FRAME_BYTES_MAX);
// A frame's size is an int32 on the wire.
const _: () = assert!(FRAME_BYTES_MAX <= i32::MAX as usize);
