//! A batch from a header and a payload.

use farlog_wire::records::{BATCH_HEADER_BYTES, BatchHeader};

/// Where the part under the checksum begins, and where the checksum is.
const CHECKED_AT: usize = 21;
const CRC_AT: usize = 17;

/// The bytes of a batch, length and checksum made to fit; `None` if there are more than 2 GiB.
pub(super) fn sealed(header: &mut BatchHeader, payload: &[u8]) -> Option<Vec<u8>> {
    let size_bytes = BATCH_HEADER_BYTES + payload.len();
    // The length counts what is behind it.
    header.batch_length = i32::try_from(size_bytes - 12).ok()?;
    let mut front = [0; BATCH_HEADER_BYTES];
    header.write_to(&mut front);
    let mut bytes = Vec::with_capacity(size_bytes);
    bytes.extend_from_slice(&front);
    bytes.extend_from_slice(payload);
    header.crc = crc32c::crc32c(&bytes[CHECKED_AT..]);
    bytes[CRC_AT..CHECKED_AT].copy_from_slice(&header.crc.to_be_bytes());
    Some(bytes)
}
