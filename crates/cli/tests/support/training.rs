//! A small training.

use super::Place;

/// A recipe that takes a second.
pub(crate) const RECIPE: &str = r#"
name = "small"
seed = 1
data-seed = 2
checkpoint-every = 2
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
steps = 4
length = 64
batch = 1
synthetic = 0.5
distance = 16
rate = [1e-3, 1e-4]
decay = 0.1
"#;

/// Returns a text of made-up words.
pub(crate) fn text(words: u32) -> String {
    let letter = |n: u32| char::from(b'a' + (n % 26) as u8);
    let word = |i: u32| -> String {
        let n = i.wrapping_mul(2_654_435_761) >> 16;
        [n / 7, n / 11, n / 13].map(letter).iter().collect()
    };
    (0..words).map(|i| word(i % 150) + if i % 9 == 8 { "\n" } else { " " }).collect()
}

impl Place {
    /// A folder with a recipe and a corpus.
    pub(crate) fn with_corpus() -> Place {
        let place = Place::new();
        place.write("corpus/train.txt", text(9000));
        place.write("corpus/valid.txt", text(7000));
        place.write("recipe.toml", RECIPE);
        place
    }
}
