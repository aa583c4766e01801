//! The types that MirrorMaker 2's internal records consist of: big-endian integers, and texts
//! behind their length in two bytes.

/// What cannot be read of an internal record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes end before the field does.
    #[error("field {field} is cut off")]
    CutOff {
        /// As MirrorMaker 2 names it.
        field: &'static str,
    },
    /// A text that says it is null or shorter than nothing.
    #[error("field {field} has the length {length}")]
    Length {
        /// As MirrorMaker 2 names it.
        field: &'static str,
        /// What it says.
        length: i16,
    },
    /// Connect's JSON is none, or is not what a MirrorMaker 2 connector writes.
    #[error("{field} is not what Connect writes for MirrorMaker 2: {why}")]
    Json {
        /// `key` or `value`.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// A text that the format cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} has {bytes} bytes; MirrorMaker 2's records hold texts of up to 32767")]
pub struct TextTooLong {
    /// As MirrorMaker 2 names it.
    pub field: &'static str,
    /// Its length.
    pub bytes: usize,
}

/// Fields from the front; whatever stands behind the last one is nobody's business, as in Java.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Unreadable> {
        let (found, rest) = self.0.split_first_chunk().ok_or(Unreadable::CutOff { field })?;
        self.0 = rest;
        Ok(*found)
    }

    pub(super) fn int16(&mut self, field: &'static str) -> Result<i16, Unreadable> {
        self.take(field).map(i16::from_be_bytes)
    }

    pub(super) fn int32(&mut self, field: &'static str) -> Result<i32, Unreadable> {
        self.take(field).map(i32::from_be_bytes)
    }

    pub(super) fn int64(&mut self, field: &'static str) -> Result<i64, Unreadable> {
        self.take(field).map(i64::from_be_bytes)
    }

    /// What is no UTF-8 is replaced, as Java does.
    pub(super) fn text(&mut self, field: &'static str) -> Result<String, Unreadable> {
        let length = self.int16(field)?;
        let bytes = usize::try_from(length).map_err(|_| Unreadable::Length { field, length })?;
        let text = self.0.get(..bytes).ok_or(Unreadable::CutOff { field })?;
        let text = String::from_utf8_lossy(text).into_owned();
        self.0 = &self.0[bytes..];
        Ok(text)
    }
}

/// Appends a text behind its length.
pub(super) fn put_text(
    bytes: &mut Vec<u8>,
    field: &'static str,
    text: &str,
) -> Result<(), TextTooLong> {
    let length = i16::try_from(text.len());
    let length = length.map_err(|_| TextTooLong { field, bytes: text.len() })?;
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.as_bytes());
    Ok(())
}

#[cfg(test)]
pub(super) mod hex {
    /// Bytes written as in the tables of a reference: blanks are for people.
    pub(crate) fn bytes(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(pair).collect()
    }
}
