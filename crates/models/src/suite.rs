//! The suite's own texts, compiled in.

use bitkv_record::{Texts, TextsError};
use include_dir::{Dir, include_dir};

static CALIBRATION: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../calibration");

/// Calibration and evaluation texts, checked against their manifest and each other.
///
/// # Errors
/// When a text that is built in does not agree with its manifest.
pub fn texts() -> Result<Texts, TextsError> {
    let mut files = Vec::new();
    collect(&CALIBRATION, &mut files);
    Texts::from_embedded(&files)
}

fn collect<'a>(folder: &'a Dir<'a>, files: &mut Vec<(&'a str, &'a [u8])>) {
    files.extend(folder.files().filter_map(|f| Some((f.path().to_str()?, f.contents()))));
    folder.dirs().for_each(|dir| collect(dir, files));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_has_enough_texts_of_either_kind() {
        let texts = texts().unwrap();
        assert_eq!(texts.calibration().count(), 20);
        assert!(texts.evaluation().count() >= 20);
    }
}
