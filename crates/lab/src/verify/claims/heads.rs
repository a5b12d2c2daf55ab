use bitkv_record::{Claim, ClaimId, HeadRow, Statement, Thresholds};
use bitkv_stats::{Summary, spearman};
use serde_json::json;

use super::{check, names, percent, reproduction, tested, untested};

/// Published part of the heads below 1.5 bits, by model.
const FOCUSED: [(&str, f64); 2] = [("bitnet_b1_58-large", 0.498), ("BitNet-b1.58-2B-4T", 0.123)];
/// Published class counts of bitnet_b1_58-large: sink, focused, moderate, mixed, diffuse.
const COUNTS: [usize; 5] = [56, 135, 179, 14, 0];
/// How far a part of the heads may be off and still count as the same, five percentage points.
const TOLERANCE: f64 = 0.05;
/// Rank correlation from which heads count as keeping their rank.
const RANK: f64 = 0.95;
/// Below it a head is a sink or focused, in bits.
const FOCUSED_BITS: f64 = 1.5;

/// The longest context of the published calibration.
const PUBLISHED_CONTEXT: usize = 64;

/// "Half of the heads are sinks or focused."
pub(super) fn claim(rows: &[HeadRow], grouped: &[(String, bool)]) -> Claim {
    let models = names(rows.iter().filter(|r| r.profile != "published").map(|r| r.model.as_str()));
    let mut statements = vec![reproduction(recounted(rows))];
    for model in &models {
        let grouped = grouped.iter().any(|(name, grouped)| name == model && *grouped);
        statements.push(share(rows, model, grouped));
        statements.push(transfer(rows, model));
        statements.push(check(model, length(rows, model)));
    }
    statements.push(architecture(rows));
    let measured: Vec<_> = models.iter().map(|model| summary(rows, model)).collect();
    Claim::new(
        ClaimId::Heads,
        "Half of the attention heads are sinks or focused, so they need little cache",
        statements,
        json!({"below_1.5_bits": FOCUSED.map(|(model, part)| json!({"model": model, "part": part})), "large_classes": COUNTS}),
        json!({"models": measured}),
    )
}

/// Mean entropies of a model at one context length.
fn bits(rows: &[HeadRow], model: &str, context: usize, text: &str) -> Vec<f64> {
    let wanted = |r: &&HeadRow| r.model == model && r.context == context && r.text == text;
    rows.iter().filter(wanted).filter_map(|r| r.entropy_bits).collect()
}

