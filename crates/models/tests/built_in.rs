//! Checks that every built-in model is found by name, and that it equals its files in `models/`.

use std::path::Path;

use bitkv_models::{Source, built_in};

#[test]
fn built_in_models_are_found_by_name_in_any_case() {
    assert!(!built_in().is_empty(), "nothing is built in");
    for name in built_in() {
        for asked in [name.to_owned(), name.to_uppercase()] {
            let entry = Source::find(&asked).unwrap().entry().unwrap();
            assert_eq!((entry.name.as_str(), entry.source.as_str()), (name, "built-in"), "{asked}");
        }
        let error = Source::find(&format!("{name}s")).unwrap_err().to_string();
        assert!(error.contains(&built_in().join(", ")), "{error}");
    }
}

#[test]
fn built_in_models_equal_the_files_of_their_folders() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    for name in built_in() {
        let folder = Source::find(models.join(name).to_str().unwrap()).unwrap();
        let built_in = Source::find(name).unwrap();
        assert_eq!(built_in.checkpoint().unwrap().config(), folder.checkpoint().unwrap().config());
        let (built_in, folder) = (built_in.entry().unwrap(), folder.entry().unwrap());
        assert_eq!((built_in.name, built_in.files), (folder.name, folder.files));
    }
}
