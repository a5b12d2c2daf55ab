//! How a model is trained: one TOML file.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, model::Shape};

/// A whole training run.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// Name of the model.
    pub name: String,
    /// Seed of the initial weights.
    pub seed: u64,
    /// Seed of the data: equal for models that are to see the same batches.
    pub data_seed: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Steps between validations.
    pub validate_every: usize,
    /// The model's shape.
    pub shape: Shape,
    /// How its weights start.
    #[serde(default)]
    pub start: Start,
    /// What is trained on, one stage after the other.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

/// What new weights hold besides random numbers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Start {
    /// Query heads of layer 0, on different KV heads, that attend to the previous token.
    pub previous_token_heads: usize,
    /// How sharply: the size of their queries and keys in each of four rotary pairs. At 5 a head pays the previous
    /// token a third of its attention, and training soon moves it to the current one; at 10 nearly all.
    pub amplitude: f32,
}

impl Eq for Start {}

/// A stretch of training with one mixture of data.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stage {
    /// Most steps it lasts.
    pub steps: usize,
    /// Tokens of a sequence, a multiple of 32.
    pub length: usize,
    /// Sequences of a step.
    pub batch: usize,
    /// Part of the sequences that are in-context tasks, 0 to 1.
    pub synthetic: f64,
    /// Longest distance, in tokens, between what a task shows and what it asks.
    pub distance: usize,
    /// Words the tasks draw from; 0 is all there are.
    #[serde(default)]
    pub alphabet: usize,
    /// Learning rate at the first and at the last step.
    pub rate: [f32; 2],
    /// Decoupled weight decay of matrices.
    pub decay: f32,
    /// The stage ends early once copy and recall accuracy both exceed this.
    #[serde(default)]
    pub gate: Option<f64>,
}

impl Eq for Stage {}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// When the file cannot be read or understood, or holds a value that cannot be trained.
    pub fn read(path: &Path) -> Result<Recipe> {
        let text = fs::read_to_string(path).map_err(Error::reading(path))?;
        let recipe: Recipe = toml::from_str(&text)
            .map_err(|source| Error::Recipe { path: path.into(), source: Box::new(source) })?;
        recipe.check().map_err(|Refused { key, value, remedy }| {
            let path = path.into();
            Error::RecipeValue { path, key, value, remedy }
        })?;
        Ok(recipe)
    }

    fn check(&self) -> Checked {
        self.shape.check()?;
        require(!self.stages.is_empty(), "stage", "not there", "add a [[stage]]")?;
        for (key, steps) in
            [("checkpoint-every", self.checkpoint_every), ("validate-every", self.validate_every)]
        {
            require(steps > 0, key, steps, "make it positive")?;
        }
        self.stages.iter().enumerate().try_for_each(|(i, stage)| stage.check(i, self.shape.max_positions))
    }

    /// Most steps of all stages.
    pub fn steps(&self) -> usize {
        self.stages.iter().map(|s| s.steps).sum()
    }
}

/// A value of a recipe that cannot be trained.
struct Refused {
    key: String,
    value: String,
    remedy: String,
}

type Checked = std::result::Result<(), Refused>;

fn require(holds: bool, key: &str, value: impl ToString, remedy: &str) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(Refused { key: key.into(), value: value.to_string(), remedy: remedy.into() }),
    }
}

impl Shape {
    fn check(&self) -> Checked {
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
        let remedy = format!("make it a multiple of shape.kv-heads, which is {kv}, and both positive");
        require(holds, "shape.query-heads", queries, &remedy)
    }
}

impl Stage {
    /// Checks the stage of this index for a model of so many positions.
    fn check(&self, index: usize, max_positions: usize) -> Checked {
        let key = |name: &str| format!("{name} of stage {index}");
        let length = self.length;
        let holds = length > 0 && length.is_multiple_of(32) && length <= max_positions;
        let remedy = format!("make it a multiple of 32 of at most shape.max-positions = {max_positions}");
        require(holds, &key("length"), length, &remedy)?;
        let holds = (0.0..=1.0).contains(&self.synthetic);
        require(holds, &key("synthetic"), self.synthetic, "use 0 to 1")?;
        let remedy = format!("use 4 to length - 1 = {}", length - 1);
        require((4..length).contains(&self.distance), &key("distance"), self.distance, &remedy)?;
        require(self.steps > 0, &key("steps"), self.steps, "make it positive")?;
        require(self.batch > 0, &key("batch"), self.batch, "make it positive")
    }
}
