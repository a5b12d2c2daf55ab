//! Claim 4: running BitNet weights as a plain Llama is harmless, as the published verification assumed.
//!
//! The bounds that decide the claim were written before anything was measured.

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

/// The largest difference that counts as harmless, in bits per token.
const BITS: f64 = 0.05;
/// The smallest share of unchanged next tokens that counts as harmless.
const AGREEMENT: f64 = 0.95;
/// The largest harmless change of the share of heads below 1.5 bits.
const SHARE: f64 = 0.05;
/// The length of the published calibration texts, in tokens.
const SHORT: usize = 64;

/// One model in both forms: as the BitNet that it is (`truth`) and as a plain Llama.
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
    /// Returns the statements about one model, in the order of the report.
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

    /// Returns the rows of texts that were read with the full cache, in one of the forms.
    fn texts(&self, plain: bool) -> Vec<&GridRow> {
        let cells = if plain { self.plain } else { self.truth };
        let full = |row: &&GridRow| row.role == PolicyRole::Full && row.task == ScoredTask::TEXT;
        cells.rows.iter().copied().filter(full).collect()
    }

    /// Returns the bits per token of the plain Llama minus those of the BitNet, paired by text.
    fn bits_more(&self) -> Option<Estimate> {
        let bits = Quantity::new(|row| Some(row.nll_nats? / LN_2));
        difference(&self.texts(true), &self.texts(false), bits, self.truth.seed)
    }

    /// Returns the share of next tokens that are the same in both forms.
    fn agreement(&self) -> Option<Estimate> {
        over_texts(&self.texts(true), Quantity::new(|row| row.form_agreement), self.truth.seed)
    }

    /// Returns the bits per token of the BitNet, of the plain Llama and of guessing: means over all texts.
    fn bits(&self) -> Option<[f64; 3]> {
        let mean = |plain, value| Some(mean_over_texts(&self.texts(plain), Quantity::new(value))? / LN_2);
        Some([mean(false, |r| r.nll_nats)?, mean(true, |r| r.nll_nats)?, mean(false, |r| r.uniform_nats)?])
    }

    /// Returns the bits per token in both forms and the agreement, as a key number.
    fn key_number(&self) -> Option<[String; 3]> {
        let ([truth, plain, guessing], same) = (self.bits()?, 100.0 * self.agreement()?.value);
        Some([
            format!("bits a token as a plain Llama, {}", self.truth.model),
            "taken for granted".into(),
            format!("{plain:.2} for {truth:.2}, guessing {guessing:.2}; {same:.1} % of next tokens the same"),
        ])
    }

    /// Returns the statements about the rank of heads and the share below 1.5 bits, at one context length.
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

    /// Returns the measured means, for programs.
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

/// Returns the rank correlation between the mean profiles of two halves of the texts, which random variation
/// keeps below 1, or `None` for fewer than two texts.
fn between_halves(texts: &[Vec<f64>]) -> Option<f64> {
    if texts.len() < 2 {
        return None;
    }
    let half = |first: usize| means(&texts.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>());
    spearman(&half(0), &half(1))
}

/// Returns whether the whole interval is nearer to 0 than `bound`, or `None` if there is no interval.
fn within(found: &Estimate, bound: f64) -> Option<bool> {
    found.interval.map(|(low, high)| -bound < low && high < bound)
}
