//! Claim 2: how attention heads divide into classes by entropy.

use anyhow::Result;
use bitkv_record::{HeadRow, Texts};

use super::Options;
use crate::{
    Subject,
    profile::{self, Entropies, Rows},
    progress::Steps,
    published,
    window::Window,
};

/// Context lengths that entropy is reported at, as far as the windows reach.
const CONTEXTS: [usize; 6] = [16, 32, 64, 128, 256, 512];

/// The published per-head entropies as rows.
pub(super) fn published() -> Result<Vec<HeadRow>> {
    let mut rows = Vec::new();
    for profile in published::profiles()? {
        rows.extend(profile.heads.iter().map(|head| HeadRow {
            model: profile.model.clone(),
            profile: "published".into(),
            context: 0,
            text: String::new(),
            layer: head.layer,
            head: head.head,
            entropy_bits: head.entropy_bits,
            normalised_entropy: None,
        }));
    }
    Ok(rows)
}

/// Runs the calibration texts.
pub(super) fn measure(subject: &Subject, texts: &Texts, options: &Options) -> Result<Entropies> {
    let texts: Vec<_> = texts.calibration().collect();
    let windows = Window::of_all(subject, &texts, options.calibration_tokens)?;
    let steps = Steps::new(&format!("{} entropies", subject.name), windows.len());
    let entropies = profile::measure(subject, &windows, &steps)?;
    steps.finish();
    Ok(entropies)
}

/// Rows at every context length the windows reach.
pub(super) fn rows(subject: &Subject, entropies: &Entropies) -> Vec<HeadRow> {
    let contexts = CONTEXTS.into_iter().filter(|&n| n < entropies.context).chain([entropies.context]);
    contexts.flat_map(|context| entropies.rows(&subject.name, context, Rows::Published)).collect()
}

/// The profile that policies are given: the longest context, the published rows.
pub(super) fn profile(entropies: &Entropies) -> Vec<f64> {
    entropies.mean(entropies.context, Rows::Published)
}
