//! Finds the texts that experiments read, and where the numbers about heads come from
//! ([`CalibrationSources`]).

use std::path::Path;

use bitkv_evict::{Need, Needs};
use bitkv_models::{LoadedModel, suite};
use bitkv_record::{Calibration, Experiment, FileHash, Profile, Split, Text, TextSource, Texts};

use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, bail, ensure},
    head_file,
    observation::shape,
    window::Window,
};

/// Where the numbers about heads of a job come from. Only what the job's policies need is set.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Texts to be profiled at a length.
    pub profiled: Option<(Texts, usize)>,
    /// The entropies of heads from a file, in bits, `[layers * query_heads]`.
    pub entropy: Option<Vec<f64>>,
    /// The scores of heads from a file, `[layers * query_heads]`.
    pub head_scores: Option<Vec<f64>>,
    /// A text that identifies all of these; the keys of rows depend on it.
    pub fingerprint: String,
}

pub(super) fn texts_of(source: &TextSource) -> Result<Texts> {
    Ok(match source {
        TextSource::Evaluation => suite::texts()?.only(Split::Evaluation),
        TextSource::Calibration => suite::texts()?.only(Split::Calibration),
        TextSource::Suite => suite::texts()?,
        TextSource::Folder(folder) => folder_texts(folder, Split::Evaluation)?,
    })
}

fn folder_texts(folder: &Path, split: Split) -> Result<Texts> {
    Texts::from_folder(folder, split).at(format!("texts: {} cannot be used", folder.display()))
}

/// Checks that calibration and evaluation do not overlap, and that files are of this model.
pub(super) fn sources(
    experiment: &Experiment,
    loaded: &LoadedModel,
    needs: &Needs,
    evaluated: &Texts,
) -> Result<Sources> {
    let mut found = Sources { profiled: None, entropy: None, head_scores: None, fingerprint: String::new() };
    let scores = match &experiment.calibration {
        Calibration::Texts { texts, tokens, head_scores } => {
            let profiled = match texts {
                TextSource::Folder(folder) => folder_texts(folder, Split::Calibration)?,
                _ => suite::texts()?.only(Split::Calibration),
            };
            // This is checked even if no policy needs entropies, because the definition declares the texts to
            // be disjoint.
            profiled.clone().join(evaluated.clone()).at(
                "texts: calibration and evaluation must have nothing in common: name other texts in one of them",
            )?;
            if needs.contains(Need::Entropy) {
                let all: Vec<&Text> = profiled.all().iter().collect();
                let positions = loaded.config().max_position_embeddings;
                ensure!(
                    Definition,
                    *tokens <= positions,
                    "calibration.tokens = {tokens} is more than the {positions} positions of {}: write fewer",
                    loaded.name
                );
                Window::all(loaded, &all, *tokens).at("calibration.tokens")?;
                let hashes: Vec<String> = profiled.hashes().into_iter().map(|hash| hash.sha256).collect();
                found.fingerprint = format!("{} tokens of {}", tokens, hashes.join(" "));
                found.profiled = Some((profiled, *tokens));
            }
            head_scores
        }
        Calibration::File { profile, head_scores } => {
            let (entropy, texts) = profile_of(loaded, profile)?;
            let judged = evaluated.hashes();
            if let Some(text) =
                texts.iter().find(|text| judged.iter().any(|other| other.sha256 == text.sha256))
            {
                bail!(
                    Definition,
                    "calibration.profile: {} was measured on {}, which is evaluated too: use a profile of other texts",
                    profile.display(),
                    text.name
                );
            }
            found.fingerprint = format!("{entropy:?}");
            found.entropy = Some(entropy);
            head_scores
        }
    };
    if needs.contains(Need::HeadScores) {
        let file = scores.as_ref().refuse(
            Error::Definition,
            "policies: one needs head scores, so give a file as calibration = { head-scores = \"FILE\" }",
        )?;
        let extent = shape(loaded, 1);
        let scores =
            head_file::read(file, extent.layers, extent.query_heads).at("calibration.head-scores")?;
        found.fingerprint += &format!("{scores:?}");
        found.head_scores = Some(scores);
    }
    Ok(found)
}

/// Returns the entropies of a profile of this model, `[layers * query_heads]`, and the texts that it was
/// measured on.
///
/// # Errors
/// When the file is no profile, or one of another model.
fn profile_of(loaded: &LoadedModel, file: &Path) -> Result<(Vec<f64>, Vec<FileHash>)> {
    let profile = Profile::from_file(file).at("calibration.profile")?;
    let heads = shape(loaded, 1).all_query_heads();
    let entropies = profile.entropies_of(file, &loaded.name, heads).at("calibration.profile")?;
    Ok((entropies, profile.texts))
}
