//! Merged shards equal the whole run, and shards that do not fit are refused with one sentence each.

mod support;

use std::fs;
use std::path::PathBuf;

use bitkv_record::{Manifest, Shard};
use bitkv_shards::{Error, Shards};
use support::{CONTEXTS, Example};

fn merge(example: &Example, folders: &[PathBuf]) -> Result<bitkv_shards::Merged, Error> {
    Shards::open(folders)?.merge(&example.out(), vec!["bitkv".into(), "merge".into()])?.finish()
}

/// Merges all shards, and returns the error, which must be one sentence. Nothing may be left at the output.
fn refusal(example: &Example) -> String {
    let message = merge(example, &[example.shards()]).unwrap_err().to_string();
    assert!(!message.contains('\n') && !message.ends_with('.'), "{message}");
    let left: Vec<_> =
        fs::read_dir(example.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "shards" || name == "whole"), "{left:?}");
    message
}

#[test]
fn merged_shards_equal_the_whole_run_for_any_number_of_shards() {
    for count in [1, 3, 8, 64] {
        let example = Example::new(count);
        let merged = merge(&example, &[example.shards()]).unwrap();
        for file in ["rows.csv", "heads.csv"] {
            let found = fs::read_to_string(example.out().join(file)).unwrap();
            assert_eq!(found, example.whole(file), "{count} shards, {file}");
        }
        assert_eq!((merged.shards, merged.failures, merged.measured()), (count, 0, 40));
        let manifest = Manifest::read(&example.out().join("manifest.json")).unwrap();
        assert_eq!((manifest.shard.clone(), manifest.seconds), (None, 2.0 * f64::from(count)));
        manifest.check_files(&example.out()).unwrap();
        assert_eq!(fs::read_to_string(example.out().join("definition.toml")).unwrap(), "the definition");
    }
}

#[test]
fn missing_shards_are_listed_with_their_commands() {
    let example = Example::new(4);
    fs::remove_dir_all(example.folder(2)).unwrap();
    fs::rename(example.folder(4), example.shards().join(".4-of-4.partial")).unwrap();
    let Err(Error::Missing(missing)) = merge(&example, &[example.shards()]) else {
        panic!("two are missing")
    };
    let listed: Vec<(u32, &str)> = missing.shards.iter().map(|m| (m.shard.index, m.state())).collect();
    assert_eq!(listed, [(2, "absent"), (4, "unfinished")]);
    let expected = format!("bitkv run a.toml --shard 2/4 --out {}", example.folder(2).display());
    assert_eq!(missing.shards[0].command, expected);
    assert_eq!((missing.contexts, missing.all_contexts), (6, CONTEXTS + 1));
    let message = refusal(&example);
    assert!(
        message.contains("2 of 4 shards are missing, with 6 of 13 contexts") && message.contains("2/4"),
        "{message}"
    );
}

#[test]
fn shards_of_different_runs_are_refused_with_what_differs() {
    type Spoil = fn(&mut Manifest);
    let cases: [(Spoil, &str); 6] = [
        (
            |m| m.shard.as_mut().unwrap().code = "def".into(),
            "the version of bitkv that measured them, abc and def",
        ),
        (|m| m.shard.as_mut().unwrap().isa = vec!["scalar".into()], "instruction sets, vector and scalar"),
        (|m| m.shard.as_mut().unwrap().fingerprint = "e".repeat(64), "calibration or the reading"),
        (|m| m.models[0].files[0].sha256 = "a".repeat(64), "the files of their models"),
        (|m| m.texts[0].sha256 = "a".repeat(64), "their texts"),
        (|m| m.shard.as_mut().unwrap().shard.count = 5, "the number of shards, 4 and 5"),
    ];
    for (spoil, expected) in cases {
        let example = Example::new(4);
        example.write(Shard { index: 2, count: 4 }, |_| {}, spoil);
        let message = refusal(&example);
        assert!(message.contains(expected) && message.contains("2-of-4"), "{message}");
    }
    let example = Example::new(4);
    fs::write(example.folder(3).join("definition.toml"), "another").unwrap();
    let message = refusal(&example);
    assert!(message.contains("their definition") && message.contains("3-of-4"), "{message}");
}

#[test]
fn changed_files_are_refused_by_name() {
    let spoil = |file: &str, change: &dyn Fn(String) -> String| {
        let example = Example::new(4);
        let path = example.folder(2).join(file);
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        let message = refusal(&example);
        assert!(
            message.contains("2-of-4") && (message.contains(file) || message.contains("differ")),
            "{message}"
        );
        message
    };
    let without_last_line = |text: String| text.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n";
    assert!(spoil("rows.csv", &|text| text.replacen("policy-1", "policy-9", 1)).contains("checksum"));
    assert!(spoil("rows.csv", &without_last_line).contains("was changed after"));
    assert!(
        spoil("rows.csv", &|text| text.clone() + text.trim_end().rsplit_once('\n').unwrap().1 + "\n")
            .contains("more")
    );
    assert!(spoil("contexts.csv", &without_last_line).contains("was changed after"));
    assert!(spoil("manifest.json", &|text| text.replace("\"2/4\"", "\"2/3\"")).contains("differ"));
    assert!(spoil("manifest.json", &|text| text.replace("\"2/4\"", "\"5/4\"")).contains("not a shard"));
}

