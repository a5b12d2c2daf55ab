//! Recipes: the TOML files that describe a model and its training.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, model::Shape};

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
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// Fails if the file cannot be read or parsed, or holds a value that cannot be trained.
    pub fn read(path: &Path) -> Result<Recipe> {
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
        Ok(recipe)
    }

    fn check(&self) -> CheckResult {
        self.shape.check()?;
        require(!self.stages.is_empty(), "stage", "missing", "add a [[stage]]")?;
        for (key, steps) in
            [("checkpoint-every", self.checkpoint_every), ("validate-every", self.validate_every)]
        {
            require(steps > 0, key, steps, "make it positive")?;
        }
        self.stages.iter().enumerate().try_for_each(|(i, stage)| stage.check(i, self.shape.max_positions))
    }

    /// The largest number of steps of all stages together.
    pub fn steps(&self) -> usize {
        self.stages.iter().map(|s| s.steps).sum()
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
fn require(holds: bool, key: &str, value: impl ToString, remedy: &str) -> CheckResult {
    match holds {
        true => Ok(()),
        false => Err(InvalidValue { key: key.into(), value: value.to_string(), remedy: remedy.into() }),
    }
}

impl Shape {
    fn check(&self) -> CheckResult {
        let widths = [
            ("shape.vocabulary", self.vocabulary),
            ("shape.hidden", self.hidden),
            ("shape.intermediate", self.intermediate),
            ("shape.head-dim", self.head_dim),
        ];
        for (key, value) in widths {
            let holds = value > 0 && value.is_multiple_of(32);
            require(holds, key, value, "make it a positive multiple of 32")?;
        }
        let holds = self.vocabulary <= 1 << 16;
        let remedy = "tokens are stored in 16 bits, so use 65536 or fewer";
        require(holds, "shape.vocabulary", self.vocabulary, remedy)?;
        let holds = self.max_positions.is_multiple_of(32) && self.max_positions >= 96;
        let remedy = "make it a multiple of 32 of at least 96";
        require(holds, "shape.max-positions", self.max_positions, remedy)?;
        let (queries, kv) = (self.query_heads, self.kv_heads);
        let holds = kv > 0 && queries > 0 && queries.is_multiple_of(kv);
        let remedy =
            format!("make it a positive multiple of shape.kv-heads, which is {kv} and must be positive too");
        require(holds, "shape.query-heads", queries, &remedy)
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
        require(holds, &key("length"), length, &remedy)?;
        let holds = (0.0..=1.0).contains(&self.synthetic);
        require(holds, &key("synthetic"), self.synthetic, "use a number from 0 to 1")?;
        let remedy = format!("use a number from 4 to length - 1 = {}", length - 1);
        require((4..length).contains(&self.distance), &key("distance"), self.distance, &remedy)?;
        require(self.steps > 0, &key("steps"), self.steps, "make it positive")?;
        require(self.batch > 0, &key("batch"), self.batch, "make it positive")
    }
}
