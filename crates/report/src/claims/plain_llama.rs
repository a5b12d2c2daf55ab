//! Whether running BitNet weights as a plain Llama is harmless, as the published verification took for granted.
//!
//! What would show that it is was written before anything was measured.

use super::heads::{Heads, means};
use super::{Cells, Claim, Statement, decided, judged, tested, untested};
use crate::experiment::true_name;
use crate::heads::below;
use crate::{Run, unique};
use bitkv_record::{ClaimId, Form, GridRow, PolicyRole, ScoredTask};
use bitkv_stats::{Interval, paired_bootstrap, spearman};
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
    let cells = Cells::of_models(run);
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
        pairs.iter().map(Pair::key_number).collect(),
        json!({"verified_as": "LlamaForCausalLM"}),
        json!({"models": pairs.iter().map(Pair::summary).collect::<Vec<_>>()}),
    )
}

impl Pair<'_> {
    fn statements(&self) -> Vec<Statement> {
        let model = self.truth.model;
        let (bits, agreement) = (self.bits_more(), self.agreement());
        let mut statements = vec![
            tested(
                &format!("{model}: costs within {BITS} bits a token of the true model"),
                "taken for granted".into(),
                format!("{} bits more", show(&bits, 1.0, 3)),
                within(&bits, BITS),
                "the 95 % interval over texts lies within".into(),
            ),
            decided(
                &format!(
                    "{model}: chooses the same next token at {:.0} % of positions or more",
                    100.0 * AGREEMENT
                ),
                "taken for granted".into(),
                format!("{} %", show(&agreement, 100.0, 1)),
                Some(agreement.low >= AGREEMENT),
                "the 95 % interval over texts lies above".into(),
            ),
        ];
        let contexts = Heads { rows: self.run.heads, model }.contexts();
        let longest = contexts.last().copied();
        let shown = unique([SHORT].into_iter().chain(longest)).into_iter().filter(|n| contexts.contains(n));
        statements.extend(shown.flat_map(|context| self.profile(context)));
        statements
    }

    fn texts(&self, plain: bool) -> Vec<&GridRow> {
        let cells = if plain { self.plain } else { self.truth };
        let full = |row: &&&GridRow| row.role == PolicyRole::Full && row.task == ScoredTask::TEXT;
        let mut rows: Vec<&GridRow> = cells.rows.iter().filter(full).copied().collect();
        rows.sort_by(|a, b| a.text.cmp(&b.text));
        rows
    }

    /// Bits a token that the plain Llama costs more, text by text.
    fn bits_more(&self) -> Interval {
        let (truth, plain) = (self.texts(false), self.texts(true));
        let more = |(a, b): (&&GridRow, &&GridRow)| Some((b.nll_nats? - a.nll_nats?) / LN_2);
        self.truth.interval(&truth.iter().zip(&plain).filter_map(more).collect::<Vec<_>>())
    }

    fn agreement(&self) -> Interval {
        self.truth.interval(&self.texts(true).iter().filter_map(|row| row.form_agreement).collect::<Vec<_>>())
    }

    /// Bits a token in either form, over all texts, and of guessing.
    fn bits(&self) -> [f64; 3] {
        let mean = |rows: &[&GridRow], value: fn(&GridRow) -> Option<f64>| {
            let values: Vec<f64> = rows.iter().filter_map(|row| value(row)).collect();
            values.iter().sum::<f64>() / values.len() as f64 / LN_2
        };
        let (truth, plain) = (self.texts(false), self.texts(true));
        [mean(&truth, |r| r.nll_nats), mean(&plain, |r| r.nll_nats), mean(&truth, |r| r.uniform_nats)]
    }

    fn key_number(&self) -> [String; 3] {
        let [truth, plain, guessing] = self.bits();
        let same = 100.0 * self.agreement().mean;
        [
            format!("bits a token as a plain Llama, {}", self.truth.model),
            "taken for granted".into(),
            format!("{plain:.2} for {truth:.2}, guessing {guessing:.2}; {same:.1} % of next tokens the same"),
        ]
    }

    /// Order and share of heads at one context length.
    fn profile(&self, context: usize) -> Vec<Statement> {
        let heads = |model| Heads { rows: self.run.heads, model };
        let (own, its) = (heads(self.truth.model).texts(context), heads(self.plain.model).texts(context));
        let (model, taken) = (self.truth.model, || "taken for granted".to_owned());
        let text = format!("{model}: orders the heads at {context} tokens as two halves of the texts do");
        let order = match (spearman(&means(&own), &means(&its)), between_halves(&own)) {
            (Some(found), Some(halves)) => tested(
                &text,
                taken(),
                format!("rank correlation {found:.3}, halves {halves:.3}"),
                found >= halves,
                "as much like the true model as two halves of the texts are within it".into(),
            ),
            _ => untested(&text, taken(), "entropies do not vary over heads".into()),
        };
        let moved: Vec<f64> = own.iter().zip(&its).map(|(own, its)| below(its) - below(own)).collect();
        let moved = paired_bootstrap(&moved, super::RESAMPLES, self.run.manifest.seed);
        let points = format!(
            "moves the share of heads below 1.5 bits at {context} tokens by less than {:.0} points",
            100.0 * SHARE
        );
        let share = tested(
            &format!("{model}: {points}"),
            taken(),
            format!("{} points", show(&moved, 100.0, 1)),
            within(&moved, SHARE),
            "the 95 % interval over texts lies within".into(),
        );
        vec![order, share]
    }

    fn summary(&self) -> serde_json::Value {
        let [truth, plain, guessing] = self.bits();
        let kl: Vec<f64> = self.texts(true).iter().filter_map(|row| row.form_kl_nats).collect();
        json!({
            "model": self.truth.model,
            "bits_per_token": {"true": truth, "plain-llama": plain, "uniform": guessing},
            "agreement": self.agreement().mean,
            "kl_nats": self.truth.interval(&kl).mean,
        })
    }
}

/// Correlation of the mean profiles of every other text and of the rest: what chance leaves of 1.
fn between_halves(texts: &[Vec<f64>]) -> Option<f64> {
    let half = |first: usize| means(&texts.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>());
    spearman(&half(0), &half(1))
}

/// Whether all of the interval is nearer to 0 than `bound`; a single text shows nothing.
fn within(found: &Interval, bound: f64) -> bool {
    found.low < found.high && -bound < found.low && found.high < bound
}

/// `mean [low, high]`.
fn show(found: &Interval, factor: f64, decimals: usize) -> String {
    let print = |value: f64| format!("{:.decimals$}", factor * value + 0.0);
    format!("{} [{}, {}]", print(found.mean), print(found.low), print(found.high))
}
