//! Reads little-endian values one after another, and checks that each fits into the rest of the file.

use super::damage::Damage;
use crate::Bytes;

/// The result of reading. The caller adds the name of the file and the place in it to the damage.
pub(super) type Read<T> = Result<T, Damage>;

/// A position in a file.
pub(super) struct Cursor<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Returns a cursor at the start of `bytes`.
    pub(super) fn new(bytes: &'a Bytes) -> Self {
        Cursor { bytes, at: 0 }
    }

    /// Returns the number of bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Returns the number of bytes that are left.
    pub(super) fn remaining(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// Reads `N` bytes.
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

    /// Reads `count` items of `size` bytes, without copying them.
    pub(super) fn block(&mut self, count: u64, size: usize) -> Read<Bytes> {
        let remaining = self.remaining();
        let length = count.checked_mul(size as u64).filter(|length| *length <= remaining);
        let end = self.at + length.ok_or(Damage::Block { count, size, remaining })? as usize;
        let start = std::mem::replace(&mut self.at, end);
        Ok(self.bytes.part(start..end))
    }

    /// Returns the bytes from position `start` to the current one.
    pub(super) fn since(&self, start: usize) -> Bytes {
        self.bytes.part(start..self.at)
    }

    /// Reads a length and that many bytes.
    pub(super) fn raw_string(&mut self) -> Read<Bytes> {
        let length = self.u64()?;
        self.block(length, 1)
    }

    /// Reads a length and a UTF-8 string.
    pub(super) fn string(&mut self) -> Read<String> {
        let bytes = self.raw_string()?;
        std::str::from_utf8(&bytes).map(String::from).map_err(|_| Damage::NotUtf8)
    }
}