#[test]
fn what_a_manifest_leaves_out_is_not_trusted() {
    // No shard has the definition whose hash is recorded.
    let example = Example::new(3);
    for shard in 1..=3 {
        fs::write(example.folder(shard).join("definition.toml"), "the definition, changed").unwrap();
    }
    let message = refusal(&example);
    assert!(message.contains("definition.toml' was changed after shard 1/3"), "{message}");
    // The first shard does not say that it wrote rows of heads.
    let example = Example::new(3);
    example.write(
        Shard { index: 1, count: 3 },
        |_| {},
        |manifest| manifest.files.retain(|f| f.name != "heads.csv"),
    );
    let message = refusal(&example);
    assert!(message.contains("has no hash of heads.csv: run this shard again"), "{message}");
    // A shard has the number of another one.
    let example = Example::new(3);
    let copied = example.shards().join("copied");
    example.write_to(
        &copied,
        Shard { index: 1, count: 3 },
        |_| {},
        |manifest| {
            manifest.shard.as_mut().unwrap().shard.index = 2;
        },
    );
    fs::remove_dir_all(example.folder(2)).unwrap();
    let message = refusal(&example);
    assert!(
        message.contains("copied") && message.contains("context 0, which belongs to shard 1/3"),
        "{message}"
    );
    // Another experiment of the definition was measured.
    let example = Example::new(3);
    example.write(
        Shard { index: 2, count: 3 },
        |_| {},
        |manifest| {
            manifest.options.insert("experiments".into(), "other".into());
        },
    );
    assert!(refusal(&example).contains("the experiments or options"));
}

#[test]
fn commands_name_folders_that_can_be_written() {
    let example = Example::new(2);
    fs::remove_file(example.folder(2).join("manifest.json")).unwrap();
    let Err(Error::Missing(missing)) = merge(&example, &[example.shards()]) else { panic!("one is damaged") };
    let shard = &missing.shards[0];
    assert_eq!(shard.state(), "damaged");
    assert!(shard.command.ends_with("2-of-2-2"), "{}", shard.command);
    let fail = |row: &mut bitkv_record::GridRow| row.error = Some("no memory".into());
    example.write(Shard { index: 2, count: 2 }, fail, |_| {});
    fs::create_dir(example.shards().join("2-of-2-again")).unwrap();
    let merged = merge(&example, &[example.shards()]).unwrap();
    assert!(merged.commands[0].ends_with("2-of-2-again-2"), "{}", merged.commands[0]);
    let inside = Shards::open(&[example.shards()]).unwrap();
    let message = inside.merge(&example.folder(1).join("out"), Vec::new()).unwrap_err().to_string();
    assert!(message.contains("is in the shard") && !example.folder(1).join("out").exists(), "{message}");
}

#[test]
#[cfg(unix)]
fn a_pipe_is_refused_at_once() {
    for name in ["definition.toml", "manifest.json", "contexts.csv", "rows.csv"] {
        let example = Example::new(2);
        let path = example.folder(2).join(name);
        fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let message = refusal(&example);
        assert!(message.contains(name) && message.contains("it is a pipe"), "{message}");
    }
}

#[test]
fn two_shards_may_have_the_same_rows_but_not_different_ones() {
    let example = Example::new(4);
    let again = example.shards().join("2-of-4-again");
    let shard = Shard { index: 2, count: 4 };
    example.write_to(&again, shard, |_| {}, |_| {});
    merge(&example, &[example.shards()]).unwrap();
    assert_eq!(fs::read_to_string(example.out().join("rows.csv")).unwrap(), example.whole("rows.csv"));
    fs::remove_dir_all(example.out()).unwrap();

    example.write_to(&again, shard, |row| row.context_tokens += 1, |_| {});
    let message = refusal(&example);
    assert!(message.contains("with different values") && message.contains("2-of-4-again"), "{message}");
}

#[test]
fn a_good_row_replaces_a_failed_one_and_other_failures_are_listed() {
    let example = Example::new(4);
    let shard = Shard { index: 2, count: 4 };
    let fail = |row: &mut bitkv_record::GridRow| {
        if row.policy == "policy-1" {
            row.error = Some("the node was out of memory".into());
        }
    };
    example.write(shard, fail, |_| {});
    let merged = merge(&example, &[example.shards()]).unwrap();
    assert_eq!(merged.failures, 3);
    let first = &merged.failed[0];
    assert!(
        first.shard == "2/4" && first.text.contains("policy-1 of tiny") && first.text.contains("memory"),
        "{first:?}"
    );
    let (own, again) = (example.folder(2), example.shards().join("2-of-4-again"));
    let expected =
        format!("bitkv run a.toml --shard 2/4 --reuse {} --out {}", own.display(), again.display());
    assert_eq!(merged.commands, [expected]);
    assert_ne!(fs::read_to_string(example.out().join("rows.csv")).unwrap(), example.whole("rows.csv"));
    fs::remove_dir_all(example.out()).unwrap();

    example.write_to(&again, shard, |_| {}, |_| {});
    let merged = merge(&example, &[example.shards()]).unwrap();
    assert_eq!((merged.failures, merged.failed.len(), merged.commands.len()), (0, 0, 0));
    assert_eq!(fs::read_to_string(example.out().join("rows.csv")).unwrap(), example.whole("rows.csv"));
}

#[test]
fn folders_that_are_no_shards_are_refused() {
    let example = Example::new(2);
    let open = |path: PathBuf| Shards::open(&[path]).unwrap_err().to_string();
    assert!(
        open(example.root.path().join("nowhere"))
            .contains("neither a finished shard nor a folder with shards")
    );
    assert!(open(example.root.path().join("whole")).contains("neither a finished shard nor"));
    example.write(Shard { index: 1, count: 2 }, |_| {}, |manifest| manifest.shard = None);
    assert!(open(example.folder(1)).contains("is a whole run"));
    let existing = Example::new(2);
    fs::create_dir(existing.out()).unwrap();
    let message = merge(&existing, &[existing.shards()]).unwrap_err().to_string();
    assert!(message.contains("already exists and is never overwritten"), "{message}");
}
