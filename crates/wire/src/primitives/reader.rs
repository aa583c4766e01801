//! Bounded reading: nothing that the bytes declare is believed before it is checked.

use bytes::{Buf, Bytes};
use thiserror::Error;

use super::{Uuid, VersionRange};
use crate::limits::{
    DECODED_BYTES_ALWAYS_ALLOWED, DECODED_BYTES_PER_FRAME_BYTE_MAX, STRING_BYTES_MAX,
};

/// Why bytes are not the message that they should be. `field` is `Struct.field` in Kafka's struct
/// names and our field names.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end inside a value of fixed size.
    #[error("{field}: {needed} bytes needed, {remaining} left")]
    Truncated {
        /// The field that was being read.
        field: &'static str,
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that there are.
        remaining: usize,
    },
    /// A declared length or count is larger than what remains could hold.
    #[error("{field}: {declared} declared, at least {needed} bytes, {remaining} left")]
    TooLong {
        /// The field that was being read.
        field: &'static str,
        /// The declared length in bytes, or count in elements.
        declared: u64,
        /// Bytes that so many would take at least.
        needed: u64,
        /// Bytes that there are.
        remaining: usize,
    },
    /// A length below -1, which stands for null.
    #[error("{field}: negative length {length}")]
    NegativeLength {
        /// The field that was being read.
        field: &'static str,
        /// The declared length.
        length: i32,
    },
    /// Null in a field that cannot be null in this version.
    #[error("{field}: null is not allowed in this version")]
    Null {
        /// The field that was being read.
        field: &'static str,
    },
    /// A string beyond what the protocol allows.
    #[error("{field}: string of {length} bytes, at most {STRING_BYTES_MAX} are allowed")]
    StringTooLong {
        /// The field that was being read.
        field: &'static str,
        /// The declared length in bytes.
        length: usize,
    },
    /// A string that is not UTF-8.
    #[error("{field}: string is not UTF-8")]
    NotUtf8 {
        /// The field that was being read.
        field: &'static str,
    },
    /// A variable-length integer of more than 32 bits.
    #[error("{field}: variable-length integer of more than 32 bits")]
    VarintTooLong {
        /// The field that was being read.
        field: &'static str,
    },
    /// The message would take much more memory than its bytes justify.
    #[error("{field}: decoding would take {needed} bytes of memory, at most {limit} are allowed")]
    TooMuchMemory {
        /// The field that was being read.
        field: &'static str,
        /// Memory in use with this field, in bytes.
        needed: usize,
        /// The bound, in bytes.
        limit: usize,
    },
    /// Bytes left over after a message or tagged field that should have ended.
    #[error("{field}: {remaining} bytes left over")]
    TrailingBytes {
        /// What had been read.
        field: &'static str,
        /// Bytes left over.
        remaining: usize,
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

/// Reads values from one frame.
///
/// `bytes` and `records` fields come out as slices of the frame, not copies. Every declared length
/// is checked against the bytes that remain before anything is allocated, and the memory of a
/// whole message is bounded by [`DECODED_BYTES_PER_FRAME_BYTE_MAX`].
///
/// Every method takes the name of the field that it reads, for its error.
#[derive(Debug)]
pub struct Reader {
    bytes: Bytes,
    memory_bytes: usize,
    memory_bytes_max: usize,
}

impl Reader {
    /// Reads from `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        let memory_bytes_max = bytes
            .len()
            .saturating_mul(DECODED_BYTES_PER_FRAME_BYTE_MAX)
            .saturating_add(DECODED_BYTES_ALWAYS_ALLOWED);
        Self { bytes, memory_bytes: 0, memory_bytes_max }
    }

    /// Bytes that are not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Memory that the values read so far take beyond the frame itself, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// What is not read yet, as a slice of the frame.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Refuses left-over bytes after `name`.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] if anything is left.
    pub fn finish(&self, name: &'static str) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            remaining => Err(DecodeError::TrailingBytes { field: name, remaining }),
        }
    }

    /// A boolean: any byte but 0 is true, as in Kafka.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.i8(field)? != 0)
    }

    /// A 64-bit floating-point number.
    pub fn f64(&mut self, field: &'static str) -> Result<f64, DecodeError> {
        self.need(field, 8)?;
        Ok(self.bytes.get_f64())
    }

    /// A 16-byte identifier.
    pub fn uuid(&mut self, field: &'static str) -> Result<Uuid, DecodeError> {
        self.need(field, 16)?;
        Ok(Uuid(self.bytes.get_u128().to_be_bytes()))
    }

    /// An unsigned integer in 1 to 5 bytes, 7 bits a byte, low bits first.
    pub fn unsigned_varint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            self.need(field, 1)?;
            let byte = self.bytes.get_u8();
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintTooLong { field })
    }

    /// A string that cannot be null; `flexible` says which of the two formats it has.
    pub fn string(&mut self, field: &'static str, flexible: bool) -> Result<String, DecodeError> {
        self.nullable_string(field, flexible, false)?.ok_or(DecodeError::Null { field })
    }

    /// A string that can be null if `nullable`.
    pub fn nullable_string(
        &mut self,
        field: &'static str,
        flexible: bool,
        nullable: bool,
    ) -> Result<Option<String>, DecodeError> {
        let length = if flexible {
            self.compact_length(field)?
        } else {
            let length = self.i16(field)?;
            signed_length(field, length.into())?
        };
        let Some(length) = not_null(field, length, nullable)? else { return Ok(None) };
        if length > STRING_BYTES_MAX {
            return Err(DecodeError::StringTooLong { field, length });
        }
        self.need_declared(field, length, 1)?;
        self.use_memory(field, length)?;
        let text = std::str::from_utf8(&self.bytes[..length])
            .map_err(|_| DecodeError::NotUtf8 { field })?
            .to_owned();
        self.bytes.advance(length);
        Ok(Some(text))
    }

    /// Bytes that cannot be null, as a slice of the frame.
    pub fn bytes(&mut self, field: &'static str, flexible: bool) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(field, flexible, false)?.ok_or(DecodeError::Null { field })
    }

    /// Bytes that can be null if `nullable`, as a slice of the frame.
    pub fn nullable_bytes(
        &mut self,
        field: &'static str,
        flexible: bool,
        nullable: bool,
    ) -> Result<Option<Bytes>, DecodeError> {
        let length = self.length(field, flexible)?;
        let Some(length) = not_null(field, length, nullable)? else { return Ok(None) };
        self.need_declared(field, length, 1)?;
        Ok(Some(self.bytes.split_to(length)))
    }

    /// An array that cannot be null. `element_bytes_min` is the least that one element takes on
    /// the wire; `element` reads one.
    pub fn array<T>(
        &mut self,
        field: &'static str,
        flexible: bool,
        element_bytes_min: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let array = self.nullable_array(field, flexible, false, element_bytes_min, element)?;
        array.ok_or(DecodeError::Null { field })
    }

    /// An array that can be null if `nullable`.
    pub fn nullable_array<T>(
        &mut self,
        field: &'static str,
        flexible: bool,
        nullable: bool,
        element_bytes_min: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let count = self.length(field, flexible)?;
        let Some(count) = not_null(field, count, nullable)? else { return Ok(None) };
        self.need_declared(field, count, element_bytes_min.max(1))?;
        // Holds for every generated array, so that no honest message is ever refused below.
        debug_assert!(size_of::<T>() <= DECODED_BYTES_PER_FRAME_BYTE_MAX * element_bytes_min);
        self.use_memory(field, count.saturating_mul(size_of::<T>()))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// A structure that can be null: a byte below 0 for null, else the structure.
    pub fn nullable_struct<T>(
        &mut self,
        field: &'static str,
        nullable: bool,
        structure: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        // A structure that cannot be null in this version has no byte before it.
        if nullable && self.i8(field)? < 0 {
            return Ok(None);
        }
        structure(self).map(Some)
    }

    /// The tagged fields at the end of a structure (KIP-482). `known` reads one from a reader that
    /// ends where the field ends, or answers `false` for a tag that it does not know: that field
    /// is skipped.
    pub fn tagged_fields(
        &mut self,
        field: &'static str,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.unsigned_varint(field)?;
        // A tag and a size are at least one byte each.
        self.need_declared(field, count as usize, 2)?;
        for _ in 0..count {
            let tag = self.unsigned_varint(field)?;
            let length = self.unsigned_varint(field)? as usize;
            self.need_declared(field, length, 1)?;
            let value = self.bytes.split_to(length);
            let rest = std::mem::replace(&mut self.bytes, value);
            if known(tag, self)? {
                self.finish(field)?;
            }
            self.bytes = rest;
        }
        Ok(())
    }

    fn length(
        &mut self,
        field: &'static str,
        flexible: bool,
    ) -> Result<Option<usize>, DecodeError> {
        if flexible {
            return self.compact_length(field);
        }
        let length = self.i32(field)?;
        signed_length(field, length)
    }

    /// A compact length is one more than the length; 0 stands for null.
    fn compact_length(&mut self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        Ok(self.unsigned_varint(field)?.checked_sub(1).map(|length| length as usize))
    }

    fn need(&self, field: &'static str, needed: usize) -> Result<(), DecodeError> {
        let remaining = self.remaining();
        if remaining < needed {
            return Err(DecodeError::Truncated { field, needed, remaining });
        }
        Ok(())
    }

    fn need_declared(
        &self,
        field: &'static str,
        declared: usize,
        each_bytes_min: usize,
    ) -> Result<(), DecodeError> {
        let declared = declared as u64;
        let needed = declared.saturating_mul(each_bytes_min as u64);
        let remaining = self.remaining();
        if remaining as u64 >= needed {
            return Ok(());
        }
        Err(DecodeError::TooLong { field, declared, needed, remaining })
    }

    fn use_memory(&mut self, field: &'static str, bytes: usize) -> Result<(), DecodeError> {
        let needed = self.memory_bytes.saturating_add(bytes);
        let limit = self.memory_bytes_max;
        if needed > limit {
            return Err(DecodeError::TooMuchMemory { field, needed, limit });
        }
        self.memory_bytes = needed;
        Ok(())
    }
}

