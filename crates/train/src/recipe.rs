//! Recipes: the TOML files that describe a model and its training.

use std::{fmt::Display, ops::RangeInclusive, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, model::Shape};

/// The most bytes of a name.
const LONGEST_NAME: usize = 100;
/// The largest width of a matrix, in values. A checkpoint may not have more.
const WIDEST: usize = 1 << 20;
/// The most layers. A checkpoint may not have more.
const MOST_LAYERS: usize = 4096;
/// The most query heads in a layer.
const MOST_HEADS: usize = 1 << 16;
/// The most tokens in a sequence.
const MOST_POSITIONS: usize = 1 << 20;
/// The fewest tokens of a vocabulary: one for every byte, two special ones, and a multiple of 32.
const LEAST_VOCABULARY: usize = 288;
/// The most stages.
const MOST_STAGES: usize = 1000;
/// The most steps of a training. The optimizer counts them in 32 bits.
const MOST_STEPS: usize = 1_000_000_000;
/// The most sequences in a step.
const MOST_SEQUENCES: usize = 1 << 20;
/// The largest learning rate. AdamW changes a weight by about the rate, so a larger one is a typing error.
const LARGEST_RATE: f32 = 1.0;
/// The largest weight decay. The decay of a step is this times the rate.
const LARGEST_DECAY: f32 = 10.0;
/// The largest amplitude of an initial head.
const LARGEST_AMPLITUDE: f32 = 1000.0;

/// A recipe: everything that determines a training run, except the corpus.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// The name of the model.
    pub name: String,
    /// The seed of the initial weights.
    pub seed: u64,
    /// The seed of the data; models with the same seed see the same batches.
    pub data_seed: u64,
    /// The number of steps between checkpoints.
    pub checkpoint_every: usize,
    /// The number of steps between validations.
    pub validate_every: usize,
    /// The shape of the model.
    pub shape: Shape,
    /// How the weights are initialised.
    #[serde(default)]
    pub start: WeightInit,
    /// The stages of the training, one after the other.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

/// How weights are initialised, in addition to random numbers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WeightInit {
    /// The number of query heads of layer 0, on different KV heads, that attend to the previous token.
    pub previous_token_heads: usize,
    /// How sharply these heads attend: the size of their queries and keys in each of four rotary pairs. At 5,
    /// a head pays a third of its attention to the previous token, and training soon moves this attention to
    /// the current token. At 10, a head pays nearly all of its attention to the previous token.
    pub amplitude: f32,
}

impl Eq for WeightInit {}

/// A stage of training with one mixture of data.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stage {
    /// The largest number of steps of the stage.
    pub steps: usize,
    /// The number of tokens per sequence, a multiple of 32.
    pub length: usize,
    /// The number of sequences per step.
    pub batch: usize,
    /// The fraction of sequences that are in-context tasks, 0 to 1.
    pub synthetic: f64,
    /// The largest distance, in tokens, between an answer of a task and its earlier occurrence.
    pub distance: usize,
    /// The number of words that the tasks use; 0 means all.
    #[serde(default)]
    pub alphabet: usize,
    /// The learning rate at the first and at the last step.
    pub rate: [f32; 2],
    /// The decoupled weight decay of matrices.
    pub decay: f32,
    /// The stage ends early once the accuracies of copy and recall both exceed this value, 0 to 1.
    #[serde(default)]
    pub gate: Option<f64>,
}

impl Eq for Stage {}

impl Recipe {
    /// Reads and checks a recipe. Returns it with its text.
    ///
    /// # Errors
    /// Fails if the file cannot be read or parsed, or holds a value that cannot be trained.
    pub fn read(path: &Path) -> Result<(Recipe, String)> {
        let text = bitkv_bytes::read_written_document(path, bitkv_bytes::limit::DEFINITION)
            .map_err(Error::reading(path))?;
        let recipe: Recipe = toml::from_str(&text).map_err(|source| {
            let (path, text) = (path.into(), text.clone());
            Error::Recipe { path, text, source: Box::new(source) }
        })?;
        recipe.check().map_err(|InvalidValue { key, value, remedy }| {
            let path = path.into();
            Error::RecipeValue { path, key, value, remedy }
        })?;
        Ok((recipe, text))
    }

    fn check(&self) -> CheckResult {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let holds = self.name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && self.name.len() <= LONGEST_NAME
            && self.name.chars().all(is_part);
        let remedy = format!(
            "use 1 to {LONGEST_NAME} letters, digits, hyphens, underscores and dots, and a letter or digit first"
        );
        require(holds, "name", shown(&self.name), remedy)?;
        self.shape.check()?;
        let stages = self.stages.len();
        require(stages > 0, "stage", "missing", "add a [[stage]]")?;
        require(stages <= MOST_STAGES, "the number of stages", stages, format!("use at most {MOST_STAGES}"))?;
        for (key, steps) in
            [("checkpoint-every", self.checkpoint_every), ("validate-every", self.validate_every)]
        {
            require(steps > 0, key, steps, "make it positive")?;
        }
        self.start.check(self.shape.kv_heads)?;
        for (i, stage) in self.stages.iter().enumerate() {
            stage.check(i, self.shape.max_positions)?;
        }
        let steps = self.steps();
        require(steps <= MOST_STEPS, "the sum of all steps", steps, format!("use at most {MOST_STEPS}"))
    }

