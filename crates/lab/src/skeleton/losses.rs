//! Two models on the same tokens: what the next one costs each, and how far their predictions differ.

use anyhow::{Result, ensure};
use bitkv_record::{Difference, LossRow, ProfileDifference};
use bitkv_stats::{argmax, kl_from_logits, nll_from_logits};

use super::spread;
use crate::{
    Subject,
    progress::Steps,
    window::{Window, bytes_of},
};

/// Logits are computed for this many positions at a time, because those of a long text fill gigabytes.
const POSITIONS: usize = 64;

/// One text, read by both.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// The true model's.
    pub truth: LossRow,
    /// The other's, with its agreement with the true model.
    pub other: LossRow,
}

/// Sums over the positions of a text.
#[derive(Default)]
struct Sums {
    nll_nats: [f64; 2],
    kl_nats: f64,
    agreed: usize,
}

/// Runs both models over every window; all tokens but the first are scored.
///
/// # Errors
/// When a window is shorter than two tokens, the vocabularies differ, or a model's logits are no numbers.
pub fn measure(truth: &Subject, other: &Subject, windows: &[Window], steps: &Steps) -> Result<Vec<Losses>> {
    let (own, its) = (truth.config().vocab_size, other.config().vocab_size);
    ensure!(
        own == its,
        "{} knows {own} tokens and {} knows {its}: compare models of one vocabulary",
        truth.name,
        other.name
    );
    let each = windows.iter().map(|window| {
        let losses = of_window([truth, other], window);
        steps.advance();
        losses
    });
    each.collect()
}

fn of_window(pair: [&Subject; 2], window: &Window) -> Result<Losses> {
    ensure!(window.tokens.len() >= 2, "{} has one token and two are needed: use a longer text", window.name);
    let (read, targets) = (&window.tokens[..window.tokens.len() - 1], &window.tokens[1..]);
    let sums = sums(pair, read, targets)?;
    for (subject, nll) in pair.iter().zip(sums.nll_nats) {
        ensure!(
            nll.is_finite(),
            "the logits of {} on {} are no numbers: examine it with `bitkv doctor`",
            subject.name,
            window.name
        );
    }
    let (count, bytes) = (targets.len() as f64, bytes_of(pair[0], targets)?);
    let row = |index: usize, compared: Option<(f64, f64)>| {
        let bits = sums.nll_nats[index] / std::f64::consts::LN_2;
        LossRow {
            model: pair[index].name.clone(),
            reference: pair[0].name.clone(),
            text: window.name.clone(),
            register: window.register.clone(),
            targets: targets.len(),
            bytes_scored: bytes,
            bits_per_token: bits / count,
            bits_per_byte: bits / bytes as f64,
            uniform_bits: (pair[index].config().vocab_size as f64).log2(),
            agreement: compared.map(|(agreement, _)| agreement),
            kl_nats: compared.map(|(_, kl)| kl),
        }
    };
    Ok(Losses {
        truth: row(0, None),
        other: row(1, Some((sums.agreed as f64 / count, sums.kl_nats / count))),
    })
}

fn sums(pair: [&Subject; 2], read: &[u32], targets: &[u32]) -> Result<Sums> {
    let hidden = |subject: &Subject| {
        Ok::<_, anyhow::Error>(subject.model.forward(read, &mut subject.model.new_cache(), None)?.hidden)
    };
    let hidden = [hidden(pair[0])?, hidden(pair[1])?];
    let mut sums = Sums::default();
    for (part, targets) in targets.chunks(POSITIONS).enumerate() {
        let logits = |index: usize| -> Result<Vec<Vec<f32>>> {
            let rows = hidden[index].narrow(0, part * POSITIONS, targets.len())?.contiguous()?;
            Ok(pair[index].model.logits(&rows)?.to_vec2()?)
        };
        for ((own, its), &target) in logits(0)?.iter().zip(&logits(1)?).zip(targets) {
            sums.nll_nats[0] += nll_from_logits(own, target as usize);
            sums.nll_nats[1] += nll_from_logits(its, target as usize);
            sums.kl_nats += kl_from_logits(own, its);
            sums.agreed += usize::from(argmax(own) == argmax(its));
        }
    }
    Ok(sums)
}

/// The differences of texts with their intervals, beside those of profiles.
pub(super) fn difference(losses: &[Losses], profiles: Vec<ProfileDifference>, seed: u64) -> Difference {
    let over = |value: &dyn Fn(&Losses) -> f64| spread(&losses.iter().map(value).collect::<Vec<_>>(), seed);
    Difference {
        bits_per_token: over(&|text| text.other.bits_per_token - text.truth.bits_per_token),
        bits_per_byte: over(&|text| text.other.bits_per_byte - text.truth.bits_per_byte),
        above_uniform_bits: over(&|text| text.other.bits_per_token - text.other.uniform_bits),
        agreement: over(&|text| text.other.agreement.unwrap_or(f64::NAN)),
        kl_nats: over(&|text| text.other.kl_nats.unwrap_or(f64::NAN)),
        profiles,
    }
}
