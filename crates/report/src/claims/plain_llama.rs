//! Claim 4: running BitNet weights as a plain Llama is harmless, as the published verification assumed.
//!
//! The bounds that decide the claim were written before anything was measured, except that of the rank of
//! heads: both of its correlations are now between halves of the texts, and the bound is 0.01 instead of 0.

use super::cells::Cells;
use super::claim::{Claim, Statement};
use super::command;
use super::halves::{DIVISIONS, halves, mean_of};
use super::heads::HeadProfiles;
use super::rule::{decide, reaches, within};
use super::statement::{decided, decimals, missing, undecided_if, untested, with_interval};
use crate::experiment::{Quantity, base_model_name, difference, mean_over_texts, over_texts};
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
/// The largest harmless loss of rank correlation.
const RANK: f64 = 0.01;
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
        let truth = of_form(Form::True).find(|truth| truth.model == base_model_name(plain.model));
        pairs.extend(truth.map(|truth| Pair { run, truth, plain }));
    }
    let statements =
        pairs.iter().flat_map(|pair| undecided_if(pair.truth.failing_prediction(), pair.statements()));
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
        let (model, published) = (self.truth.model, || "assumed".to_owned());
        let costs =
            format!("{model}: the bits per token of the plain Llama are within {BITS} of the BitNet's");
        let same = format!(
            "{model}: the plain Llama predicts the same next token at {:.0} % of positions or more",
            100.0 * AGREEMENT
        );
        let costs = match self.bits_more() {
            None => missing(&costs, published()),
            Some(bits) => decided(
                &costs,
                published(),
                with_interval(&bits, decimals(1.0, 3), "bits more per token"),
                within(&bits, BITS, &format!("{BITS} bits")),
                "",
            ),
        };
        let same = match self.agreement() {
            None => missing(&same, published()),
            Some(found) => decided(
                &same,
                published(),
                with_interval(&found, decimals(100.0, 1), "% of positions"),
                reaches(&found, AGREEMENT, &format!("{:.0} %", 100.0 * AGREEMENT)),
                "",
            ),
        };
        let models = [model, self.plain.model];
        let mut statements = vec![(costs, None), (same, None)];
        let contexts = HeadProfiles::new(self.run.heads, model).contexts();
        let longest = contexts.last().copied();
        let shown = unique([SHORT].into_iter().chain(longest)).into_iter().filter(|n| contexts.contains(n));
        let profile = |context| self.profile(context).into_iter().map(move |own| (own, Some(context)));
        statements.extend(shown.flat_map(profile));
        let with_evidence =
            |(statement, context): (Statement, Option<usize>)| match statement.measured.is_empty() {
                true => statement,
                false => statement.decided_by(command::forms(self.run, &models, context)),
            };
        statements.into_iter().map(with_evidence).collect()
    }

    /// Returns the rows of texts that were read with the full cache, in one of the forms.
    fn texts(&self, plain: bool) -> Vec<&GridRow> {
        let cells = if plain { self.plain } else { self.truth };
        let full = |row: &&GridRow| row.role == PolicyRole::Full && row.task == ScoredTask::TEXT;
        cells.rows.iter().filter(full).collect()
    }

    /// Returns the bits per token of the plain Llama minus those of the BitNet, paired by text.
    fn bits_more(&self) -> Option<Estimate> {
        let bits = Quantity::new(|row| Some(row.nll_nats? / LN_2));
        Some(difference(&self.texts(true), &self.texts(false), bits)?.estimate)
    }

    /// Returns the share of next tokens that are the same in both forms.
    fn agreement(&self) -> Option<Estimate> {
        over_texts(&self.texts(true), Quantity::new(|row| row.form_agreement))
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
            format!("bits per token as a plain Llama, {}", self.truth.model),
            "assumed to be the same".into(),
            format!(
                "{plain:.2}; as a BitNet {truth:.2}, guessing {guessing:.2}; {same:.1} % of next tokens are the same"
            ),
        ])
    }

    /// Returns the statements about the rank of heads and the share below 1.5 bits, at one context length.
    fn profile(&self, context: usize) -> Vec<Statement> {
        let profiles = |model| HeadProfiles::new(self.run.heads, model).named_texts(context);
        let (true_profiles, plain_profiles) = (profiles(self.truth.model), profiles(self.plain.model));
        let plain_bits =
            |text: &str| plain_profiles.iter().find(|(name, _)| *name == text).map(|(_, bits)| bits.clone());
        let pairs = true_profiles.into_iter().filter_map(|(text, bits)| Some((bits, plain_bits(text)?)));
        let (truth, plain): (Vec<Vec<f64>>, Vec<Vec<f64>>) = pairs.unzip();
        let (model, published) = (self.truth.model, || "assumed".to_owned());
        let order =
            format!("{model}: the plain Llama keeps the rank of heads by entropy at {context} tokens");
        let share = format!(
            "{model}: the plain Llama moves the share of heads below 1.5 bits at {context} tokens by less than {:.0} points",
            100.0 * SHARE
        );
        if truth.is_empty() {
            return vec![missing(&order, published()), missing(&share, published())];
        }
        let order = match between_halves(&truth, &plain, self.run.manifest.seed) {
            Some([found, own]) => decided(
                &order,
                published(),
                format!("rank correlation {found:.3} with the BitNet, {own:.3} of the BitNet with itself"),
                decide(
                    Some(found >= own - RANK),
                    format!("Yes if the first correlation is at most {RANK} below the second, else no."),
                ),
                &format!(
                    "Both compare a mean over half of the texts with a mean over the other half, and are means over {DIVISIONS} \
                     random divisions of the texts."
                ),
            ),
            _ => untested(
                &order,
                published(),
                "At least two texts are needed, with entropies that vary over heads.".into(),
            ),
        };
        let moved: Vec<f64> =
            truth.iter().zip(&plain).map(|(truth, plain)| below(plain) - below(truth)).collect();
        let share = match interval::mean(&moved) {
            None => missing(&share, published()),
            Some(moved) => decided(
                &share,
                published(),
                with_interval(&moved, decimals(100.0, 1), "points"),
                within(&moved, SHARE, &format!("{:.0} points", 100.0 * SHARE)),
                "",
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

/// Returns the rank correlation of the BitNet's mean profile over half of the texts with the plain Llama's
/// over the other half, and with its own over the other half. Random variation keeps both below 1. Both are
/// means over random divisions of the texts. Returns `None` for fewer than two texts.
fn between_halves(truth: &[Vec<f64>], plain: &[Vec<f64>], seed: u64) -> Option<[f64; 2]> {
    let correlations = |(first, second): (Vec<usize>, Vec<usize>)| {
        let own = mean_of(truth, &first);
        Some([spearman(&own, &mean_of(plain, &second))?, spearman(&own, &mean_of(truth, &second))?])
    };
    let each: Vec<[f64; 2]> = halves(truth.len(), seed).into_iter().filter_map(correlations).collect();
    let n = each.len() as f64;
    let sums = each.iter().fold([0.0; 2], |sums, own| [sums[0] + own[0], sums[1] + own[1]]);
    (!each.is_empty()).then(|| sums.map(|sum| sum / n))
}
