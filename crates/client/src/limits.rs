//! Every bound of this crate in one place, each named with its unit.

use std::time::Duration;

/// Largest response frame that is read before the peer has proven that it speaks Kafka and, with
/// SASL, that it knows our password. An `ApiVersions` response of Kafka 4.3 is about 1 KB.
pub const FRAME_BYTES_BEFORE_AUTHENTICATION_MAX: usize = 64 * 1024;

/// Default for the largest response frame afterwards: Kafka's own `socket.request.max.bytes`.
pub const FRAME_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Bytes that a connection reads at once while it does not know how large the next frame is.
/// Frames that fit are handed over as a copy; larger ones are read straight into their own buffer,
/// and at most this much of them is copied.
pub const READ_AHEAD_BYTES: usize = 16 * 1024;

/// Slices handed to one vectored write. Linux takes 1,024; a merged batch has a handful.
pub const WRITE_SLICES_MAX: usize = 64;

/// Default for requests written but not answered on one connection.
pub const IN_FLIGHT_REQUESTS_MAX: usize = 100;

/// Default for requests accepted by a connection but not yet written.
pub const QUEUED_REQUESTS_MAX: usize = 1_000;

/// Default for the bytes of those requests.
pub const QUEUED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Default for the memory that a pool keeps for later frames.
pub const POOL_RETAINED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Buffers that a pool keeps, whatever their size.
pub const POOL_RETAINED_BUFFERS_MAX: usize = 64;

/// Smallest buffer a pool hands out; smaller frames share the read-ahead buffer.
pub const POOL_BUFFER_BYTES_MIN: usize = READ_AHEAD_BYTES;

/// PBKDF2 iterations that a SCRAM server may ask for: 60 times Kafka's own maximum (16,384), and
/// about half a second of CPU.
pub const SCRAM_ITERATIONS_MAX: u32 = 1_000_000;

/// Fewest iterations accepted; RFC 7677 §4 and Kafka's own minimum.
pub const SCRAM_ITERATIONS_MIN: u32 = 4_096;

/// Longest salt a SCRAM server may send, in bytes.
pub const SCRAM_SALT_BYTES_MAX: usize = 1_024;

/// SASL exchanges before a mechanism is declared endless.
pub const SASL_ROUNDS_MAX: usize = 8;

/// Addresses of one host name that are tried.
pub const RESOLVED_ADDRESSES_MAX: usize = 16;

/// Longest throttle that is honoured from one response; Kafka's quota windows are far shorter, and
/// a hostile value must not park a connection for 24 days.
pub const THROTTLE_MAX: Duration = Duration::from_secs(300);

/// Part of a SASL session's life after which it is renewed, in percent (Java's client: 85–95).
pub const REAUTHENTICATE_AFTER_PERCENT: u32 = 85;

const _: () = assert!(FRAME_BYTES_BEFORE_AUTHENTICATION_MAX < FRAME_BYTES_MAX);
const _: () = assert!(READ_AHEAD_BYTES <= FRAME_BYTES_BEFORE_AUTHENTICATION_MAX);
const _: () = assert!(SCRAM_ITERATIONS_MIN <= SCRAM_ITERATIONS_MAX);
