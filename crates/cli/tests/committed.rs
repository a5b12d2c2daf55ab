//! What is committed can still be read: definitions, texts and results, and the README says what its run
//! says.

use std::fs;
use std::path::{Path, PathBuf};

use bitkv_record::Definition;
use bitkv_report::{RecordedRun, findings, render_html, render_markdown, splice};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns everything in a folder, sorted by name.
fn entries(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Returns the runs in `results/`. Those of the first edition are kept but cannot be read any more, so they
/// are left out.
fn runs() -> Vec<PathBuf> {
    entries("results").into_iter().filter(|path| path.join("definition.toml").exists()).collect()
}

#[test]
fn every_definition_can_be_read() {
    let folders = [
        "experiments",
        "experiments/peers",
        "experiments/smollm2",
        "experiments/kvpress-end-to-end",
        "experiments/bitnet-2b-4t",
        "experiments/bitnet-large",
    ];
    let paths: Vec<PathBuf> = folders.iter().flat_map(|folder| entries(folder)).collect();
    let definitions: Vec<&PathBuf> =
        paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    assert!(definitions.len() >= 11, "{definitions:?}");
    let registry = bitkv_lab::registry().unwrap();
    for path in definitions {
        let definition = Definition::read(path).unwrap();
        definition.check_roles(|policy| bitkv_lab::role_of(&registry, policy)).unwrap();
    }
}

#[test]
fn the_texts_are_those_of_their_manifest() {
    assert!(bitkv_models::suite::texts().unwrap().all().len() >= 40);
}

#[test]
fn every_result_can_be_read_and_rendered() {
    let runs = runs();
    assert!(runs.len() >= 11, "{runs:?}");
    for path in runs {
        let recorded = RecordedRun::read(&path).unwrap();
        assert_eq!(recorded.notes, Vec::<String>::new(), "{}", path.display());
        let run = recorded.run();
        assert!(run.rows.len() + run.heads.len() > 0, "{}", path.display());
        assert!(render_markdown(&run).len() > 1000 && render_html(&run).len() > 1000, "{}", path.display());
    }
}

#[test]
fn results_have_a_definition_and_a_line_in_the_script_that_makes_them() {
    let script = fs::read_to_string(repository().join("experiments/regenerate.sh")).unwrap();
    for path in runs() {
        let (name, _) = name_and_number(&path);
        // This run was made when its definition had another name.
        let name = if name == "skeleton-policies" { "plain-llama-policies".to_owned() } else { name };
        assert!(script.lines().any(|line| line.starts_with(&format!("{name}:"))), "{name}");
    }
}

/// Returns the name of a result without its number, and the number: 2 for the second run of a name, which is
/// in `NAME-2`.
fn name_and_number(path: &Path) -> (String, u32) {
    let folder = path.file_name().unwrap().to_string_lossy().into_owned();
    let numbered =
        folder.rsplit_once('-').and_then(|(name, number)| Some((name.to_owned(), number.parse().ok()?)));
    numbered.unwrap_or((folder, 1))
}

#[test]
fn the_readme_says_what_its_runs_say() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let newest = |name: &str| {
        let of_name = runs().into_iter().filter(|path| name_and_number(path).0 == name);
        of_name.max_by_key(|path| name_and_number(path).1).unwrap()
    };
    for (place, name) in [("findings", "verify"), ("findings smollm2-verify", "smollm2-verify")] {
        let newest = newest(name);
        let recorded = RecordedRun::read(&newest).unwrap();
        let due = splice(&readme, place, &findings(&recorded.run())).unwrap();
        let folder = format!("results/{}", newest.file_name().unwrap().to_string_lossy());
        assert!(due == readme, "run `bitkv report {folder} --splice README.md`");
        assert!(readme.contains(&format!("`{folder}`")), "README.md does not name {folder}");
    }
}
