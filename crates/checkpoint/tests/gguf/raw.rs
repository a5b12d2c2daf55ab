//! Writes GGUF containers from parts that need not be valid.

/// The number of a metadata value's type, and the bytes of the value.
pub(crate) type Raw = (u32, Vec<u8>);

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

pub(crate) fn string(value: &str) -> Raw {
    (8, text(value))
}

pub(crate) fn u32(n: u32) -> Raw {
    (4, n.to_le_bytes().into())
}

pub(crate) fn f32(x: f32) -> Raw {
    (6, x.to_le_bytes().into())
}

pub(crate) fn flag(flag: bool) -> Raw {
    (7, vec![flag.into()])
}

pub(crate) fn strings(items: &[&str]) -> Raw {
    array(8, items.len() as u64, items.iter().flat_map(|item| text(item)).collect())
}

pub(crate) fn array(kind: u32, count: u64, items: Vec<u8>) -> Raw {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend(count.to_le_bytes());
    bytes.extend(items);
    (9, bytes)
}

/// The header entry of a tensor, and the bytes at its offset.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// The dimensions, innermost first, as in files.
    pub(crate) dims: Vec<u64>,
    pub(crate) kind: u32,
    /// The offset; `None` places the tensor after the previous one.
    pub(crate) offset: Option<u64>,
    pub(crate) bytes: Vec<u8>,
}

impl Tensor {
    pub(crate) fn new(name: &str, dims: &[u64], kind: u32, bytes: Vec<u8>) -> Self {
        Tensor { name: name.into(), dims: dims.into(), kind, offset: None, bytes }
    }
}

/// The parts of a file.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) version: u32,
    pub(crate) fields: Vec<(String, Raw)>,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) alignment: u64,
}

impl File {
    pub(crate) fn new() -> Self {
        File { version: 3, fields: Vec::new(), tensors: Vec::new(), alignment: 32 }
    }

    pub(crate) fn field(mut self, key: &str, value: Raw) -> Self {
        self.fields.push((key.into(), value));
        self
    }

    pub(crate) fn tensor(mut self, tensor: Tensor) -> Self {
        self.tensors.push(tensor);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.fields.len() as u64).to_le_bytes());
        for (key, (kind, value)) in &self.fields {
            bytes.extend(text(key));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        let mut data: Vec<u8> = Vec::new();
        for tensor in &self.tensors {
            let offset = tensor.offset.unwrap_or(data.len() as u64);
            bytes.extend(text(&tensor.name));
            bytes.extend((tensor.dims.len() as u32).to_le_bytes());
            tensor.dims.iter().for_each(|dim| bytes.extend(dim.to_le_bytes()));
            bytes.extend(tensor.kind.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
            data.extend(&tensor.bytes);
            data.resize(data.len().next_multiple_of(self.alignment as usize), 0);
        }
        bytes.resize(bytes.len().next_multiple_of(self.alignment as usize), 0);
        bytes.extend(data);
        bytes
    }
}
