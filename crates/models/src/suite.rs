//! The calibration, evaluation and long texts that are compiled into the program.

use std::sync::OnceLock;

use bitkv_record::{Split, Texts, TextsError};
use include_dir::{Dir, include_dir};

static CALIBRATION: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../calibration");

/// Returns the calibration and evaluation texts, after checking them against their manifest and against each
/// other.
///
/// # Errors
/// Returns an error if a compiled-in text does not agree with the manifest.
pub fn texts() -> Result<Texts, TextsError> {
    Ok(all()?.without(Split::Long))
}

/// Returns the long texts, after the same checks.
///
/// # Errors
/// Fails as [`texts`] does.
pub fn long_texts() -> Result<Texts, TextsError> {
    Ok(all()?.only(Split::Long))
}

/// Returns all texts. They are checked once, because that takes as long as a short run.
fn all() -> Result<Texts, TextsError> {
    static CHECKED: OnceLock<Texts> = OnceLock::new();
    if let Some(texts) = CHECKED.get() {
        return Ok(texts.clone());
    }
    let mut files = Vec::new();
    collect(&CALIBRATION, &mut files);
    let texts = Texts::from_embedded(&files)?;
    Ok(CHECKED.get_or_init(|| texts).clone())
}

fn collect<'a>(folder: &'a Dir<'a>, files: &mut Vec<(&'a str, &'a [u8])>) {
    files.extend(folder.files().filter_map(|f| Some((f.path().to_str()?, f.contents()))));
    folder.dirs().for_each(|dir| collect(dir, files));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_has_at_least_twenty_texts_of_each_kind() {
        let texts = texts().unwrap();
        assert_eq!(texts.calibration().count(), 20);
        assert!(texts.evaluation().count() >= 20);
        assert_eq!(texts.all().len(), texts.calibration().count() + texts.evaluation().count());
    }

    #[test]
    fn long_texts_have_at_least_40_kb() {
        let texts = long_texts().unwrap();
        assert!(texts.all().len() >= 4);
        assert!(texts.all().iter().all(|text| text.entry.bytes >= 40_000));
    }
}
