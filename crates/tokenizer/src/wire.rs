//! Reads the wire format of Protocol Buffers, as far as a SentencePiece model needs it.

/// The value of a field. Slices borrow from the message.
#[derive(Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Integers, enumerations and booleans.
    Varint(u64),
    /// Strings, bytes and messages.
    Bytes(&'a [u8]),
    /// Floats.
    Fixed32([u8; 4]),
    /// Doubles. No field that this crate reads has this type.
    Fixed64,
}

/// Reads the fields of a message, each with its number and its value.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Returns a reader at the start of a message.
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    /// Returns the number of bytes of the message that are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Takes `count` bytes; `None` if fewer are left.
    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(count).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    /// Reads an integer: seven bits per byte, lowest first, at most ten bytes.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a field; `None` if the message is damaged.
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed64)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(self.take(4)?.try_into().ok()?),
            _ => return None,
        };
        (key >> 3 != 0).then_some((key >> 3, value))
    }
}

/// Ends after the last field. If the message is truncated or not valid, the last item is `Err(())`.
impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), ()>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field().ok_or(());
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_are_read() {
        let message =
            [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1D, 0, 0, 0x80, 0x3F, 0x21, 0, 0, 0, 0, 0, 0, 0, 0];
        let fields: Vec<_> = Fields::new(&message).collect();
        let one = 1f32.to_le_bytes();
        let want = [
            (1, Value::Varint(150)),
            (2, Value::Bytes(b"hi")),
            (3, Value::Fixed32(one)),
            (4, Value::Fixed64),
        ];
        assert_eq!(fields, want.map(Ok));
    }

    #[test]
    fn broken_messages_end_with_an_error() {
        let endless = [0xFFu8; 16];
        let absurd = [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1];
        for message in [&[0x08][..], &[0x12, 3, b'h'], &[0x1D, 0, 0], &[0x0B], &[0x02, 0], &endless, &absurd]
        {
            let fields: Vec<_> = Fields::new(message).collect();
            assert_eq!(fields, [Err(())], "{message:?}");
        }
    }
}
