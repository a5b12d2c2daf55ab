use bitkv_record::{Claim, ClaimId, HeadRow, Statement, Thresholds};
use bitkv_stats::{Summary, spearman};
use serde_json::json;

use super::{names, percent, tested, untested};

/// Published part of the heads below 1.5 bits, by model.
const FOCUSED: [(&str, f64); 2] = [("bitnet_b1_58-large", 0.498), ("BitNet-b1.58-2B-4T", 0.123)];
/// Published class counts of bitnet_b1_58-large: sink, focused, moderate, mixed, diffuse.
const COUNTS: [usize; 5] = [56, 135, 179, 14, 0];
/// How far a part of the heads may be off and still count as the same, five percentage points.
const TOLERANCE: f64 = 0.05;
/// Below it a head is a sink or focused, in bits.
const FOCUSED_BITS: f64 = 1.5;

/// "Half of the heads are sinks or focused."
pub(super) fn claim(rows: &[HeadRow]) -> Claim {
    let models = names(rows.iter().filter(|r| r.profile != "published").map(|r| r.model.as_str()));
    let mut statements = vec![recounted(rows)];
    for model in &models {
        statements.push(share(rows, model));
        statements.push(length(rows, model));
        statements.push(transfer(rows, model));
    }
    statements.push(architecture(rows, &models));
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
    let mut all: Vec<usize> = rows.iter().filter(|r| r.model == model).map(|r| r.context).collect();
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

/// The multi-head figure for multi-head models, the grouped one for grouped ones.
fn share(rows: &[HeadRow], model: &str) -> Statement {
    let context = contexts(rows, model).last().copied().unwrap_or(0);
    let measured = below(&bits(rows, model, context, ""));
    let (reference, published) = FOCUSED[model.contains("gqa") as usize];
    tested(
        &format!("{model}: the part of the heads below 1.5 bits is that of {reference}"),
        percent(published),
        format!("{} at {context} tokens", percent(measured)),
        (measured - published).abs() <= TOLERANCE,
        "within 5 points; the thresholds are absolute, so the part depends on model and length".into(),
    )
}

fn length(rows: &[HeadRow], model: &str) -> Statement {
    let text = format!("{model}: the part of the heads below 1.5 bits does not depend on the context length");
    let contexts = contexts(rows, model);
    let (Some(&short), Some(&long)) = (contexts.first(), contexts.last()) else {
        return untested(&text, "measured at up to 64 tokens only".into(), "no context was measured".into());
    };
    if short == long {
        return untested(&text, "measured at up to 64 tokens only".into(), "one context was measured".into());
    }
    let (first, last) = (below(&bits(rows, model, short, "")), below(&bits(rows, model, long, "")));
    tested(
        &text,
        "measured at up to 64 tokens only".into(),
        format!("{} at {short}, {} at {long} tokens", percent(first), percent(last)),
        (first - last).abs() <= TOLERANCE,
        "entropy is bounded by log2 of the length; within 5 points".into(),
    )
}

/// Whether a profile of one half of the texts ranks heads as the other half does.
fn transfer(rows: &[HeadRow], model: &str) -> Statement {
    let text = format!("{model}: heads keep their rank from text to text");
    let context = contexts(rows, model).last().copied().unwrap_or(0);
    let of_model = rows.iter().filter(|r| r.model == model && r.context == context && !r.text.is_empty());
    let texts = names(of_model.map(|r| r.text.as_str()));
    let published = "correlation 0.975".to_owned();
    let mean = |parity: usize| -> Vec<f64> {
        let chosen = texts.iter().skip(parity).step_by(2);
        let each: Vec<Vec<f64>> = chosen.map(|text| bits(rows, model, context, text)).collect();
        let heads = each.first().map_or(0, Vec::len);
        (0..heads).map(|h| each.iter().map(|t| t[h]).sum::<f64>() / each.len() as f64).collect()
    };
    match spearman(&mean(0), &mean(1)) {
        Some(rho) => tested(
            &text,
            published,
            format!("Spearman {rho:.3}"),
            rho >= 0.95,
            "between the means over every other text; published was Pearson on the calibration texts; at least 0.95".into(),
        ),
        None => untested(&text, published, "two texts or more are needed".into()),
    }
}

/// "The root cause is the architecture: MHA against GQA."
fn architecture(rows: &[HeadRow], models: &[&str]) -> Statement {
    let text =
        "Multi-head attention has more heads below 1.5 bits than grouped-query attention, all else equal";
    let published = format!("{} against {}", percent(FOCUSED[0].1), percent(FOCUSED[1].1));
    let find = |part: &str| models.iter().find(|m| m.contains(part)).copied();
    let (Some(mha), Some(gqa)) = (find("mha"), find("gqa")) else {
        return untested(text, published, "needs both built-in models, which share data and size".into());
    };
    let at = |model| {
        let context = contexts(rows, model).last().copied().unwrap_or(0);
        below(&bits(rows, model, context, ""))
    };
    let (mha, gqa) = (at(mha), at(gqa));
    tested(
        text,
        published,
        format!("{} against {}", percent(mha), percent(gqa)),
        mha - gqa > TOLERANCE,
        "by more than 5 points; one pair of models with one seed each is weak evidence either way".into(),
    )
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
