//! Little-endian values one after another, each checked against what remains.

use super::damage::Damage;
use crate::Bytes;

/// The caller adds the file and the place to what is wrong with the bytes.
pub(super) type Read<T> = Result<T, Damage>;

/// A position in a file.
pub(super) struct Cursor<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a Bytes) -> Self {
        Cursor { bytes, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn remaining(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    pub(super) fn number<const N: usize>(&mut self) -> Read<[u8; N]> {
        let bytes = self.bytes[self.at..].first_chunk::<N>().ok_or(Damage::Truncated)?;
        self.at += N;
        Ok(*bytes)
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.number()?))
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.number()?))
    }

    /// `count` items of `size` bytes.
    pub(super) fn block(&mut self, count: u64, size: usize) -> Read<Bytes> {
        let remaining = self.remaining();
        let length = count.checked_mul(size as u64).filter(|length| *length <= remaining);
        let end = self.at + length.ok_or(Damage::Block { count, size, remaining })? as usize;
        let start = std::mem::replace(&mut self.at, end);
        Ok(self.bytes.part(start..end))
    }

    /// What has been read since a position.
    pub(super) fn since(&self, start: usize) -> Bytes {
        self.bytes.part(start..self.at)
    }

    /// A length and as many bytes.
    pub(super) fn raw_string(&mut self) -> Read<Bytes> {
        let length = self.u64()?;
        self.block(length, 1)
    }

    pub(super) fn string(&mut self) -> Read<String> {
        let bytes = self.raw_string()?;
        std::str::from_utf8(&bytes).map(String::from).map_err(|_| Damage::NotUtf8)
    }
}