fn contexts(rows: &[HeadRow], model: &str) -> Vec<usize> {
    let mut all: Vec<usize> =
        rows.iter().filter(|r| r.model == model && r.profile != "published").map(|r| r.context).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn below(bits: &[f64]) -> f64 {
    bits.iter().filter(|&&b| b < FOCUSED_BITS).count() as f64 / bits.len().max(1) as f64
}

fn recounted(rows: &[HeadRow]) -> Statement {
    let bits = bits(rows, FOCUSED[0].0, 0, "");
    let counts = Thresholds::CODE.count(bits.iter().copied());
    let found = [counts.sink, counts.focused, counts.moderate, counts.mixed, counts.diffuse];
    tested(
        "The published class counts follow from the published per-head entropies",
        format!("{COUNTS:?}"),
        format!("{found:?}"),
        found == COUNTS,
        "with the thresholds of the code, 0.5/1.5/3.0/4.0; the printed 2.5/3.5 give other counts".into(),
    )
}

/// Whether the published part carries over to another model of the same kind of attention.
fn share(rows: &[HeadRow], model: &str, grouped: bool) -> Statement {
    let text = format!("{model}: {} of the heads are below 1.5 bits", percent(FOCUSED[grouped as usize].1));
    let (reference, published) = FOCUSED[grouped as usize];
    let bits = bits(rows, model, PUBLISHED_CONTEXT, "");
    if bits.is_empty() {
        return untested(&text, percent(published), format!("no profile at {PUBLISHED_CONTEXT} tokens"));
    }
    tested(
        &text,
        percent(published),
        format!("{} at {PUBLISHED_CONTEXT} tokens", percent(below(&bits))),
        (below(&bits) - published).abs() <= TOLERANCE,
        format!(
            "published for {reference} at up to 64 tokens; within 5 points, or the figure does not carry over"
        ),
    )
}

/// Budgets are used at the length of the whole context, profiles were measured at 64 tokens.
fn length(rows: &[HeadRow], model: &str) -> Statement {
    let text = "the part of the heads below 1.5 bits is the same at longer contexts";
    let published = "measured at up to 64 tokens".to_owned();
    let long = contexts(rows, model).last().copied().unwrap_or(0);
    if long <= PUBLISHED_CONTEXT {
        return untested(text, published, format!("no profile beyond {PUBLISHED_CONTEXT} tokens"));
    }
    let [first, last] = [PUBLISHED_CONTEXT, long].map(|context| below(&bits(rows, model, context, "")));
    tested(
        text,
        published,
        format!("{} at {PUBLISHED_CONTEXT}, {} at {long} tokens", percent(first), percent(last)),
        (first - last).abs() <= TOLERANCE,
        "within 5 points; entropy is bounded by log2 of the length, so absolute bounds move".into(),
    )
}

/// Whether one text's profile ranks heads as another's does.
fn transfer(rows: &[HeadRow], model: &str) -> Statement {
    let text = format!("{model}: heads keep their rank from text to text");
    let context = contexts(rows, model).last().copied().unwrap_or(0);
    let of_model = rows.iter().filter(|r| r.model == model && r.context == context && !r.text.is_empty());
    let texts = names(of_model.map(|r| r.text.as_str()));
    let profiles: Vec<Vec<f64>> = texts.iter().map(|text| bits(rows, model, context, text)).collect();
    let pairs = profiles.iter().enumerate().flat_map(|(i, a)| profiles[..i].iter().map(move |b| (a, b)));
    let each: Vec<f64> = pairs.filter_map(|(a, b)| spearman(a, b)).collect();
    let published = "correlation 0.975".to_owned();
    match Summary::of(&each) {
        Some(found) => tested(
            &text,
            published,
            format!(
                "Spearman {:.3} on average over {} pairs, {:.3} at worst",
                found.mean,
                each.len(),
                found.min
            ),
            found.mean >= RANK,
            "published was Pearson between calibrations; at least 0.95 between single texts at equal length"
                .into(),
        ),
        None => untested(&text, published, "two texts or more are needed".into()),
    }
}

/// "The root cause is the architecture: MHA against GQA." One pair that differs in more than that cannot say.
fn architecture(rows: &[HeadRow]) -> Statement {
    let text = "Multi-head against grouped-query attention is the single cause of the difference";
    let published = format!("{} against {}", percent(FOCUSED[0].1), percent(FOCUSED[1].1));
    let at = |model| bits(rows, model, PUBLISHED_CONTEXT, "");
    let [mha, gqa] = ["tiny-mha", "tiny-gqa"].map(at);
    if mha.is_empty() || gqa.is_empty() {
        return untested(text, published, "needs both built-in models".into());
    }
    Statement {
        measured: format!("{} against {} (tiny-mha, tiny-gqa)", percent(below(&mha)), percent(below(&gqa))),
        ..untested(
            text,
            published,
            "the built-in pair also differs in its gate and in part of its early training, and has one seed each".into(),
        )
    }
}

fn summary(rows: &[HeadRow], model: &str) -> serde_json::Value {
    let of = |context: usize| {
        let bits = bits(rows, model, context, "");
        let (summary, counts) = (Summary::of(&bits), Thresholds::CODE.count(bits.iter().copied()));
        json!({
            "context": context,
            "heads": bits.len(),
            "below_1.5_bits": below(&bits),
            "mean": summary.as_ref().map(|s| s.mean),
            "std": summary.as_ref().map(|s| s.std),
            "cv": summary.as_ref().map(|s| s.cv),
            "min": summary.as_ref().map(|s| s.min),
            "max": summary.as_ref().map(|s| s.max),
            "classes": {"sink": counts.sink, "focused": counts.focused, "moderate": counts.moderate, "mixed": counts.mixed, "diffuse": counts.diffuse},
        })
    };
    let contexts: Vec<_> = contexts(rows, model).into_iter().map(of).collect();
    json!({"model": model, "contexts": contexts})
}
