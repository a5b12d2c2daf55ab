//! Tests that every error of training is one sentence, names the file or the key, and says what to do.

use std::{fs, path::Path};

use bitkv_bytes::MemoryLimit;
use bitkv_train::{Error, corpus::Corpus, ops::Precision, recipe::Recipe, resources, trainer::Trainer};

const RECIPE: &str = r#"
name = "small"
seed = 1
data-seed = 2
checkpoint-every = 3
validate-every = 4

[shape]
style = "2b-4t"
vocabulary = 448
hidden = 32
intermediate = 64
layers = 1
query-heads = 2
kv-heads = 1
head-dim = 32
rope-theta = 10000
max-positions = 96

[[stage]]
steps = 2
length = 64
batch = 1
synthetic = 0.5
distance = 16
rate = [1e-3, 1e-4]
decay = 0.1
"#;

fn read(folder: &Path, text: &str) -> Result<Recipe, Error> {
    let path = folder.join("recipe.toml");
    fs::write(&path, text).unwrap();
    Recipe::read(&path).map(|(recipe, _)| recipe)
}

/// Returns a text of made-up words.
fn text(words: u32) -> String {
    let letter = |n: u32| char::from(b'a' + (n % 26) as u8);
    let word = |i: u32| -> String {
        let n = i.wrapping_mul(2_654_435_761) >> 16;
        [n / 7, n / 11, n / 13].map(letter).iter().collect()
    };
    (0..words).map(|i| word(i % 150) + if i % 9 == 8 { "\n" } else { " " }).collect()
}

fn corpus(folder: &Path) -> Corpus {
    fs::write(folder.join("train.txt"), text(9000)).unwrap();
    fs::write(folder.join("valid.txt"), text(7000)).unwrap();
    Corpus::open(folder, &folder.join("data"), 448).unwrap()
}

#[test]
fn errors_about_recipes_name_the_key_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read(folder.path(), RECIPE).is_ok());
    for (from, to, key, remedy) in [
        ("hidden = 32", "hidden = 33", "shape.hidden is 33", "multiple of 32"),
        ("vocabulary = 448", "vocabulary = 65568", "shape.vocabulary is 65568", "65536 or fewer"),
        ("max-positions = 96", "max-positions = 64", "shape.max-positions is 64", "at least 96"),
        ("kv-heads = 1", "kv-heads = 3", "shape.query-heads is 2", "shape.kv-heads, which is 3"),
        ("validate-every = 4", "validate-every = 0", "validate-every is 0", "positive"),
        ("length = 64", "length = 128", "length of stage 1 is 128", "shape.max-positions = 96"),
        ("length = 64", "length = 0", "length of stage 1 is 0", "multiple of 32"),
        ("synthetic = 0.5", "synthetic = 1.5", "synthetic of stage 1 is 1.5", "0 to 1"),
        ("distance = 16", "distance = 64", "distance of stage 1 is 64", "4 to length - 1 = 63"),
        ("batch = 1", "batch = 0", "batch of stage 1 is 0", "1 to"),
        ("batch = 1", "batch = 9223372036854775807", "batch of stage 1 is 92233", "1 to 1048576"),
        ("steps = 2", "steps = 9223372036854775807", "steps of stage 1 is 92233", "1 to 1000000000"),
        ("hidden = 32", "hidden = 9223372036854775776", "shape.hidden is 92233", "at most 1048576"),
        ("intermediate = 64", "intermediate = 1073741824", "shape.intermediate", "at most 1048576"),
        ("head-dim = 32", "head-dim = 9223372036854775776", "shape.head-dim", "at most 1048576"),
        ("layers = 1", "layers = 0", "shape.layers is 0", "1 to 4096"),
        ("layers = 1", "layers = 1000000000", "shape.layers is 1000000000", "1 to 4096"),
        ("query-heads = 2", "query-heads = 1000000", "shape.query-heads is 1000000", "1 to 65536"),
        ("vocabulary = 448", "vocabulary = 32", "shape.vocabulary is 32", "at least 288"),
        ("rope-theta = 10000", "rope-theta = 0", "shape.rope-theta is 0", "1 to"),
        ("max-positions = 96", "max-positions = 9223372036854775776", "shape.max-positions", "at most"),
        ("rate = [1e-3, 1e-4]", "rate = [nan, 1e-4]", "rate of stage 1 is NaN", "0 to 1"),
        ("rate = [1e-3, 1e-4]", "rate = [1e-3, -1.0]", "rate of stage 1 is -1", "0 to 1"),
        ("rate = [1e-3, 1e-4]", "rate = [inf, 1e-4]", "rate of stage 1 is inf", "0 to 1"),
        ("rate = [1e-3, 1e-4]", "rate = [1e30, 1e-4]", "rate of stage 1 is 1", "0 to 1"),
        ("decay = 0.1", "decay = nan", "decay of stage 1 is NaN", "0 to 10"),
        ("decay = 0.1", "decay = -1.0", "decay of stage 1 is -1", "0 to 10"),
        ("decay = 0.1", "decay = 0.1\ngate = nan", "gate of stage 1 is NaN", "0 to 1"),
        ("decay = 0.1", "decay = 0.1\nalphabet = 9223372036854775807", "alphabet of stage 1", "0 to 65536"),
        ("\"small\"", "\"../x\"", "name is \"../x\"", "letters, digits"),
        ("\"small\"", "\"\"", "name is \"\"", "1 to 100"),
    ] {
        let message = read(folder.path(), &RECIPE.replacen(from, to, 1)).unwrap_err().to_string();
        for part in ["recipe.toml", "cannot be trained", key, remedy] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
    let message = read(folder.path(), &RECIPE.replace("seed = 1", "sed = 1")).unwrap_err().to_string();
    for part in ["cannot read the recipe", "recipe.toml, line 3: unknown field `sed`", "expected one of"] {
        assert!(message.contains(part) && message.lines().count() == 1, "{part}: {message}");
    }
    let message = read(folder.path(), &RECIPE.replace("name = \"small\"", "")).unwrap_err().to_string();
    assert!(message.ends_with("recipe.toml: missing field `name`"), "{message}");
    let message = Recipe::read(&folder.path().join("none.toml")).unwrap_err().to_string();
    assert!(message.contains("cannot read") && message.contains("none.toml"), "{message}");
}

