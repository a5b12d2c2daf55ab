//! Tests that the parts of a split model are read as one.

use std::{fs, path::Path};

use bitkv_checkpoint::{Checkpoint, gguf};

use crate::{
    official::{expected, official, query},
    raw::{File, Raw, u32},
};

fn u16(n: u16) -> Raw {
    (2, n.to_le_bytes().into())
}

fn i32(n: i32) -> Raw {
    (5, n.to_le_bytes().into())
}

/// Splits a file as `llama-gguf-split` does: only the first part has the metadata, and every part has the
/// three keys about the split.
fn split(file: &File, at: &[usize]) -> Vec<File> {
    let total = file.tensors.len();
    let borders: Vec<usize> = [0].iter().chain(at).copied().chain([total]).collect();
    let count = borders.len() - 1;
    let part = |number: usize| {
        let fields = if number == 0 { file.fields.clone() } else { Vec::new() };
        let tensors = file.tensors[borders[number]..borders[number + 1]].to_vec();
        File { fields, tensors, ..file.clone() }
            .field("split.no", u16(number as u16))
            .field("split.count", u16(count as u16))
            .field("split.tensors.count", i32(total as i32))
    };
    (0..count).map(part).collect()
}

/// Writes the parts to a folder and returns the name of each.
fn write(folder: &Path, parts: &[File]) -> Vec<String> {
    let names: Vec<String> =
        (1..=parts.len()).map(|n| format!("m-{n:05}-of-{:05}.gguf", parts.len())).collect();
    for (name, part) in names.iter().zip(parts) {
        fs::write(folder.join(name), part.bytes()).unwrap();
    }
    names
}

fn refusal(path: &Path) -> String {
    Checkpoint::open(path).err().expect("it is refused").to_string()
}

#[test]
fn every_part_opens_the_whole_model() {
    let folder = tempfile::tempdir().unwrap();
    let whole = official("bitnet");
    let names = write(folder.path(), &split(&whole, &[3, 9]));
    let single = folder.path().join("whole.gguf");
    fs::write(&single, whole.bytes()).unwrap();
    let single = Checkpoint::open(single).unwrap();
    for name in &names {
        let checkpoint = Checkpoint::open(folder.path().join(name)).unwrap();
        assert_eq!(checkpoint.config(), single.config());
        let (rows, multiplier) = query(&checkpoint);
        assert_eq!((&rows[5], multiplier), (&expected(5), 1.25));
        for (ours, theirs) in checkpoint.tensors().unwrap().iter().zip(single.tensors().unwrap()) {
            assert_eq!(
                (&ours.name, &ours.shape, &ours.coding),
                (&theirs.name, &theirs.shape, &theirs.coding)
            );
            assert!(ours.bytes[..] == theirs.bytes[..], "{}", ours.name);
        }
        let files = checkpoint.gguf().unwrap().files();
        assert!(files.iter().zip(&names).all(|(file, name)| file.ends_with(name)), "{files:?}");
        assert_eq!(files.len(), 3);
        let parts = gguf::parts(&folder.path().join(name)).unwrap();
        assert_eq!(parts, names.iter().map(|name| folder.path().join(name)).collect::<Vec<_>>());
        let last = checkpoint.tensors().unwrap().pop().unwrap();
        assert!(last.file.ends_with(&names[2]), "{}", last.file);
    }
}

#[test]
fn a_merged_file_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("merged.gguf");
    fs::write(&path, official("bitnet").field("split.count", u16(0)).bytes()).unwrap();
    assert_eq!(query(&Checkpoint::open(path).unwrap()).1, 1.25);
}

#[test]
fn a_missing_part_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let names = write(folder.path(), &split(&official("bitnet"), &[3, 9]));
    fs::remove_file(folder.path().join(&names[1])).unwrap();
    for (name, number) in [(&names[0], 1), (&names[2], 3)] {
        let message = refusal(&folder.path().join(name));
        assert!(message.contains(&format!("it is part {number} of 3")), "{message}");
        assert!(message.contains("lacks m-00002-of-00003.gguf: put all parts"), "{message}");
    }
    let renamed = folder.path().join("renamed.gguf");
    fs::rename(folder.path().join(&names[0]), &renamed).unwrap();
    let message = refusal(&renamed);
    assert!(message.contains("part 1 of 3") && message.contains("-00001-of-00003.gguf"), "{message}");
    let bytes = fs::read(renamed).unwrap();
    let message =
        Checkpoint::from_gguf_bytes(bytes, &gguf::ReadOptions::default()).err().unwrap().to_string();
    assert!(message.contains("it is part 1 of 3 of a split model"), "{message}");
}

#[test]
fn parts_of_different_models_are_refused() {
    let parts = split(&official("bitnet"), &[3]);
    let refused = |parts: &[File]| {
        let folder = tempfile::tempdir().unwrap();
        let names = write(folder.path(), parts);
        refusal(&folder.path().join(&names[0]))
    };
    let other = |change: &dyn Fn(&mut File)| {
        let mut parts = parts.clone();
        change(&mut parts[1]);
        refused(&parts)
    };
    let set = |file: &mut File, key: &str, value: Raw| {
        file.fields.retain(|field| field.0 != key);
        file.fields.push((key.into(), value));
    };
    for (message, part) in [
        (other(&|file| set(file, "split.tensors.count", i32(99))), "its `split.tensors.count` differs"),
        (other(&|file| set(file, "split.no", u16(0))), "it says that it is part 1 of 2"),
        (other(&|file| set(file, "split.count", u16(3))), "it says that it is part 2 of 3"),
        (other(&|file| set(file, "split.no", u16(7))), "`split.no` is 7, but must be an integer from 0 to 1"),
        (other(&|file| file.fields.clear()), "it has no `split.count`"),
        (other(&|file| set(file, "bitnet.block_count", u32(2))), "its `bitnet.block_count` is not that of"),
        (other(&|file| drop(file.tensors.pop())), "but the 2 parts have"),
        (other(&|file| file.tensors.push(parts[0].tensors[0].clone())), "is in an earlier part too"),
    ] {
        assert!(message.contains(part) && message.lines().count() == 1, "{part}: {message}");
    }
}
