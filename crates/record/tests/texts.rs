//! A folder of texts is loaded only if it matches its manifest and its splits do not overlap.

use bitkv_record::{FileHash, MANIFEST_FILE, Split, TextEntry, Texts, sha256};
use std::path::Path;

const PASSAGE: &str = "The ferry left at dawn with forty crates of lemons and one uninvited goat on board.";

fn entry(split: Split, file: &str, content: &[u8]) -> TextEntry {
    let name = file.trim_end_matches(".txt").to_owned();
    let (sha256, bytes) = (sha256(content), content.len() as u64);
    let (register, licence) = ("narrative".to_owned(), "CC0-1.0".to_owned());
    TextEntry { split, name, register, file: file.to_owned(), sha256, bytes, licence }
}

/// Writes files and their manifest. `spoil` changes the entries of the manifest before it is written.
fn folder(files: &[(Split, &str, &[u8])], spoil: impl Fn(&mut Vec<TextEntry>)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut entries = Vec::new();
    for (split, file, content) in files {
        std::fs::write(folder.path().join(file), content).unwrap();
        entries.push(entry(*split, file, content));
    }
    spoil(&mut entries);
    std::fs::write(folder.path().join(MANIFEST_FILE), serde_json::to_string(&entries).unwrap()).unwrap();
    folder
}

fn refusal(files: &[(Split, &str, &[u8])], spoil: impl Fn(&mut Vec<TextEntry>)) -> String {
    let folder = folder(files, spoil);
    let message = Texts::load(folder.path()).unwrap_err().to_string();
    assert!(!message.contains('\n'), "one sentence: {message}");
    message
}

const TWO: [(Split, &str, &[u8]); 2] = [
    (Split::Calibration, "lamp.txt", b"A lamp in the window.\n"),
    (Split::Evaluation, "rope.txt", b"A rope on the quay.\n"),
];

#[test]
fn texts_are_loaded_in_the_order_of_the_manifest() {
    let folder = folder(&TWO, |_| ());
    let texts = Texts::load(folder.path()).unwrap();
    let names =
        |split: Vec<&bitkv_record::Text>| split.iter().map(|t| t.entry.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(texts.calibration().collect()), ["lamp"]);
    assert_eq!(names(texts.evaluation().collect()), ["rope"]);
    assert_eq!(texts.all()[1].content, "A rope on the quay.\n");
    assert_eq!(texts.hashes()[0], FileHash::from_bytes("lamp", b"A lamp in the window.\n"));
}

#[test]
fn embedded_texts_have_the_same_checks() {
    let entries = serde_json::to_vec(&TWO.map(|(split, file, content)| entry(split, file, content))).unwrap();
    let mut files: Vec<(&str, &[u8])> = TWO.iter().map(|&(_, file, content)| (file, content)).collect();
    assert!(Texts::from_embedded(&files).unwrap_err().to_string().contains(MANIFEST_FILE));
    files.push((MANIFEST_FILE, &entries));
    assert_eq!(Texts::from_embedded(&files).unwrap(), Texts::load(folder(&TWO, |_| ()).path()).unwrap());
    files[0].1 = b"A lamp in the cellar.\n";
    assert!(Texts::from_embedded(&files).unwrap_err().to_string().contains("sha256"));
}

#[test]
fn a_changed_file_is_an_error() {
    let message = refusal(&TWO, |entries| entries[0].bytes += 1);
    assert!(message.contains("lamp") && message.contains("bytes"), "{message}");
    let message = refusal(&TWO, |entries| entries[1].sha256 = sha256(b"other"));
    assert!(message.contains("rope") && message.contains("sha256"), "{message}");
}

#[test]
fn bytes_that_are_not_text_are_errors() {
    let message = refusal(&[(Split::Evaluation, "bad.txt", b"abc\xff")], |_| ());
    assert!(message.contains("bad.txt") && message.contains("byte 3"), "{message}");
    let message = refusal(&[(Split::Evaluation, "empty.txt", b" \n")], |_| ());
    assert!(message.contains("empty.txt"), "{message}");
}

#[test]
fn repeats_within_and_between_splits_are_errors() {
    for split in [Split::Calibration, Split::Evaluation] {
        let same: [(Split, &str, &[u8]); 2] =
            [(Split::Calibration, "one.txt", b"The same words."), (split, "two.txt", b"The same words.")];
        let message = refusal(&same, |_| ());
        assert!(message.contains("'one' and 'two'"), "{message}");
        let message = refusal(&TWO, |entries| {
            entries[1].split = split;
            entries[1].name = "lamp".to_owned();
        });
        assert!(message.contains("two texts are named 'lamp'"), "{message}");
    }
}

#[test]
fn a_shared_passage_is_an_error_between_splits_only_and_with_any_line_breaks() {
    let first = format!("Before the storm. {PASSAGE} Nobody laughed.");
    let second = format!("Harbour news: {} It rained.", PASSAGE.replace(' ', "\n  "));
    let files =
        |other| [(Split::Calibration, "a.txt", first.as_bytes()), (other, "b.txt", second.as_bytes())];
    let message = refusal(&files(Split::Evaluation), |_| ());
    assert!(
        message.contains("'a'") && message.contains("'b'") && message.contains("forty crates"),
        "{message}"
    );
    assert!(Texts::load(folder(&files(Split::Calibration), |_| ()).path()).is_ok());
}

#[test]
fn a_path_outside_the_folder_is_an_error() {
    for file in ["../lamp.txt", "/etc/hostname", ""] {
        let message = refusal(&TWO, |entries| entries[0].file = file.to_owned());
        assert!(message.contains("below the folder"), "{message}");
    }
}

#[test]
fn a_users_own_folder_needs_no_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let empty = Texts::from_folder(folder.path(), Split::Calibration).unwrap_err().to_string();
    assert!(empty.contains(".txt"), "{empty}");
    for (file, content) in
        [("b.txt", "bee"), ("a.txt", "ay"), ("notes.md", "not a text"), ("._a.txt", "\u{0}")]
    {
        std::fs::write(folder.path().join(file), content).unwrap();
    }
    let texts = Texts::from_folder(folder.path(), Split::Calibration).unwrap();
    assert_eq!(texts.all().iter().map(|t| t.entry.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    std::fs::create_dir(folder.path().join("c.txt")).unwrap();
    let error = Texts::from_folder(folder.path(), Split::Calibration).unwrap_err().to_string();
    assert!(error.contains("c.txt is not a file"), "{error}");
    assert!(Texts::from_folder(Path::new("no/such/folder"), Split::Calibration).is_err());
}

#[test]
fn joined_collections_are_checked_against_each_other() {
    let collection = |split, name: &str| {
        let content = format!("{name} begins. {PASSAGE}");
        let mut only = entry(split, name, content.as_bytes());
        only.name = name.to_owned();
        Texts::new(vec![bitkv_record::Text { entry: only, content }]).unwrap()
    };
    assert!(collection(Split::Calibration, "a").join(collection(Split::Evaluation, "b")).is_err());
    let joined = collection(Split::Evaluation, "a").join(collection(Split::Evaluation, "b")).unwrap();
    assert_eq!(joined.clone().only(Split::Evaluation), joined);
    assert!(joined.only(Split::Calibration).all().is_empty());
}
