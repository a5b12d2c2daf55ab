//! Claim 2: half of the attention heads are sinks or focused, by their entropy.

use super::cells::Cells;
use super::claim::{Claim, Statement};
use super::command;
use super::evidence::Evidence;
use super::halves::{halves, mean_of};
use super::rule::{decide, near};
use super::statement::{check, decided, percent, reproduction, undecided_if, untested};
use crate::heads::{below, count_below};
use crate::published::{PUBLISHED_HEADS, PublishedEntropies, published_entropies};
use crate::{Run, unique};
use bitkv_record::{ClaimId, ClassCounts, HeadClass, HeadRow, Named, Thresholds};
use bitkv_stats::{Summary, pearson, spearman};
use serde_json::json;

/// The published share of heads below 1.5 bits, by model.
const FOCUSED: [(&str, f64); 2] = [("bitnet_b1_58-large", 0.498), ("BitNet-b1.58-2B-4T", 0.123)];
/// The largest difference at which two shares of heads count as the same: five percentage points.
const TOLERANCE: f64 = 0.05;
/// The smallest correlation at which heads count as keeping their rank.
const RANK: f64 = 0.95;
/// The published correlation between two calibrations.
const PUBLISHED_RANK: f64 = 0.975;

/// The longest context of the published calibration, in tokens.
const PUBLISHED_CONTEXT: usize = 64;

/// "Half of the heads are sinks or focused."
pub(super) fn claim(run: &Run<'_>) -> Claim {
    let models = unique(run.heads.iter().map(|row| row.model.as_str())).into_iter();
    let models: Vec<HeadProfiles<'_>> = models.map(|model| HeadProfiles::new(run.heads, model)).collect();
    let cells = Cells::for_models(run);
    let mut statements = vec![reproduction(recounted()), reproduction(recounted_map())];
    for heads in &models {
        let failing = match cells.iter().find(|cells| cells.model == heads.model) {
            Some(cells) => cells.failing_prediction(),
            None => Some("it read no text, so nothing shows that it predicts text".to_owned()),
        };
        let profile = command::heads_at(run, heads.model, PUBLISHED_CONTEXT);
        let all_profiles = command::heads(run, heads.model);
        let own = [
            (profile, heads.share()),
            (all_profiles.clone(), heads.transfer(run.manifest.seed)),
            (all_profiles.clone(), check(heads.model, heads.single_texts())),
            (all_profiles, check(heads.model, heads.length())),
        ];
        let with_evidence = |(evidence, statement): (Evidence, Statement)| match statement.measured.is_empty()
        {
            true => statement,
            false => statement.decided_by(evidence),
        };
        statements.extend(undecided_if(failing, own.map(with_evidence).into()));
    }
    statements.push(architecture(run));
    Claim::new(
        ClaimId::Heads,
        "Half of the attention heads are sinks or focused, so they need little cache",
        statements,
        models.iter().filter_map(HeadProfiles::key_number).collect(),
        json!({
            "below_1.5_bits": FOCUSED.map(|(model, part)| json!({"model": model, "part": part})),
            "large_classes": class_counts(PUBLISHED_HEADS[0].classes),
        }),
        json!({"models": models.iter().map(HeadProfiles::summary).collect::<Vec<_>>()}),
    )
}

/// The entropy profiles of one model, from the first profile study that has it.
pub(super) struct HeadProfiles<'a> {
    rows: Vec<&'a HeadRow>,
    model: &'a str,
}

impl<'a> HeadProfiles<'a> {
    /// Selects the profiles of `model` from the rows of a run.
    pub(super) fn new(rows: &'a [HeadRow], model: &'a str) -> Self {
        let mut own: Vec<&HeadRow> = rows.iter().filter(|row| row.model == model).collect();
        if let Some(study) = own.first().map(|first| &first.study) {
            own.retain(|row| row.study == *study);
        }
        Self { rows: own, model }
    }

