//! Writing values, and what cannot be written.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::{Uuid, VersionRange};
use crate::limits::STRING_BYTES_MAX;

/// Why a message cannot be written in a version. `field` is `Struct.field` in Kafka's struct names
/// and our field names.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A field has a value that this version has no place for, and that may not be dropped.
    #[error("{field} is set, but version {version} cannot carry it")]
    FieldNotInVersion {
        /// The field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A field is null and cannot be in this version.
    #[error("{field} cannot be null in this version")]
    Null {
        /// The field.
        field: &'static str,
    },
    /// A value longer than its length prefix can say.
    #[error("{field} has length {length}, at most {length_max} is allowed")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length, in bytes or elements.
        length: usize,
        /// The longest that can be written.
        length_max: usize,
    },
    /// A version that this build does not know.
    #[error("{message}: version {version} is unknown, versions {known} are known")]
    UnknownVersion {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
        /// The versions that are known.
        known: VersionRange,
    },
}

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: BytesMut,
    /// Where long byte fields are not copied.
    shared: Option<Shared>,
}

/// What was written before the buffer began: byte fields as they were given, and what lies between.
#[derive(Debug)]
struct Shared {
    chunks: Vec<Bytes>,
    chunks_bytes: usize,
    /// Shorter fields are copied.
    field_bytes_min: usize,
}

/// The longest array or byte field: lengths are `int32` on the wire, in both formats.
const LENGTH_MAX: usize = i32::MAX as usize;