    /// The largest number of steps of all stages together.
    pub fn steps(&self) -> usize {
        self.stages.iter().fold(0, |sum, stage| sum.saturating_add(stage.steps))
    }
}

/// A value of a recipe that cannot be trained, and what to do about it.
struct InvalidValue {
    key: String,
    value: String,
    remedy: String,
}

type CheckResult = std::result::Result<(), InvalidValue>;

/// Returns an error for this key unless the condition holds.
fn require(holds: bool, key: &str, value: impl ToString, remedy: impl Into<String>) -> CheckResult {
    match holds {
        true => Ok(()),
        false => Err(InvalidValue { key: key.into(), value: value.to_string(), remedy: remedy.into() }),
    }
}

/// Returns an error for this key unless the value is in the range.
fn within<T: PartialOrd + Display>(key: &str, value: T, range: RangeInclusive<T>) -> CheckResult {
    let remedy = format!("use a number from {} to {}", range.start(), range.end());
    require(range.contains(&value), key, value, remedy)
}

/// Returns the first characters of a value, in quotes.
fn shown(text: &str) -> String {
    const SHOWN: usize = 60;
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(end, _)| end);
    format!("{:?}{}", &text[..end], if end < text.len() { "..." } else { "" })
}

impl WeightInit {
    fn check(&self, kv_heads: usize) -> CheckResult {
        within("start.previous-token-heads", self.previous_token_heads, 0..=kv_heads)?;
        within("start.amplitude", self.amplitude, 0.0..=LARGEST_AMPLITUDE)
    }
}

impl Shape {
    fn check(&self) -> CheckResult {
        let widths = [
            ("shape.vocabulary", self.vocabulary, 1 << 16),
            ("shape.hidden", self.hidden, WIDEST),
            ("shape.intermediate", self.intermediate, WIDEST),
            ("shape.head-dim", self.head_dim, WIDEST),
        ];
        let holds = self.vocabulary <= 1 << 16;
        let remedy = "tokens are stored in 16 bits, so use 65536 or fewer";
        require(holds, "shape.vocabulary", self.vocabulary, remedy)?;
        for (key, value, most) in widths {
            let holds = value > 0 && value.is_multiple_of(32) && value <= most;
            require(holds, key, value, format!("make it a positive multiple of 32 of at most {most}"))?;
        }
        let holds = self.vocabulary >= LEAST_VOCABULARY;
        let remedy =
            format!("every byte and two special tokens need a token, so use at least {LEAST_VOCABULARY}");
        require(holds, "shape.vocabulary", self.vocabulary, remedy)?;
        let holds =
            self.max_positions.is_multiple_of(32) && (96..=MOST_POSITIONS).contains(&self.max_positions);
        let remedy = format!("make it a multiple of 32 of at least 96 and at most {MOST_POSITIONS}");
        require(holds, "shape.max-positions", self.max_positions, remedy)?;
        within("shape.layers", self.layers, 1..=MOST_LAYERS)?;
        within("shape.rope-theta", self.rope_theta, 1..=u32::MAX)?;
        let (queries, kv) = (self.query_heads, self.kv_heads);
        let holds = kv > 0 && queries > 0 && queries.is_multiple_of(kv);
        let remedy =
            format!("make it a positive multiple of shape.kv-heads, which is {kv} and must be positive too");
        require(holds, "shape.query-heads", queries, remedy)?;
        within("shape.query-heads", queries, 1..=MOST_HEADS)
    }
}

impl Stage {
    /// Checks the stage at this index, which messages count from 1, for a model with `max_positions`
    /// positions.
    fn check(&self, index: usize, max_positions: usize) -> CheckResult {
        let key = |name: &str| format!("{name} of stage {}", index + 1);
        let length = self.length;
        let holds = length > 0 && length.is_multiple_of(32) && length <= max_positions;
        let remedy = format!("make it a multiple of 32 of at most shape.max-positions = {max_positions}");
        require(holds, &key("length"), length, remedy)?;
        let holds = (0.0..=1.0).contains(&self.synthetic);
        require(holds, &key("synthetic"), self.synthetic, "use a number from 0 to 1")?;
        let remedy = format!("use a number from 4 to length - 1 = {}", length - 1);
        require((4..length).contains(&self.distance), &key("distance"), self.distance, remedy)?;
        within(&key("steps"), self.steps, 1..=MOST_STEPS)?;
        within(&key("batch"), self.batch, 1..=MOST_SEQUENCES)?;
        within(&key("alphabet"), self.alphabet, 0..=1 << 16)?;
        self.rate.iter().try_for_each(|&rate| within(&key("rate"), rate, 0.0..=LARGEST_RATE))?;
        within(&key("decay"), self.decay, 0.0..=LARGEST_DECAY)?;
        self.gate.map_or(Ok(()), |gate| within(&key("gate"), gate, 0.0..=1.0))
    }
}