    /// Returns the rows of one context length.
    fn rows_at(&self, context: usize) -> impl Iterator<Item = &'a HeadRow> {
        self.rows.iter().copied().filter(move |row| row.context == context)
    }

    /// Returns the context lengths, ascending, in tokens.
    pub(super) fn contexts(&self) -> Vec<usize> {
        let mut all = unique(self.rows.iter().map(|row| row.context));
        all.sort_unstable();
        all
    }

    /// Returns the name of each text at one context length with its entropies, `[layer * heads + head]`, in
    /// bits.
    pub(super) fn named_texts(&self, context: usize) -> Vec<(&'a str, Vec<f64>)> {
        let entropies = |name: &'a str| {
            let own = self.rows_at(context).filter(|row| row.text == name);
            (name, own.filter_map(|row| row.entropy_bits).collect())
        };
        unique(self.rows_at(context).map(|row| row.text.as_str())).into_iter().map(entropies).collect()
    }

    /// Returns the entropies at one context length, `[text][layer * heads + head]`, in bits.
    fn texts(&self, context: usize) -> Vec<Vec<f64>> {
        self.named_texts(context).into_iter().map(|(_, bits)| bits).collect()
    }

    /// Returns the mean entropy of every head over texts, `[layer * heads + head]`, in bits.
    pub(super) fn bits(&self, context: usize) -> Vec<f64> {
        means(&self.texts(context))
    }

    /// Returns whether query heads share KV heads.
    fn is_grouped(&self) -> bool {
        self.rows.iter().any(|row| row.kv_head.is_some_and(|kv_head| kv_head != row.head))
    }

    /// Returns the longest context in tokens, or 0 if there are no profiles.
    fn longest(&self) -> usize {
        self.contexts().last().copied().unwrap_or(0)
    }

    /// Returns the share of heads below 1.5 bits at the published and at the longest context, or `None` if
    /// there are no profiles.
    fn key_number(&self) -> Option<[String; 3]> {
        let (first, last) = (PUBLISHED_CONTEXT, self.longest());
        let (reference, part) = FOCUSED[usize::from(self.is_grouped())];
        let published = format!("{} ({reference})", percent(part));
        let long = format!("{} at {last} tokens", percent(below(&self.bits(last))));
        let here = match self.bits(first).is_empty() || first == last {
            true => long,
            false => format!("{} at {first} tokens, {long}", percent(below(&self.bits(first)))),
        };
        (last > 0).then(|| [format!("heads with an entropy below 1.5 bits, {}", self.model), published, here])
    }

    /// Returns the statement on whether the published share carries over to another model with the same kind
    /// of attention.
    fn share(&self) -> Statement {
        let (reference, published) = FOCUSED[usize::from(self.is_grouped())];
        let text =
            format!("{}: {} of the heads have an entropy below 1.5 bits", self.model, percent(published));
        let bits = self.bits(PUBLISHED_CONTEXT);
        if bits.is_empty() {
            return untested(
                &text,
                percent(published),
                format!("No profile was measured at {PUBLISHED_CONTEXT} tokens."),
            );
        }
        let count = count_below(&bits);
        decided(
            &text,
            percent(published),
            format!(
                "{} ({count} of {} heads) at {PUBLISHED_CONTEXT} tokens",
                percent(below(&bits)),
                bits.len()
            ),
            near(below(&bits), published, TOLERANCE, "5 points"),
            &format!(
                "The published figure is for {reference} at up to 64 tokens. Of this model, one head is {:.1} points.",
                100.0 / bits.len() as f64
            ),
        )
    }

    /// Returns the check that profiles at 64 tokens, as published, describe the longer contexts at which
    /// budgets are used.
    fn length(&self) -> Statement {
        let text = "the share of heads below 1.5 bits is the same at longer contexts";
        let published = "measured at up to 64 tokens".to_owned();
        let long = self.longest();
        if long <= PUBLISHED_CONTEXT {
            return untested(
                text,
                published,
                format!("No profile was measured beyond {PUBLISHED_CONTEXT} tokens."),
            );
        }
        let [first, last] = [PUBLISHED_CONTEXT, long].map(|context| below(&self.bits(context)));
        decided(
            text,
            published,
            format!("{} at {PUBLISHED_CONTEXT}, {} at {long} tokens", percent(first), percent(last)),
            near(first, last, TOLERANCE, "5 points"),
            "The largest possible entropy is log2 of the context length, so a bound in bits separates other heads at other \
             lengths.",
        )
    }

    /// Returns the statement on whether heads keep their rank between two calibrations. As published, both
    /// are means over texts; here they are means over the two halves of the texts.
    fn transfer(&self, seed: u64) -> Statement {
        let text =
            format!("{}: heads keep their rank by entropy from one calibration to another", self.model);
        let published = format!("Pearson correlation {PUBLISHED_RANK}");
        let profiles = self.texts(self.longest());
        let pairs = halves(profiles.len(), seed).into_iter();
        let both = |(first, second)| [first, second].map(|half: Vec<usize>| mean_of(&profiles, &half));
        let each: Vec<[Vec<f64>; 2]> = pairs.map(both).collect();
        let by = |correlation: fn(&[f64], &[f64]) -> Option<f64>| {
            let found: Vec<f64> = each.iter().filter_map(|[a, b]| correlation(a, b)).collect();
            Summary::new(&found)
        };
        let (Some(linear), Some(rank)) = (by(pearson), by(spearman)) else {
            return untested(&text, published, "At least two texts are needed.".into());
        };
        let (half, long) = (profiles.len() / 2, self.longest());
        decided(
            &text,
            published,
            format!(
                "Pearson {:.3} (lowest {:.3}), Spearman {:.3}, between means over {half} texts at {long} tokens",
                linear.mean, linear.min, rank.mean
            ),
            decide(
                Some(linear.mean >= RANK),
                format!("Yes if the mean Pearson correlation is {RANK} or more, else no."),
            ),
            &format!(
                "The published figure is the correlation between two calibrations, each a mean over texts. Here the texts are \
                 divided at random into two halves, {} times. The bound of {RANK} is bitkv's choice.",
                linear.count
            ),
        )
    }

    /// Returns the check that a single text ranks heads as another does. It is stricter than the published
    /// comparison, because the profile of a single text has more noise.
    fn single_texts(&self) -> Statement {
        let text = "a single text ranks heads as another text does";
        let profiles = self.texts(self.longest());
        let pairs =
            || profiles.iter().enumerate().flat_map(|(i, a)| profiles[..i].iter().map(move |b| (a, b)));
        let by = |correlation: fn(&[f64], &[f64]) -> Option<f64>| {
            Summary::new(&pairs().filter_map(|(a, b)| correlation(a, b)).collect::<Vec<f64>>())
        };
        let (Some(linear), Some(rank)) = (by(pearson), by(spearman)) else {
            return untested(text, "not tested".into(), "At least two texts are needed.".into());
        };
        decided(
            text,
            "not tested".into(),
            format!(
                "Pearson {:.3}, Spearman {:.3} (lowest {:.3}), over {} pairs of texts",
                linear.mean, rank.mean, rank.min, rank.count
            ),
            decide(
                Some(rank.mean >= RANK),
                format!("Yes if the mean Spearman correlation is {RANK} or more, else no."),
            ),
            "A published profile averages four rows of each text, so a single text has four rows.",
        )
    }

    /// Returns statistics and class counts at every context length, for programs.
    fn summary(&self) -> serde_json::Value {
        let summary = |context: usize| {
            let bits = self.bits(context);
            let (summary, counts) = (Summary::new(&bits), Thresholds::CODE.count(bits.iter().copied()));
            json!({
                "context": context,
                "heads": bits.len(),
                "below_1.5_bits": below(&bits),
                "mean": summary.as_ref().map(|s| s.mean),
                "std": summary.as_ref().map(|s| s.std),
                "cv": summary.as_ref().map(|s| s.cv),
                "min": summary.as_ref().map(|s| s.min),
                "max": summary.as_ref().map(|s| s.max),
                "classes": counts,
            })
        };
        let contexts: Vec<_> = self.contexts().into_iter().map(summary).collect();
        json!({"model": self.model, "contexts": contexts})
    }
}

