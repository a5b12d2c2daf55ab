//! Whether running BitNet weights as a plain Llama is harmless, as the published verification took for granted.
//!
//! What would show that it is was written before anything was measured.

use super::cells::Cells;
use super::claim::{Claim, Statement};
use super::heads::{Heads, means};
use super::words::{decided, decimals, judged, missing, show, tested, untested};
use crate::experiment::{Quantity, difference, mean_over_texts, over_texts, true_name};
use crate::heads::below;
use crate::interval::{self, Estimate};
use crate::{Run, unique};
use bitkv_record::{ClaimId, Form, GridRow, PolicyRole, ScoredTask};
use bitkv_stats::spearman;
use serde_json::json;
use std::f64::consts::LN_2;

/// Bits a token that hardly anyone would notice.
const BITS: f64 = 0.05;
/// The part of next tokens that has to stay.
const AGREEMENT: f64 = 0.95;
/// How far the share of heads below 1.5 bits may move.
const SHARE: f64 = 0.05;
/// As long as the published calibration texts.
const SHORT: usize = 64;

/// A model in both forms.
struct Pair<'a> {
    run: &'a Run<'a>,
    truth: &'a Cells<'a>,
    plain: &'a Cells<'a>,
}

/// "BitNet weights can be verified in a plain Llama."
pub(super) fn claim(run: &Run<'_>) -> Claim {
    let cells = Cells::for_models(run);
    let of_form =
        |form: Form| cells.iter().filter(move |cells| cells.rows.iter().all(|row| row.axes.form == form));
    let mut pairs = Vec::new();
    for plain in of_form(Form::PlainLlama) {
        let truth = of_form(Form::True).find(|truth| truth.model == true_name(plain.model));
        pairs.extend(truth.map(|truth| Pair { run, truth, plain }));
    }
    let statements = pairs.iter().flat_map(|pair| judged(pair.truth.failing_prediction(), pair.statements()));
    Claim::new(
        ClaimId::PlainLlama,
        "Running BitNet weights as a plain Llama is harmless",
        statements.collect(),
        pairs.iter().filter_map(Pair::key_number).collect(),
        json!({"verified_as": "LlamaForCausalLM"}),
        json!({"models": pairs.iter().map(Pair::summary).collect::<Vec<_>>()}),
    )
}

