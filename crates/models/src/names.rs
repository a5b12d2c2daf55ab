//! Names of models: the name of each model, and names that distinguish several models.
//!
//! A model has a list of possible names ([`Names`]), from short to long: `m`, `A/m`, `runs/A/m`.
//! [`distinct_names`] chooses for each of several models the shortest name that no other model could have.

use std::path::{Component, Path, PathBuf};

use bitkv_hub::ModelId;
use bitkv_record::sha256_of_parts;

use crate::{
    built_in_name,
    source::{GGUF, split_gguf},
};

/// The folder of the hub's cache whose subfolders are the revisions of a model.
const SNAPSHOTS: &str = "snapshots";
/// The start of the name of a model's folder in the hub's cache: `models--ORG--NAME`.
const CACHED: &str = "models--";
/// The hex digits of a commit in a name.
const COMMIT_DIGITS: usize = 7;

/// The possible names of a model, from short to long, and what identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The place of the model: equal for two spellings of one path.
    place: String,
    names: Vec<String>,
}

impl Names {
    /// Returns the names of the model that `--model` calls `model`. Nothing is downloaded, and the model
    /// need not exist.
    pub fn new(model: &str) -> Names {
        let path = Path::new(model);
        let names = match built_in_name(model).filter(|name| *name == model || !path.exists()) {
            Some(name) => Names { place: format!("built-in {name}"), names: vec![name.to_owned()] },
            None if path.exists() => Names::from_path(path),
            None => match ModelId::parse(model) {
                Ok(id) => Names::from_id(&id),
                Err(_) => Names { place: model.to_owned(), names: vec![model.to_owned()] },
            },
        };
        Names { names: names.names.iter().map(|name| printable(name)).collect(), ..names }
    }

    /// The short name, which the model has unless another model could have it.
    pub fn short(&self) -> &str {
        &self.names[0]
    }

    /// Whether both are names of the model at one place.
    pub fn is_same_place(&self, other: &Names) -> bool {
        self.place == other.place
    }

    /// Returns the names of a folder or a file: its own name, then with more and more of the folders that
    /// contain it.
    fn from_path(path: &Path) -> Names {
        let split = split_gguf(path);
        let first = split.as_ref().map_or(path, |(first, _)| first);
        let place = first.canonicalize().unwrap_or_else(|_| first.to_owned());
        let path = named_path(first);
        if let Some(id) = cached_id(&path) {
            return Names { place: place.display().to_string(), names: repository_names(&id.0, &id.1) };
        }
        let parts: Vec<String> = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        let mut names: Vec<String> = (0..parts.len()).rev().map(|first| parts[first..].join("/")).collect();
        // A folder may be beside a file with the same name without its ending.
        if let Some(stem) = names.first().and_then(|name| name.strip_suffix(GGUF)).map(str::to_owned)
            && !path.is_dir()
        {
            names.insert(0, split.map_or(stem, |(_, name)| name));
        }
        if names.is_empty() {
            names.push(path.display().to_string());
        }
        Names { place: place.display().to_string(), names }
    }

    fn from_id(id: &ModelId) -> Names {
        let (repository, revision) = (id.repository(), id.revision());
        let mut names = repository_names(repository, revision);
        if let Some(file) = id.file() {
            let file = file.strip_suffix(GGUF).unwrap_or(file);
            let name = short_name(repository);
            let with_file = [format!("{name}/{file}"), format!("{name}/{file}@{revision}")];
            names.splice(1..1, with_file);
            names.push(format!("{repository}/{file}@{revision}"));
        }
        Names { place: format!("hub {id}"), names }
    }
}

/// Returns a name for each model: the name that was given for it, or else the shortest of its names that no
/// other model could have. The order of the models changes nothing. Two entries with the same place have the
/// same name.
pub fn distinct_names(models: &[(Names, Option<String>)]) -> Vec<String> {
    let given =
        |place: &str| models.iter().find_map(|(names, given)| given.clone().filter(|_| names.place == place));
    let chosen = |(names, _): &(Names, Option<String>)| {
        if let Some(name) = given(&names.place) {
            return name;
        }
        let is_free = |name: &&String| {
            models.iter().filter(|(other, _)| other.place != names.place).all(|(other, _)| {
                match given(&other.place) {
                    Some(given) => !same_file_name(&given, name),
                    None => !other.names.iter().any(|other| same_file_name(other, name)),
                }
            })
        };
        let free = names.names.iter().find(is_free).cloned();
        free.unwrap_or_else(|| match names.names.as_slice() {
            // A built-in model has only one name, which the others avoid.
            [only] => only.clone(),
            all => format!("{}#{}", all[0], &sha256_of_parts([&names.place])[..COMMIT_DIGITS]),
        })
    };
    models.iter().map(chosen).collect()
}

/// Returns whether two names could not be names of different files on every system.
fn same_file_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Returns the path without `.` and `..`, so that its last part is the name of the folder or file. The last
/// part stays as it was given if it is a link, because that is the name which the user chose.
fn named_path(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let full = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => full(parent).join(name),
        _ => full(&absolute),
    }
}