impl Writer {
    /// Writes to a new buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes to a buffer that has room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: BytesMut::with_capacity(bytes), shared: None }
    }

    /// Appends to `bytes`.
    pub fn append_to(bytes: BytesMut) -> Self {
        Self { bytes, shared: None }
    }

    /// Writes to a new buffer, but for byte fields of at least `field_bytes_min`, which are shared
    /// and not copied: see [`into_chunks`](Self::into_chunks).
    pub fn sharing(field_bytes_min: usize) -> Self {
        let shared = Shared { chunks: Vec::new(), chunks_bytes: 0, field_bytes_min };
        Self { bytes: BytesMut::new(), shared: Some(shared) }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.shared.as_ref().map_or(0, |shared| shared.chunks_bytes)
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written, in one piece.
    pub fn into_bytes(self) -> BytesMut {
        let Some(shared) = self.shared.filter(|shared| !shared.chunks.is_empty()) else {
            return self.bytes;
        };
        let mut bytes = BytesMut::with_capacity(shared.chunks_bytes + self.bytes.len());
        shared.chunks.iter().for_each(|chunk| bytes.extend_from_slice(chunk));
        bytes.extend_from_slice(&self.bytes);
        bytes
    }

    /// What was written, in order; none of the pieces is empty.
    pub fn into_chunks(mut self) -> Vec<Bytes> {
        self.seal();
        match self.shared {
            Some(shared) => shared.chunks,
            None if self.bytes.is_empty() => Vec::new(),
            None => vec![self.bytes.freeze()],
        }
    }

    /// Ends a piece.
    fn seal(&mut self) {
        if let Some(shared) = &mut self.shared
            && !self.bytes.is_empty()
        {
            let chunk = std::mem::take(&mut self.bytes).freeze();
            shared.chunks_bytes += chunk.len();
            shared.chunks.push(chunk);
        }
    }

    /// Bytes without a length that are copied only if they are few.
    fn share(&mut self, bytes: &Bytes) {
        if self.shared.as_ref().is_none_or(|shared| bytes.len() < shared.field_bytes_min) {
            return self.raw(bytes);
        }
        self.seal();
        if let Some(shared) = &mut self.shared
            && !bytes.is_empty()
        {
            shared.chunks_bytes += bytes.len();
            shared.chunks.push(bytes.clone());
        }
    }

    /// A boolean: one byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.bytes.put_u8(value.into());
    }

    /// A 64-bit floating-point number.
    pub fn f64(&mut self, value: f64) {
        self.bytes.put_f64(value);
    }

    /// A 16-byte identifier.
    pub fn uuid(&mut self, value: Uuid) {
        self.bytes.put_slice(&value.0);
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.put_slice(bytes);
    }

    /// An unsigned integer in 1 to 5 bytes, 7 bits a byte, low bits first.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    /// A string that is not null; `flexible` says which of the two formats it takes.
    pub fn string(
        &mut self,
        field: &'static str,
        value: &str,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        self.nullable_string(field, Some(value), flexible, true)
    }

    /// A string that can be null if `nullable`.
    pub fn nullable_string(
        &mut self,
        field: &'static str,
        value: Option<&str>,
        flexible: bool,
        nullable: bool,
    ) -> Result<(), EncodeError> {
        let length = value.map(str::len);
        check_length(field, length, nullable, STRING_BYTES_MAX)?;
        match length {
            _ if flexible => self.compact_length(length),
            None => self.i16(-1),
            Some(length) => self.i16(length as i16),
        }
        self.raw(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// Bytes that are not null.
    pub fn bytes(
        &mut self,
        field: &'static str,
        value: &Bytes,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        self.nullable_bytes(field, Some(value), flexible, true)
    }

    /// Bytes that can be null if `nullable`.
    pub fn nullable_bytes(
        &mut self,
        field: &'static str,
        value: Option<&Bytes>,
        flexible: bool,
        nullable: bool,
    ) -> Result<(), EncodeError> {
        self.length(field, value.map(Bytes::len), flexible, nullable)?;
        if let Some(bytes) = value {
            self.share(bytes);
        }
        Ok(())
    }

    /// An array that is not null; `element` writes one element.
    pub fn array<T>(
        &mut self,
        field: &'static str,
        values: &[T],
        flexible: bool,
        element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.nullable_array(field, Some(values), flexible, true, element)
    }

    /// An array that can be null if `nullable`.
    pub fn nullable_array<T>(
        &mut self,
        field: &'static str,
        values: Option<&[T]>,
        flexible: bool,
        nullable: bool,
        mut element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.length(field, values.map(<[T]>::len), flexible, nullable)?;
        for value in values.unwrap_or_default() {
            element(self, value)?;
        }
        Ok(())
    }

    /// A structure that can be null if `nullable`: -1 for null, else 1 and the structure.
    pub fn nullable_struct<T>(
        &mut self,
        field: &'static str,
        value: Option<&T>,
        nullable: bool,
        structure: impl FnOnce(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match value {
            None if !nullable => Err(EncodeError::Null { field }),
            None => {
                self.i8(-1);
                Ok(())
            }
            Some(value) => {
                // A structure that cannot be null in this version has no byte before it.
                if nullable {
                    self.i8(1);
                }
                structure(self, value)
            }
        }
    }

    /// The tagged fields at the end of a structure of a flexible version (KIP-482).
    pub fn tagged_fields(&mut self, fields: &TaggedFields) {
        self.unsigned_varint(fields.count);
        self.raw(&fields.body.bytes);
    }

    fn length(
        &mut self,
        field: &'static str,
        length: Option<usize>,
        flexible: bool,
        nullable: bool,
    ) -> Result<(), EncodeError> {
        check_length(field, length, nullable, LENGTH_MAX)?;
        match length {
            _ if flexible => self.compact_length(length),
            None => self.i32(-1),
            Some(length) => self.i32(length as i32),
        }
        Ok(())
    }

    /// A compact length is one more than the length; 0 stands for null.
    fn compact_length(&mut self, length: Option<usize>) {
        self.unsigned_varint(length.map_or(0, |length| length as u32 + 1));
    }
}

/// Tagged fields that are being gathered, in ascending order of their tags.
#[derive(Debug, Default)]
pub struct TaggedFields {
    count: u32,
    body: Writer,
}

impl TaggedFields {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the field that `value` writes.
    pub fn field(
        &mut self,
        tag: u32,
        value: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut field = Writer::new();
        value(&mut field)?;
        check_length("tagged field", Some(field.len()), false, LENGTH_MAX)?;
        self.count += 1;
        self.body.unsigned_varint(tag);
        self.body.unsigned_varint(field.len() as u32);
        self.body.raw(&field.bytes);
        Ok(())
    }
}

macro_rules! integers {
    ($($name:ident, $type:ty, $put:ident, $doc:literal;)*) => {
        impl Writer {
            $(
                #[doc = $doc]
                pub fn $name(&mut self, value: $type) {
                    self.bytes.$put(value);
                }
            )*
        }
    };
}

integers! {
    i8, i8, put_i8, "A signed integer of 1 byte.";
    i16, i16, put_i16, "A signed integer of 2 bytes, big-endian.";
    u16, u16, put_u16, "An unsigned integer of 2 bytes, big-endian.";
    i32, i32, put_i32, "A signed integer of 4 bytes, big-endian.";
    u32, u32, put_u32, "An unsigned integer of 4 bytes, big-endian.";
    i64, i64, put_i64, "A signed integer of 8 bytes, big-endian.";
}

fn check_length(
    field: &'static str,
    length: Option<usize>,
    nullable: bool,
    length_max: usize,
) -> Result<(), EncodeError> {
    match length {
        None if !nullable => Err(EncodeError::Null { field }),
        Some(length) if length > length_max => {
            Err(EncodeError::TooLong { field, length, length_max })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_fields_are_shared_and_the_bytes_are_the_same() {
        let (short, long) = (Bytes::from_static(b"short"), Bytes::from(vec![7; 100]));
        let write = |out: &mut Writer| {
            out.i32(1);
            for value in [&short, &long, &long, &Bytes::new(), &short] {
                out.bytes("field", value, true).unwrap();
            }
            out.nullable_bytes("field", None, false, true).unwrap();
        };
        let (mut plain, mut sharing) = (Writer::new(), Writer::sharing(100));
        write(&mut plain);
        write(&mut sharing);
        assert_eq!(sharing.len(), plain.len());
        let chunks = sharing.into_chunks();
        let is_long = |chunk: &&Bytes| chunk.as_ptr() == long.as_ptr();
        assert_eq!(chunks.iter().filter(is_long).count(), 2, "not copied");
        assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
        assert_eq!(chunks.concat(), plain.into_bytes());
    }
}