impl Pair<'_> {
    fn statements(&self) -> Vec<Statement> {
        let (model, taken) = (self.truth.model, || "taken for granted".to_owned());
        let costs = format!("{model}: costs within {BITS} bits a token of the true model");
        let same = format!(
            "{model}: chooses the same next token at {:.0} % of positions or more",
            100.0 * AGREEMENT
        );
        let costs = match self.bits_more() {
            None => missing(&costs, taken()),
            Some(bits) => decided(
                &costs,
                taken(),
                format!("{} bits more", show(&bits, decimals(1.0, 3))),
                within(&bits, BITS),
                "the 95 % interval over texts lies within".into(),
            ),
        };
        let same = match self.agreement() {
            None => missing(&same, taken()),
            Some(found) => decided(
                &same,
                taken(),
                format!("{} %", show(&found, decimals(100.0, 1))),
                found.interval.map(|(low, _)| low >= AGREEMENT),
                "the 95 % interval over texts lies above".into(),
            ),
        };
        let mut statements = vec![costs, same];
        let contexts = Heads::new(self.run.heads, model).contexts();
        let longest = contexts.last().copied();
        let shown = unique([SHORT].into_iter().chain(longest)).into_iter().filter(|n| contexts.contains(n));
        statements.extend(shown.flat_map(|context| self.profile(context)));
        statements
    }

    /// The texts that were read with the full cache, in one of the forms.
    fn texts(&self, plain: bool) -> Vec<&GridRow> {
        let cells = if plain { self.plain } else { self.truth };
        let full = |row: &&GridRow| row.role == PolicyRole::Full && row.task == ScoredTask::TEXT;
        cells.rows.iter().copied().filter(full).collect()
    }

    /// Bits a token that the plain Llama costs more, text by text.
    fn bits_more(&self) -> Option<Estimate> {
        let bits = Quantity::new(|row| Some(row.nll_nats? / LN_2));
        difference(&self.texts(true), &self.texts(false), bits, self.truth.seed)
    }

    fn agreement(&self) -> Option<Estimate> {
        over_texts(&self.texts(true), Quantity::new(|row| row.form_agreement), self.truth.seed)
    }

    /// Bits a token of the true model, as a plain Llama and of guessing, over all texts.
    fn bits(&self) -> Option<[f64; 3]> {
        let mean = |plain, value| Some(mean_over_texts(&self.texts(plain), Quantity::new(value))? / LN_2);
        Some([mean(false, |r| r.nll_nats)?, mean(true, |r| r.nll_nats)?, mean(false, |r| r.uniform_nats)?])
    }

    fn key_number(&self) -> Option<[String; 3]> {
        let ([truth, plain, guessing], same) = (self.bits()?, 100.0 * self.agreement()?.value);
        Some([
            format!("bits a token as a plain Llama, {}", self.truth.model),
            "taken for granted".into(),
            format!("{plain:.2} for {truth:.2}, guessing {guessing:.2}; {same:.1} % of next tokens the same"),
        ])
    }

    /// Order and share of heads at one context length.
    fn profile(&self, context: usize) -> Vec<Statement> {
        let heads = |model| Heads::new(self.run.heads, model).named_texts(context);
        let (own, its) = (heads(self.truth.model), heads(self.plain.model));
        let its = |text: &str| its.iter().find(|(name, _)| *name == text).map(|(_, bits)| bits.clone());
        let both = own.into_iter().filter_map(|(text, own)| Some((own, its(text)?)));
        let (own, its): (Vec<Vec<f64>>, Vec<Vec<f64>>) = both.unzip();
        let (model, taken) = (self.truth.model, || "taken for granted".to_owned());
        let order = format!("{model}: orders the heads at {context} tokens as two halves of the texts do");
        let share = format!(
            "{model}: moves the share of heads below 1.5 bits at {context} tokens by less than {:.0} points",
            100.0 * SHARE
        );
        if own.is_empty() {
            return vec![missing(&order, taken()), missing(&share, taken())];
        }
        let order = match (spearman(&means(&own), &means(&its)), between_halves(&own)) {
            (Some(found), Some(halves)) => tested(
                &order,
                taken(),
                format!("rank correlation {found:.3}, halves {halves:.3}"),
                found >= halves,
                "as much like the true model as two halves of the texts are within it".into(),
            ),
            _ => untested(&order, taken(), "two texts whose entropies vary over heads are needed".into()),
        };
        let moved: Vec<f64> = own.iter().zip(&its).map(|(own, its)| below(its) - below(own)).collect();
        let share = match interval::mean(&moved, self.run.manifest.seed) {
            None => missing(&share, taken()),
            Some(moved) => decided(
                &share,
                taken(),
                format!("{} points", show(&moved, decimals(100.0, 1))),
                within(&moved, SHARE),
                "the 95 % interval over texts lies within".into(),
            ),
        };
        vec![order, share]
    }

    fn summary(&self) -> serde_json::Value {
        let kl = mean_over_texts(&self.texts(true), Quantity::new(|row| row.form_kl_nats));
        let bits = self.bits().map(
            |[truth, plain, guessing]| json!({"true": truth, "plain-llama": plain, "uniform": guessing}),
        );
        json!({
            "model": self.truth.model,
            "bits_per_token": bits,
            "agreement": self.agreement().map(|found| found.value),
            "kl_nats": kl,
        })
    }
}

/// Correlation of the mean profiles of every other text and of the rest: what chance leaves of 1.
fn between_halves(texts: &[Vec<f64>]) -> Option<f64> {
    if texts.len() < 2 {
        return None;
    }
    let half = |first: usize| means(&texts.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>());
    spearman(&half(0), &half(1))
}

/// Whether all of the interval is nearer to 0 than `bound`; none where there is no interval.
fn within(found: &Estimate, bound: f64) -> Option<bool> {
    found.interval.map(|(low, high)| -bound < low && high < bound)
}