/// Returns the mean over texts of `[text][head]`, for each head.
pub(super) fn means(texts: &[Vec<f64>]) -> Vec<f64> {
    let heads = texts.first().map_or(0, Vec::len);
    let mean = |head: usize| texts.iter().filter_map(|text| text.get(head)).sum::<f64>() / texts.len() as f64;
    (0..heads).map(mean).collect()
}

/// Returns the number of heads in each class, in the order of rising entropy.
fn class_counts(counts: ClassCounts) -> Vec<usize> {
    HeadClass::ALL.iter().map(|class| counts.get(*class)).collect()
}

/// Returns the counts with the names of their classes, such as `56 sink, 135 focused`.
fn named_counts(counts: ClassCounts) -> String {
    let named = HeadClass::ALL.iter().map(|class| format!("{} {class}", counts.get(*class)));
    named.collect::<Vec<_>>().join(", ")
}

/// Returns the statement on whether the published class counts follow from the published entropies.
fn recounted() -> Statement {
    let [published, found] =
        [PUBLISHED_HEADS[0].classes, published_entropies()[0].classes(&Thresholds::CODE)];
    decided(
        "The published class counts of bitnet_b1_58-large follow from its published per-head entropies",
        named_counts(published),
        named_counts(found),
        decide(Some(found == published), "Yes if every count is the same, else no."),
        "The counts use the class bounds of the published code, 0.5/1.5/3.0/4.0 bits. The printed bounds, 2.5 and 3.5 \
         bits instead of 3.0 and 4.0, give other counts.",
    )
}