macro_rules! integers {
    ($($name:ident, $type:ty, $get:ident, $size:literal, $doc:literal;)*) => {
        impl Reader {
            $(
                #[doc = $doc]
                pub fn $name(&mut self, field: &'static str) -> Result<$type, DecodeError> {
                    self.need(field, $size)?;
                    Ok(self.bytes.$get())
                }
            )*
        }
    };
}

integers! {
    i8, i8, get_i8, 1, "A signed integer of 1 byte.";
    i16, i16, get_i16, 2, "A signed integer of 2 bytes, big-endian.";
    u16, u16, get_u16, 2, "An unsigned integer of 2 bytes, big-endian.";
    i32, i32, get_i32, 4, "A signed integer of 4 bytes, big-endian.";
    u32, u32, get_u32, 4, "An unsigned integer of 4 bytes, big-endian.";
    i64, i64, get_i64, 8, "A signed integer of 8 bytes, big-endian.";
}

fn signed_length(field: &'static str, length: i32) -> Result<Option<usize>, DecodeError> {
    match usize::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(DecodeError::NegativeLength { field, length }),
    }
}

fn not_null(
    field: &'static str,
    length: Option<usize>,
    nullable: bool,
) -> Result<Option<usize>, DecodeError> {
    if length.is_none() && !nullable {
        return Err(DecodeError::Null { field });
    }
    Ok(length)
}
