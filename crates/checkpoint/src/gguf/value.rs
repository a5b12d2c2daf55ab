//! Metadata values. The items of an array are decoded only when they are read.

use std::fmt;

use crate::Bytes;

use super::{
    cursor::{Cursor, Read},
    damage::Damage,
};

/// A metadata value.
#[derive(Clone, Debug)]
pub enum Value {
    /// An integer of any type.
    Integer(i128),
    /// IEEE single precision.
    F32(f32),
    /// IEEE double precision.
    F64(f64),
    /// One byte, 0 or 1.
    Bool(bool),
    /// A UTF-8 string.
    String(String),
    /// Items of one type.
    Array(Array),
}

/// The type of a value or of an array's items.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValueType {
    /// 8 bits, unsigned.
    U8,
    /// 8 bits, signed.
    I8,
    /// 16 bits, unsigned.
    U16,
    /// 16 bits, signed.
    I16,
    /// 32 bits, unsigned.
    U32,
    /// 32 bits, signed.
    I32,
    /// IEEE single precision.
    F32,
    /// One byte.
    Bool,
    /// A length and a UTF-8 string.
    String,
    /// Items of one type.
    Array,
    /// 64 bits, unsigned.
    U64,
    /// 64 bits, signed.
    I64,
    /// IEEE double precision.
    F64,
}

/// The types in the order of their numbers in files, with their names and their sizes in bytes.
const VALUE_TYPES: [(ValueType, &str, usize); 13] = [
    (ValueType::U8, "u8", 1),
    (ValueType::I8, "i8", 1),
    (ValueType::U16, "u16", 2),
    (ValueType::I16, "i16", 2),
    (ValueType::U32, "u32", 4),
    (ValueType::I32, "i32", 4),
    (ValueType::F32, "f32", 4),
    (ValueType::Bool, "bool", 1),
    (ValueType::String, "string", 0),
    (ValueType::Array, "array", 0),
    (ValueType::U64, "u64", 8),
    (ValueType::I64, "i64", 8),
    (ValueType::F64, "f64", 8),
];

impl ValueType {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        VALUE_TYPES[self as usize].1
    }

    /// Returns the number in files.
    pub(super) fn id(self) -> u32 {
        self as u32
    }

    fn read(from: &mut Cursor<'_>) -> Read<ValueType> {
        let id = from.u32()?;
        VALUE_TYPES.get(id as usize).map(|kind| kind.0).ok_or(Damage::UnknownType(id))
    }
}

/// Items of one type, which are decoded when they are read.
#[derive(Clone, Debug)]
pub struct Array {
    kind: ValueType,
    count: usize,
    bytes: Bytes,
}

impl Array {
    /// Returns the type of the items.
    pub fn kind(&self) -> ValueType {
        self.kind
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Decodes the items one by one.
    pub(super) fn items(&self) -> impl Iterator<Item = Read<Value>> + '_ {
        let mut from = Cursor::new(&self.bytes);
        (0..self.count).map(move |_| read_as(self.kind, &mut from))
    }

    /// Returns the bytes of each item of an array of strings, without copying them. Returns no items if the
    /// array holds another type.
    pub(super) fn raw_strings(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut from = Cursor::new(&self.bytes);
        let count = if self.kind == ValueType::String { self.count } else { 0 };
        (0..count).map_while(move |_| from.raw_string().ok())
    }

    fn read(from: &mut Cursor<'_>) -> Read<Array> {
        let (kind, count) = (ValueType::read(from)?, from.u64()?);
        let bytes = match kind {
            ValueType::Array => return Err(Damage::NestedArray),
            ValueType::String => strings(from, count)?,
            sized => from.block(count, VALUE_TYPES[sized as usize].2)?,
        };
        Ok(Array { kind, count: count as usize, bytes })
    }
}

/// Returns the bytes of `count` strings.
fn strings(from: &mut Cursor<'_>, count: u64) -> Read<Bytes> {
    let remaining = from.remaining();
    if count > remaining / 8 {
        return Err(Damage::Strings { count, remaining });
    }
    let start = from.position();
    for _ in 0..count {
        from.raw_string()?;
    }
    Ok(from.since(start))
}

/// The number of characters of a string that are shown.
const SHOWN: usize = 60;

/// Writes the value. A long string is shortened, and an array is written as its length and type.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(n) => write!(f, "{n}"),
            Value::F32(x) => write!(f, "{x}"),
            Value::F64(x) => write!(f, "{x}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::String(text) => {
                let start: String = text.chars().take(SHOWN).collect();
                let more = if start.len() < text.len() { "..." } else { "" };
                write!(f, "{start:?}{more}")
            }
            Value::Array(array) => write!(f, "{} x {}", array.len(), array.kind().name()),
        }
    }
}

/// Defines a method that returns the content of a value, or `None` if it has another type.
macro_rules! contents {
    ($($name:ident: $variant:ident($content:ty)),+) => {
        impl Value {
            $(pub(super) fn $name(&self) -> Option<&$content> {
                if let Value::$variant(content) = self { Some(content) } else { None }
            })+
        }
    };
}
contents!(as_integer: Integer(i128), as_f32: F32(f32), as_bool: Bool(bool), as_text: String(String), as_array: Array(Array));

impl Value {
    /// Reads a value and its type.
    pub(super) fn read(from: &mut Cursor<'_>) -> Read<(ValueType, Value)> {
        let kind = ValueType::read(from)?;
        Ok((kind, read_as(kind, from)?))
    }
}

/// Reads a value of a type.
fn read_as(kind: ValueType, from: &mut Cursor<'_>) -> Read<Value> {
    Ok(match kind {
        ValueType::U8 => Value::Integer(u8::from_le_bytes(from.number()?).into()),
        ValueType::I8 => Value::Integer(i8::from_le_bytes(from.number()?).into()),
        ValueType::U16 => Value::Integer(u16::from_le_bytes(from.number()?).into()),
        ValueType::I16 => Value::Integer(i16::from_le_bytes(from.number()?).into()),
        ValueType::U32 => Value::Integer(u32::from_le_bytes(from.number()?).into()),
        ValueType::I32 => Value::Integer(i32::from_le_bytes(from.number()?).into()),
        ValueType::U64 => Value::Integer(u64::from_le_bytes(from.number()?).into()),
        ValueType::I64 => Value::Integer(i64::from_le_bytes(from.number()?).into()),
        ValueType::F32 => Value::F32(f32::from_le_bytes(from.number()?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(from.number()?)),
        ValueType::Bool => Value::Bool(from.number::<1>()? != [0]),
        ValueType::String => Value::String(from.string()?),
        ValueType::Array => Value::Array(Array::read(from)?),
    })
}
