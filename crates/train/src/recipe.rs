//! How a model is trained: one TOML file.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::model::Shape;

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
    pub fn read(path: &Path) -> Result<Recipe> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read the recipe {}", path.display()))?;
        let recipe: Recipe = toml::from_str(&text)
            .with_context(|| format!("cannot understand the recipe {}", path.display()))?;
        recipe.check().with_context(|| format!("the recipe {} cannot be trained", path.display()))?;
        Ok(recipe)
    }

    fn check(&self) -> Result<()> {
        let s = &self.shape;
        for (key, value) in [
            ("vocabulary", s.vocabulary),
            ("hidden", s.hidden),
            ("intermediate", s.intermediate),
            ("head-dim", s.head_dim),
        ] {
            ensure!(
                value > 0 && value % 32 == 0,
                "shape.{key} is {value}: make it a positive multiple of 32"
            );
        }
        ensure!(
            s.vocabulary <= 1 << 16,
            "shape.vocabulary is {}: tokens are stored in 16 bits, so use 65536 or fewer",
            s.vocabulary
        );
        ensure!(
            s.max_positions.is_multiple_of(32) && s.max_positions >= 96,
            "shape.max-positions is {}: make it a multiple of 32 of at least 96",
            s.max_positions
        );
        ensure!(
            s.kv_heads > 0 && s.query_heads > 0 && s.query_heads.is_multiple_of(s.kv_heads),
            "shape.query-heads is {} and shape.kv-heads {}: the first must be a multiple of the second",
            s.query_heads,
            s.kv_heads
        );
        ensure!(!self.stages.is_empty(), "there is no [[stage]]: add one");
        ensure!(self.checkpoint_every > 0 && self.validate_every > 0, "the intervals must be positive");
        for (i, stage) in self.stages.iter().enumerate() {
            ensure!(
                stage.length > 0 && stage.length % 32 == 0 && stage.length <= s.max_positions,
                "stage {i}: length is {}: make it a multiple of 32 of at most shape.max-positions = {}",
                stage.length,
                s.max_positions
            );
            ensure!(
                (0.0..=1.0).contains(&stage.synthetic),
                "stage {i}: synthetic is {}: use 0 to 1",
                stage.synthetic
            );
            ensure!(
                (4..stage.length).contains(&stage.distance),
                "stage {i}: distance is {}: use 4 to length - 1 = {}",
                stage.distance,
                stage.length - 1
            );
            ensure!(stage.batch > 0 && stage.steps > 0, "stage {i}: steps and batch must be positive");
        }
        Ok(())
    }

    /// Most steps of all stages.
    pub fn steps(&self) -> usize {
        self.stages.iter().map(|s| s.steps).sum()
    }
}
