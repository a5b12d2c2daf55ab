//! Reads the metadata of a GGUF file, as far as vocabularies need it.

use std::collections::BTreeMap;

use bitkv_tokenizer::{SpecialIds, Vocabulary};

/// A metadata value. Integers of all widths are one variant.
#[derive(Debug)]
enum Value {
    Integer(i64),
    Float(f32),
    Text(String),
    List(Vec<Value>),
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_at(N);
        self.0 = rest;
        taken.try_into().unwrap()
    }

    fn text(&mut self) -> String {
        let length = u64::from_le_bytes(self.take()) as usize;
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8(taken.to_vec()).unwrap()
    }

    fn value(&mut self, kind: u32) -> Value {
        match kind {
            0 | 7 => Value::Integer(self.take::<1>()[0].into()),
            4 => Value::Integer(u32::from_le_bytes(self.take()).into()),
            5 => Value::Integer(i32::from_le_bytes(self.take()).into()),
            6 => Value::Float(f32::from_le_bytes(self.take())),
            8 => Value::Text(self.text()),
            9 => {
                let kind = u32::from_le_bytes(self.take());
                let count = u64::from_le_bytes(self.take());
                Value::List((0..count).map(|_| self.value(kind)).collect())
            }
            10 => Value::Integer(u64::from_le_bytes(self.take()) as i64),
            _ => panic!("no vocabulary has a value of type {kind}"),
        }
    }
}

/// Returns the vocabulary of a file.
pub(crate) fn vocabulary(bytes: &[u8]) -> Vocabulary {
    let mut reader = Reader(bytes);
    assert_eq!(&reader.take::<4>(), b"GGUF");
    let _version_and_tensors: [u8; 12] = reader.take();
    let count = u64::from_le_bytes(reader.take());
    let mut entry = || {
        let key = reader.text();
        let kind = u32::from_le_bytes(reader.take());
        (key, reader.value(kind))
    };
    let mut entries: BTreeMap<String, Value> = (0..count).map(|_| entry()).collect();
    let mut get = |key: &str| entries.remove(&format!("tokenizer.ggml.{key}"));
    let mut list = |key: &str| match get(key) {
        Some(Value::List(values)) => values,
        other => {
            assert!(other.is_none(), "{key}");
            Vec::new()
        }
    };
    let texts = |values: Vec<Value>| values.into_iter().map(|v| as_text(v).unwrap()).collect::<Vec<_>>();
    let (tokens, merges) = (texts(list("tokens")), texts(list("merges")));
    let scores = list("scores").iter().map(as_float).collect::<Option<_>>().unwrap();
    let token_types = list("token_type").iter().map(|v| as_integer(v).unwrap() as i32).collect();
    let mut id =
        |role: &str| get(&format!("{role}_token_id")).and_then(|v| as_integer(&v)).map(|id| id as u32);
    let special = SpecialIds { bos: id("bos"), eos: id("eos"), unk: id("unknown"), pad: id("padding") };
    let mut flag = |key: &str| get(key).and_then(|v| as_integer(&v)).map(|v| v != 0);
    let (add_bos, add_eos) = (flag("add_bos_token"), flag("add_eos_token"));
    let add_space_prefix = flag("add_space_prefix");
    let model = get("model").and_then(as_text).unwrap();
    let pre = get("pre").and_then(as_text);
    Vocabulary {
        model,
        pre,
        tokens,
        scores,
        token_types,
        merges,
        special,
        add_bos,
        add_eos,
        add_space_prefix,
    }
}

fn as_text(value: Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn as_integer(value: &Value) -> Option<i64> {
    if let Value::Integer(value) = value { Some(*value) } else { None }
}

fn as_float(value: &Value) -> Option<f32> {
    if let Value::Float(value) = value { Some(*value) } else { None }
}