/// Returns the repository and the commit of a folder in the hub's cache,
/// `models--ORG--NAME/snapshots/COMMIT`; `None` if the path is not such a folder.
fn cached_id(path: &Path) -> Option<(String, String)> {
    let commit = path.file_name()?.to_str()?;
    let snapshots = path.parent()?;
    let model = snapshots.parent()?.file_name()?.to_str()?;
    let repository = model.strip_prefix(CACHED)?.replace("--", "/");
    (snapshots.file_name()? == SNAPSHOTS && !repository.is_empty() && path.is_dir()).then(|| {
        let digits: String = commit.chars().take(COMMIT_DIGITS).collect();
        (repository, digits)
    })
}

/// Returns the names of a repository on the hub at a revision.
fn repository_names(repository: &str, revision: &str) -> Vec<String> {
    let name = short_name(repository);
    let names = [name.to_owned(), format!("{name}@{revision}"), repository.to_owned()];
    names.into_iter().chain([format!("{repository}@{revision}")]).collect()
}

/// Returns the name of a repository without its organisation.
fn short_name(repository: &str) -> &str {
    repository.rsplit('/').next().unwrap_or(repository)
}

/// Returns a name that fits into one line of a table: control characters become `_`.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the distinct names of models without given names.
    fn distinct(models: &[&str]) -> Vec<String> {
        distinct_names(&models.iter().map(|model| (Names::new(model), None)).collect::<Vec<_>>())
    }

    /// Makes these folders and files, and returns the folder that contains them and their full paths.
    fn place(folders: &[&str], files: &[&str]) -> (tempfile::TempDir, Vec<String>) {
        let root = tempfile::tempdir().unwrap();
        folders.iter().for_each(|folder| std::fs::create_dir_all(root.path().join(folder)).unwrap());
        files.iter().for_each(|file| std::fs::write(root.path().join(file), "").unwrap());
        let all = folders.iter().chain(files);
        let paths = all.map(|name| root.path().join(name).display().to_string()).collect();
        (root, paths)
    }

    fn names(paths: &[String]) -> Vec<String> {
        distinct(&paths.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn a_model_alone_has_its_short_name() {
        let (_root, paths) = place(&["A/m", "models--org--tiny/snapshots/0123456789abcdef"], &["x.gguf"]);
        for (path, name) in paths.iter().zip(["m", "tiny", "x"]) {
            assert_eq!(names(std::slice::from_ref(path)), [name]);
            assert_eq!(names(&[path.clone(), path.clone()]), [name, name], "one place has one name");
        }
        assert_eq!(distinct(&["TINY-GQA", "org/tiny@v2"]), ["tiny-gqa", "tiny"]);
    }

    #[test]
    fn other_spellings_of_a_path_have_the_same_name() {
        let (_root, paths) = place(&["A/m/inner", "models--org--tiny/snapshots/0123"], &[]);
        let m = paths[0].strip_suffix("/inner").unwrap();
        let spellings = [m.to_owned(), format!("{m}/"), format!("{m}/."), format!("{}/..", paths[0])];
        assert_eq!(names(&spellings), ["m"; 4]);
        assert_eq!(names(&[format!("{}/.", paths[1]), format!("{m}/../../A/m")]), ["tiny", "m"]);
    }

    #[test]
    fn models_of_one_name_get_the_shortest_names_that_differ() {
        let (_root, paths) = place(&["A/m", "B/m", "x/A/m"], &[]);
        assert_eq!(names(&paths[..2]), ["A/m", "B/m"]);
        let reversed: Vec<String> = paths[..2].iter().rev().cloned().collect();
        assert_eq!(names(&reversed), ["B/m", "A/m"], "the order does not matter");
        let three = names(&paths);
        assert!(three[0].ends_with("/A/m") && three[1] == "B/m" && three[2] == "x/A/m", "{three:?}");
        let (_root, paths) = place(&["A/m", "A/M2"], &["A/m.gguf", "A/m2.gguf"]);
        assert_eq!(names(&[paths[0].clone(), paths[2].clone()]), ["A/m", "m.gguf"]);
        assert_eq!(names(&[paths[1].clone(), paths[3].clone()]), ["A/M2", "m2.gguf"], "case is ignored");
    }

    #[test]
    fn revisions_organisations_and_files_distinguish_models_of_the_hub() {
        assert_eq!(distinct(&["org/m", "org/m@v2"]), ["m@main", "m@v2"]);
        assert_eq!(distinct(&["one/m", "two/m"]), ["one/m", "two/m"]);
        assert_eq!(distinct(&["org/m/a.gguf", "org/m/b.gguf"]), ["m/a", "m/b"]);
        assert_eq!(distinct(&["org/m/a.gguf@v1", "org/m/a.gguf@v2"]), ["m/a@v1", "m/a@v2"]);
        assert_eq!(distinct(&["tiny-gqa", "org/tiny-gqa"]), ["tiny-gqa", "tiny-gqa@main"]);
    }

    #[test]
    fn a_given_name_is_used_and_avoided() {
        let (_root, paths) = place(&["A/m", "B/m", "C/x"], &[]);
        let given = [None, Some("x".to_owned()), None];
        let models: Vec<_> = paths.iter().map(|path| Names::new(path)).zip(given).collect();
        assert_eq!(distinct_names(&models), ["m", "x", "C/x"]);
    }

    #[test]
    fn a_name_is_one_line() {
        let (_root, paths) = place(&["a\nb"], &[]);
        assert_eq!(names(&paths), ["a_b"]);
    }
}
