//! Finds the texts that experiments read, and where the numbers about heads come from
//! ([`CalibrationSources`]).

use std::path::Path;

use bitkv_evict::{Need, Policy};
use bitkv_models::{LoadedModel, suite};
use bitkv_progress::Progress;
use bitkv_record::{CalibrationSettings, Experiment, Split, Text, TextSource, Texts, TextsError};

use crate::{
    Error, Result,
    calibration::model_profile,
    error::{Place as _, Refuse as _, bail, ensure},
    head_scores,
    observation::shape,
    text_use::TextUse,
    window::Window,
};

/// Where the numbers about heads of a job come from. Only what the job's policies need is set.
#[derive(Clone, Debug, Default)]
pub struct CalibrationSources {
    /// The texts whose entropies are to be measured, and the tokens to read of each.
    pub profiled: Option<(Texts, usize)>,
    /// The entropies of heads from a file, in bits, `[layers * query_heads]`.
    pub entropy: Option<Vec<f64>>,
    /// The scores of heads from a file, `[layers * query_heads]`.
    pub head_scores: Option<Vec<f64>>,
    /// How much of the calibration texts is read; `None` if none is read.
    pub text_use: Option<TextUse>,
    /// A text that identifies all of these; the keys of rows depend on it.
    pub fingerprint: String,
}

/// Reads the texts that a definition names.
pub(super) fn read_texts(source: &TextSource) -> Result<Texts> {
    Ok(match source {
        TextSource::Evaluation => suite::texts()?.only(Split::Evaluation),
        TextSource::Calibration => suite::texts()?.only(Split::Calibration),
        TextSource::Suite => suite::texts()?,
        TextSource::Long => suite::long_texts()?,
        TextSource::Folder(folder) => folder_texts(folder, Split::Evaluation)?,
    })
}

fn folder_texts(folder: &Path, split: Split) -> Result<Texts> {
    Texts::from_folder(folder, split).map_err(|error| in_folder("texts", folder, error))
}

/// Returns the error about a folder of texts, which `key` names. The folder is added if the error does not
/// name it.
pub(crate) fn in_folder(key: &str, folder: &Path, error: TextsError) -> Error {
    let place = match error {
        TextsError::NoTexts { .. } | TextsError::Record(_) => key.to_owned(),
        _ => format!("{key} {}", folder.display()),
    };
    Error::At { place, source: Box::new(error.into()) }
}

/// Finds the calibration sources that `policies` need. Doubts about files are reported to `notes`.
///
/// # Errors
/// Returns an error if calibration and evaluation texts overlap, or if a file is missing or belongs to
/// another model.
pub(super) fn calibration_sources(
    experiment: &Experiment,
    loaded: &LoadedModel,
    policies: &[&Policy],
    evaluated: &Texts,
    notes: &dyn Progress,
) -> Result<CalibrationSources> {
    let mut found = CalibrationSources::default();
    let scores = match &experiment.calibration {
        CalibrationSettings::Texts { texts, tokens, head_scores } => {
            let profiled = match texts {
                TextSource::Folder(folder) => folder_texts(folder, Split::Calibration)?,
                _ => suite::texts()?.only(Split::Calibration),
            };
            // This is checked even if no policy needs entropies, because the definition declares the texts to
            // be disjoint.
            profiled.clone().join(evaluated.clone()).at(
                "texts: calibration and evaluation texts must have nothing in common: name other texts for one of them",
            )?;
            if first_with(policies, Need::Entropy).is_some() {
                loaded.tokenizer().at("models")?;
                let all: Vec<&Text> = profiled.all().iter().collect();
                let positions = loaded.config().max_position_embeddings;
                ensure!(
                    Definition,
                    *tokens <= positions,
                    "calibration.tokens = {tokens} is more than the {positions} positions of {}: write fewer",
                    loaded.name
                );
                let windows = Window::all(loaded, &all, *tokens).at("calibration.tokens")?;
                let (study, role) = (&experiment.name, "calibration texts");
                found.text_use = Some(TextUse::new(study, &loaded.name, role, &windows));
                let hashes: Vec<String> = profiled.hashes().into_iter().map(|hash| hash.sha256).collect();
                found.fingerprint = format!("{} tokens of {}", tokens, hashes.join(" "));
                found.profiled = Some((profiled, *tokens));
            }
            head_scores
        }
        CalibrationSettings::File { profile, head_scores } => {
            let read = model_profile(profile, loaded, notes).at("calibration.profile")?;
            let entropy = read.entropies().concat();
            let evaluated = evaluated.hashes();
            if let Some(text) =
                read.texts.iter().find(|text| evaluated.iter().any(|other| other.sha256 == text.sha256))
            {
                bail!(
                    Definition,
                    "calibration.profile: {} was measured on {}, which is also an evaluation text: use a profile of \
                     other texts",
                    profile.display(),
                    text.name
                );
            }
            found.fingerprint = format!("{entropy:?}");
            found.entropy = Some(entropy);
            head_scores
        }
    };
    if let Some(policy) = first_with(policies, Need::HeadScores) {
        let file = scores.as_ref().refuse(
            Error::Definition,
            format!(
                "policies: `{}` needs head scores: give a file as calibration = {{ head-scores = \"FILE\" }}",
                policy.spec()
            ),
        )?;
        let extent = shape(loaded, 1);
        let scores =
            head_scores::read(file, extent.layers, extent.query_heads).at("calibration.head-scores")?;
        head_scores::check_model(file, loaded, notes).at("calibration.head-scores")?;
        found.fingerprint += &format!("{scores:?}");
        found.head_scores = Some(scores);
    }
    Ok(found)
}

/// Returns the first policy with this need.
fn first_with<'p>(policies: &[&'p Policy], need: Need) -> Option<&'p Policy> {
    policies.iter().copied().find(|policy| policy.needs().contains(need))
}
