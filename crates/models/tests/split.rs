//! Checks that a model that is split into several GGUF files is one model, whichever part is
//! named.

use std::path::Path;

use bitkv_checkpoint::{
    Checkpoint, StoredTensor,
    gguf::{self, Field, GgufWriter, Target, TensorSpec, Value, WriteOptions},
};
use bitkv_models::Source;

/// Writes some tensors of a GGUF file as part `number`, counted from 0, of two.
fn write_part(path: &Path, whole: &Checkpoint, tensors: &[StoredTensor], number: u32) {
    let mut fields: Vec<(String, Field<'_>)> = vec![
        ("split.no".into(), Field::U32(number)),
        ("split.count".into(), Field::U32(2)),
        ("split.tensors.count".into(), Field::U32(whole.tensors().unwrap().len() as u32)),
    ];
    let metadata = whole.gguf().unwrap().metadata().iter().filter(|_| number == 0);
    fields.extend(metadata.filter_map(|entry| {
        let field = match &entry.value {
            Value::Integer(n) => Field::U32(*n as u32),
            Value::F32(x) => Field::F32(*x),
            Value::String(text) => Field::Text(text),
            _ => return None,
        };
        Some((entry.key.clone(), field))
    }));
    let spec = |tensor: &StoredTensor| TensorSpec {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        coding: tensor.coding.clone(),
        bytes: tensor.bytes.len() as u64,
    };
    let specs: Vec<TensorSpec> = tensors.iter().map(spec).collect();
    let mut writer = GgufWriter::create(path, &fields, &specs).unwrap();
    tensors.iter().for_each(|tensor| writer.append(&tensor.bytes).unwrap());
    writer.finish().unwrap();
}

#[test]
fn every_part_names_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let built_in = Source::find("tiny-gqa").unwrap().checkpoint().unwrap();
    let options =
        WriteOptions { target: Target::I2S, embedding: None, lossy: true, vocabulary: None, name: "tiny" };
    gguf::write(&path("whole.gguf"), &built_in, &options, &bitkv_progress::Silent).unwrap();
    let whole = Checkpoint::open(path("whole.gguf")).unwrap();
    let tensors = whole.tensors().unwrap();
    let names = ["tiny-00001-of-00002.gguf", "tiny-00002-of-00002.gguf"];
    write_part(&path(names[0]), &whole, &tensors[..5], 0);
    write_part(&path(names[1]), &whole, &tensors[5..], 1);

    let sources = names.map(|name| Source::find(path(name).to_str().unwrap()).unwrap());
    assert!(sources[0].has_files_of(&sources[1]));
    for source in &sources {
        assert_eq!(source.name(), "tiny");
        let files = source.entry().unwrap().files;
        assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(source.checkpoint().unwrap().tensors().unwrap().len(), tensors.len());
        source.open().unwrap();
    }

    std::fs::remove_file(path(names[0])).unwrap();
    let last = Source::find(path(names[1]).to_str().unwrap()).unwrap();
    let message = last.checkpoint().map(drop).unwrap_err().to_string();
    assert!(
        message.contains("part 2 of 2") && message.contains("lacks tiny-00001-of-00002.gguf"),
        "{message}"
    );
}
