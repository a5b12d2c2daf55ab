//! How one value is written in a CSV file and read back.

use crate::ValueError;

/// A value of a row. It is written as text and reads back equal. An empty text means that the value is
/// missing.
pub trait Field {
    /// Returns the text of the value in a file.
    fn write(&self) -> String;

    /// Reads the value from its text.
    ///
    /// # Errors
    /// Fails if the text is not such a value.
    fn read(&mut self, text: &str) -> Result<(), ValueError>;

    /// Returns the value as a number, for range checks and means; `None` if it is missing or not a number.
    fn number(&self) -> Option<f64> {
        None
    }

    /// Returns whether the value is missing.
    fn is_missing(&self) -> bool {
        false
    }
}

impl Field for String {
    fn write(&self) -> String {
        self.clone()
    }

    fn read(&mut self, text: &str) -> Result<(), ValueError> {
        text.clone_into(self);
        Ok(())
    }
}

impl Field for bool {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(&mut self, text: &str) -> Result<(), ValueError> {
        *self = text.parse().map_err(|_| ValueError::NotABool { text: text.to_owned() })?;
        Ok(())
    }
}

/// Implements [`Field`] for numbers. The `Debug` text of a float keeps the decimal point and is otherwise the
/// shortest text that reads back bit for bit.
macro_rules! numbers {
    ($($type:ty, $what:literal;)+) => {
        $(impl Field for $type {
            fn write(&self) -> String {
                format!("{self:?}")
            }

            fn read(&mut self, text: &str) -> Result<(), ValueError> {
                let not_a_number = |_| ValueError::NotANumber { text: text.to_owned(), expected: $what };
                *self = text.parse().map_err(not_a_number)?;
                Ok(())
            }

            fn number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        })+
    };
}

numbers!(usize, "a whole number"; u64, "a whole number"; f64, "a number";);

impl<T: Field + Default> Field for Option<T> {
    fn write(&self) -> String {
        self.as_ref().map_or_else(String::new, Field::write)
    }

    fn read(&mut self, text: &str) -> Result<(), ValueError> {
        *self = match text {
            "" => None,
            text => {
                let mut value = T::default();
                value.read(text)?;
                Some(value)
            }
        };
        Ok(())
    }

    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(Field::number)
    }

    fn is_missing(&self) -> bool {
        self.is_none()
    }
}

/// Implements [`Field`] for a type with `Display` and `FromStr`, and the conversions that make it a string in
/// JSON.
macro_rules! text_field {
    ($type:ty) => {
        impl $crate::Field for $type {
            fn write(&self) -> String {
                self.to_string()
            }

            fn read(&mut self, text: &str) -> Result<(), $crate::ValueError> {
                *self = text.parse()?;
                Ok(())
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $type {
            type Error = $crate::ValueError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}
pub(crate) use text_field;