/// Returns the statement on whether the published heat map, which is rounded, agrees with the published
/// count of heads below 1.5 bits.
fn recounted_map() -> Statement {
    let (map, published): (&PublishedEntropies, _) = (&published_entropies()[1], PUBLISHED_HEADS[1].classes);
    let found = map.classes(&Thresholds::CODE);
    let (below, all) = (found.sink_or_focused(), found.total());
    // A head at 1.5 bits in the map has 1.45 to 1.55 bits.
    let rounded = map.heads.iter().filter(|head| head.entropy_bits == Some(1.5)).count();
    let wanted = published.sink_or_focused();
    decided(
        "The published share of heads below 1.5 bits of BitNet-b1.58-2B-4T follows from its published heat map",
        format!("{} of {} heads, {}", wanted, published.total(), percent(FOCUSED[1].1)),
        format!(
            "{below} to {} of {all} heads, {} or more; {} of them are sinks",
            below + rounded,
            percent(below as f64 / all as f64),
            found.sink
        ),
        decide(
            Some((below..=below + rounded).contains(&wanted)),
            "Yes if the published count is within what rounding allows, else no.",
        ),
        "The map is rounded to 0.1 bit, and 21 of its heads are only known to be below 0.5 bits, which makes them sinks.",
    )
}

/// "The root cause is the architecture: MHA against GQA." A single pair of models that also differ in other
/// ways cannot decide it.
fn architecture(run: &Run<'_>) -> Statement {
    let text = "The kind of attention, multi-head or grouped-query, is the only cause of the difference";
    let published =
        format!("{} (multi-head), {} (grouped-query)", percent(FOCUSED[0].1), percent(FOCUSED[1].1));
    let bits = |model| HeadProfiles::new(run.heads, model).bits(PUBLISHED_CONTEXT);
    let [mha, gqa] = ["tiny-mha", "tiny-gqa"].map(bits);
    if mha.is_empty() || gqa.is_empty() {
        return untested(text, published, "Both built-in models are needed.".into());
    }
    Statement {
        measured: format!("{} (tiny-mha), {} (tiny-gqa)", percent(below(&mha)), percent(below(&gqa))),
        rule: "Open for models that differ in more than their attention.".into(),
        ..untested(
            text,
            published,
            "The two built-in models also differ in the gate and in part of their early training, and each was trained with \
             one seed."
                .into(),
        )
    }
    .decided_by(command::all_heads(run))
}
