//! Calibration about heads that a policy needs besides what a forward pass shows: from files, or measured.

use std::path::PathBuf;

use bitkv_evict::{Need, Policy, Shape};
use bitkv_models::{LoadedModel, suite};
use bitkv_progress::Progress;
use bitkv_record::{Profile, Queries, Text};

use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, ensure},
    head_file,
    observation::{self, Calibration},
    profile::measure,
    window::Window,
};

/// Tokens of a calibration text when a profile has to be measured.
pub const CALIBRATION_TOKENS: usize = 512;

/// Files with numbers about heads. Errors call them as the options of the command line do.
#[derive(Clone, Debug, Default)]
pub struct HeadFiles {
    /// A profile of the model, for entropies.
    pub profile: Option<PathBuf>,
    /// Importance of every query head; see [`head_file::read`].
    pub head_scores: Option<PathBuf>,
    /// How much each KV head is one for retrieval, 0 to 1.
    pub head_pattern: Option<PathBuf>,
}

impl HeadFiles {
    /// The numbers that `policy` needs of a model. Entropies are measured on the calibration texts where no file is given.
    ///
    /// # Errors
    /// When a file is missing, cannot be read or is of another model.
    pub fn numbers(
        &self,
        loaded: &LoadedModel,
        policy: &Policy,
        progress: &dyn Progress,
    ) -> Result<Calibration> {
        let shape = observation::shape(loaded, 1);
        let mut numbers = self.of_heads(shape, policy)?;
        if policy.needs().contains(Need::Entropy) {
            let entropies = match &self.profile {
                Some(file) => {
                    Profile::from_file(file)?.entropies_of(file, &loaded.name, shape.all_query_heads())?
                }
                None => measured(loaded, policy.spec(), progress)?,
            };
            numbers.insert(Need::Entropy, entropies);
        }
        Ok(numbers)
    }

    /// The same where there is no model: all from files, for a cache of this shape.
    ///
    /// # Errors
    /// When a file is missing, cannot be read or has another number of heads.
    pub fn numbers_of_shape(&self, shape: Shape, policy: &Policy) -> Result<Calibration> {
        let mut numbers = self.of_heads(shape, policy)?;
        if policy.needs().contains(Need::Entropy) {
            let lacking = format!("{} needs entropies: give a file with --profile", policy.spec());
            let file = self.profile.as_deref().refuse(Error::File, lacking)?;
            let entropies = Profile::from_file(file)?.entropies().concat();
            ensure!(
                File,
                entropies.len() == shape.all_query_heads(),
                "{} has {} heads and the tensors {}: use a profile of their model",
                file.display(),
                entropies.len(),
                shape.all_query_heads()
            );
            numbers.insert(Need::Entropy, entropies);
        }
        Ok(numbers)
    }

    fn of_heads(&self, shape: Shape, policy: &Policy) -> Result<Calibration> {
        let (needs, mut numbers) = (policy.needs(), Calibration::new());
        let files = [
            (Need::HeadScores, &self.head_scores, shape.query_heads, "--head-scores"),
            (Need::HeadPattern, &self.head_pattern, shape.kv_heads, "--head-pattern"),
        ];
        for (need, file, heads, option) in files.into_iter().filter(|(need, ..)| needs.contains(*need)) {
            let lacking = format!("{} needs {}: give a file with {option}", policy.spec(), need.name());
            let file = file.as_ref().refuse(Error::File, lacking)?;
            let mut scores = head_file::read(file, shape.layers, heads)?;
            if need == Need::HeadPattern {
                // DuoAttention's gates may leave 0..1 a little, and are clipped there too.
                scores.iter_mut().for_each(|gate| *gate = gate.clamp(0.0, 1.0));
            }
            numbers.insert(need, scores);
        }
        Ok(numbers)
    }
}

/// Entropies on the suite's calibration texts, `[layers * query_heads]`.
fn measured(loaded: &LoadedModel, policy: &str, progress: &dyn Progress) -> Result<Vec<f64>> {
    let texts = suite::texts()?;
    let texts: Vec<&Text> = texts.calibration().collect();
    let length = CALIBRATION_TOKENS.min(loaded.config().max_position_embeddings);
    let windows = Window::all(loaded, &texts, length)
        .at(format!("{policy} needs a profile of {}; give one with --profile", loaded.name))?;
    let entropies = measure(loaded, &windows, "calibration", progress)?;
    Ok(entropies.mean(length, Queries::Published))
}