#[test]
fn recipes_that_no_machine_can_train_are_refused_before_anything_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let small = read(folder.path(), RECIPE).unwrap();
    let limit = MemoryLimit::default();
    resources::check(&small, folder.path(), limit).unwrap();
    for (from, to) in [
        ("hidden = 32", "hidden = 1048576"),
        ("intermediate = 64", "intermediate = 1048576"),
        ("head-dim = 32", "head-dim = 1048576"),
        ("layers = 1", "layers = 4096"),
        ("query-heads = 2", "query-heads = 65536"),
        ("batch = 1", "batch = 1048576"),
    ] {
        // Together with a width that is large but possible, each of them is out of reach.
        let text = RECIPE.replacen(from, to, 1).replacen("vocabulary = 448", "vocabulary = 65536", 1);
        let wide = text.replacen("hidden = 32", "hidden = 262144", 1);
        let recipe = read(folder.path(), &wide).unwrap();
        let message = resources::check(&recipe, folder.path(), limit).unwrap_err().to_string();
        assert!(message.starts_with("the training of small needs about"), "{message}");
        assert!(message.contains("of memory, but") && message.lines().count() == 1, "{message}");
    }
    let message = resources::check(&small, folder.path(), MemoryLimit::new(Some(1 << 20)));
    assert!(message.unwrap_err().to_string().contains("1.0 MB are allowed"));
}

#[test]
fn texts_without_words_are_refused_before_the_tokenizer_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let open = |train: &str| {
        fs::write(folder.path().join("train.txt"), train).unwrap();
        fs::write(folder.path().join("valid.txt"), text(7000)).unwrap();
        Corpus::open(folder.path(), &folder.path().join("data"), 448).unwrap_err().to_string()
    };
    assert!(open(&"a".repeat(1 << 20)).contains("train.txt has 1048576 bytes without white space"));
    let message = open(&"a ".repeat(1 << 20));
    assert!(message.contains("train.txt has 1 different words, but at least 64 are needed"), "{message}");
    assert!(!folder.path().join("data").exists(), "nothing was written");
}

#[test]
fn errors_about_short_texts_name_the_file_and_the_length() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Corpus::open(folder.path(), &folder.path().join("data"), 448).err().unwrap().to_string();
    assert!(open().contains("train.txt"), "{}", open());
    fs::write(folder.path().join("train.txt"), text(9000)).unwrap();
    fs::write(folder.path().join("valid.txt"), text(300)).unwrap();
    let message = open();
    assert!(message.contains("valid.txt holds") && message.contains("at least 4097 are needed"), "{message}");
    fs::write(folder.path().join("train.txt"), "a").unwrap();
    assert!(open().contains("train.txt has 1 different words") && open().contains("add text"), "{}", open());
    fs::write(folder.path().join("train.txt"), text(300)).unwrap();
    let message = open();
    assert!(
        message.contains("train.txt holds") && message.contains("at least 4097 are needed: add text"),
        "{message}"
    );
    let corpus = corpus(folder.path());
    let message = corpus.check_length(1 << 20).unwrap_err().to_string();
    assert!(message.contains("train.txt holds") && message.contains("1048577 are needed"), "{message}");
    let message = Corpus::open(folder.path(), &folder.path().join("data"), 480).err().unwrap().to_string();
    assert!(message.contains("holds 448 tokens") && message.contains("asks for 480"), "{message}");
}

#[test]
fn errors_about_damaged_runs_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (recipe, corpus) = (read(folder.path(), RECIPE).unwrap(), corpus(folder.path()));
    let run = folder.path().join("run");
    let open = || Trainer::open(&recipe, &corpus, &run, Precision::Ternary);
    open().unwrap().run(None, &bitkv_progress::Silent).unwrap();
    let check_damaged = |file: &str, bytes: &[u8], parts: &[&str]| {
        let path = run.join(file);
        let kept = fs::read(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let message = open().err().unwrap().to_string();
        assert!(message.contains(file) && parts.iter().all(|part| message.contains(part)), "{message}");
        fs::write(&path, kept).unwrap();
    };
    check_damaged(
        "checkpoint.safetensors",
        b"nothing",
        &["cannot resume", "remove the file to start from the beginning"],
    );
    check_damaged(
        "log.csv",
        b"step,tokens\n1,x\n",
        &["is damaged", "remove the file to continue without it"],
    );
    assert!(open().is_ok());
}
