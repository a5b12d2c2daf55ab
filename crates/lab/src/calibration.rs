//! Provides the numbers about heads that a policy needs in addition to what a forward pass observes:
//! entropies, head scores and head patterns. They are read from the files in [`HeadFiles`]. Entropies are
//! measured if there is no file.

use std::path::{Path, PathBuf};

use bitkv_evict::{Need, Policy, Shape};
use bitkv_models::{LoadedModel, suite};
use bitkv_progress::Progress;
use bitkv_record::{Profile, ProfiledModel, Queries, Text};

use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, ensure},
    head_scores,
    observation::{self, Calibration},
    profile::measure,
    window::Window,
};

/// The number of tokens that are read of each calibration text to measure a profile.
pub const CALIBRATION_TOKENS: usize = 512;

/// Files with numbers about heads. Error messages refer to them by the options of the command line.
#[derive(Clone, Debug, Default)]
pub struct HeadFiles {
    /// A profile of the model, which has the entropy of every query head.
    pub profile: Option<PathBuf>,
    /// The importance score of every query head; see [`head_scores::read`].
    pub head_scores: Option<PathBuf>,
    /// The retrieval-head score of every KV head, 0 to 1 (DuoAttention).
    pub head_pattern: Option<PathBuf>,
}

impl HeadFiles {
    /// Returns the calibration that `policy` needs for a model. Entropies are measured on the suite's
    /// calibration texts if no profile is given.
    ///
    /// # Errors
    /// Returns an error if a file is missing, cannot be read or belongs to another model.
    pub fn calibration(
        &self,
        loaded: &LoadedModel,
        policy: &Policy,
        progress: &dyn Progress,
    ) -> Result<Calibration> {
        let shape = observation::shape(loaded, 1);
        let mut calibration = self.read_head_scores(shape, policy)?;
        let needed = [(Need::HeadScores, &self.head_scores), (Need::HeadPattern, &self.head_pattern)];
        for (_, file) in needed.into_iter().filter(|(need, _)| policy.needs().contains(*need)) {
            file.iter().try_for_each(|file| head_scores::check_model(file, loaded, progress))?;
        }
        if policy.needs().contains(Need::Entropy) {
            let entropies = match &self.profile {
                Some(file) => model_profile(file, loaded, progress)?.entropies().concat(),
                None => measure_entropies(loaded, policy.spec(), progress)?,
            };
            calibration.insert(Need::Entropy, entropies);
        }
        Ok(calibration)
    }

    /// Returns the calibration that `policy` needs for a cache of this shape without a model. All numbers
    /// come from files.
    ///
    /// # Errors
    /// Returns an error if a file is missing, cannot be read or has another number of heads.
    pub fn calibration_for_shape(&self, shape: Shape, policy: &Policy) -> Result<Calibration> {
        let mut calibration = self.read_head_scores(shape, policy)?;
        if policy.needs().contains(Need::Entropy) {
            let missing = format!("{} needs entropies: give a file with --profile", policy.spec());
            let file = self.profile.as_deref().refuse(Error::File, missing)?;
            let entropies = Profile::from_file(file)?.entropies().concat();
            ensure!(
                File,
                entropies.len() == shape.all_query_heads(),
                "{} has {} heads and the tensors have {}: use a profile of their model",
                file.display(),
                entropies.len(),
                shape.all_query_heads()
            );
            calibration.insert(Need::Entropy, entropies);
        }
        Ok(calibration)
    }

    /// Returns the head scores and the head pattern, if `policy` needs them.
    fn read_head_scores(&self, shape: Shape, policy: &Policy) -> Result<Calibration> {
        let (needs, mut calibration) = (policy.needs(), Calibration::new());
        let files = [
            (Need::HeadScores, &self.head_scores, shape.query_heads, "--head-scores"),
            (Need::HeadPattern, &self.head_pattern, shape.kv_heads, "--head-pattern"),
        ];
        for (need, file, heads, option) in files.into_iter().filter(|(need, ..)| needs.contains(*need)) {
            let missing = format!("{} needs {}: give a file with {option}", policy.spec(), need.name());
            let file = file.as_ref().refuse(Error::File, missing)?;
            let mut scores = head_scores::read(file, shape.layers, heads)?;
            if need == Need::HeadPattern {
                // DuoAttention's gates can be slightly outside 0..1. DuoAttention clips them too.
                scores.iter_mut().for_each(|gate| *gate = gate.clamp(0.0, 1.0));
            }
            calibration.insert(need, scores);
        }
        Ok(calibration)
    }
}

/// Reads a profile and checks that it belongs to a model. If only the name binds it to the model, a note to
/// `progress` says so.
///
/// # Errors
/// Returns an error if the file is not a profile or belongs to another model.
pub(crate) fn model_profile(file: &Path, loaded: &LoadedModel, progress: &dyn Progress) -> Result<Profile> {
    let profile = Profile::from_file(file)?;
    let (short_name, content) = (loaded.source().short_name(), loaded.content()?);
    let heads = observation::shape(loaded, 1).all_query_heads();
    let model = ProfiledModel { name: &loaded.name, short_name: &short_name, content: &content, heads };
    profile.entropies_of(file, &model)?;
    profile.binding_note(file).iter().for_each(|note| progress.note(note));
    Ok(profile)
}

/// Returns the mean entropy of every head over the suite's calibration texts, in bits,
/// `[layers * query_heads]`.
fn measure_entropies(loaded: &LoadedModel, policy: &str, progress: &dyn Progress) -> Result<Vec<f64>> {
    let texts = suite::texts()?;
    let texts: Vec<&Text> = texts.calibration().collect();
    let length = CALIBRATION_TOKENS.min(loaded.config().max_position_embeddings);
    let windows = Window::all(loaded, &texts, length)
        .at(format!("{policy} needs a profile of {}; give one with --profile", loaded.name))?;
    let entropies = measure(loaded, &windows, "calibration", progress)?;
    Ok(entropies.mean(length, Queries::Published))
}
