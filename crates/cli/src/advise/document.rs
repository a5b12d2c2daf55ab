//! The JSON document of `bitkv advise`.

use bitkv_report::advice::{
    Answer, Candidate, Certificate, FORMAT_NOTE, LEVEL, Quality, sentences::Question,
};
use serde_json::{Map, Value, json};

use super::{Answered, RUNNERS_UP};

/// Returns the document. Lengths are in tokens, sizes in bytes, times in seconds, KL and NLL in nats, and
/// budgets are fractions that are kept.
pub(super) fn document(answered: &Answered<'_>) -> Value {
    let Answered { question, advice, cell, certificate, .. } = answered;
    let limits = question.limits;
    let fits = limits.allow(question.memory, question.memory.full_cache);
    let choice = match advice.answer {
        Answer::Fits => json!({"policy": "full", "budget": 1.0, "kv": "f16"}),
        _ => advice.kept().map_or(Value::Null, |candidate| choice(&candidate)),
    };
    let losses: Map<String, Value> =
        limits.losses.iter().map(|loss| (loss.task.to_string(), loss.share.into())).collect();
    let missing: Vec<Value> = answered
        .missing
        .iter()
        .map(|part| json!({"what": part.what, "command": part.command, "note": FORMAT_NOTE}))
        .collect();
    json!({
        "model": question.model,
        "context": question.context,
        "answer": answered.answer().join(" "),
        "fits": fits,
        "peak_fits": limits.allow_peak(peak(answered)),
        "limits": {
            "memory": limits.cache_bytes,
            "total_memory": limits.total_bytes,
            "max_kl": limits.kl,
            "max_loss": losses,
        },
        "choice": choice,
        "bytes": bytes(answered),
        "expected": cell.map(|candidate| expected(question, &candidate)),
        "certified": certificate.as_ref().map(certified),
        "rows": {
            "model": question.measured.model,
            "of_this_model": question.is_own,
            "context": question.measured.context,
        },
        "requirement": answered.requirement,
        "left_out": advice.left_out,
        "runners_up": candidates(question, &advice.runners_up, RUNNERS_UP),
        "front": candidates(question, &advice.front, usize::MAX),
        "missing": missing,
    })
}

fn choice(candidate: &Candidate<'_>) -> Value {
    let cell = candidate.cell;
    json!({"policy": cell.policy, "budget": cell.budget, "kv": cell.kv})
}

/// Returns the most bytes that are needed until the cache is compressed.
fn peak(answered: &Answered<'_>) -> u64 {
    let memory = answered.question.memory;
    answered.advice.kept().map_or(memory.peak(), |candidate| candidate.peak(memory))
}

/// Returns the bytes of every part of the memory. `cache` and `total` are those after the prompt.
fn bytes(answered: &Answered<'_>) -> Value {
    let memory = answered.question.memory;
    let cache = match answered.advice.answer {
        Answer::Fits => Some(memory.full_cache),
        _ => answered.advice.kept().map(|candidate| candidate.cache_bytes),
    };
    let mut parts: Map<String, Value> =
        memory.weights.iter().map(|(name, bytes)| (name.replace(' ', "_"), (*bytes).into())).collect();
    let others = [
        ("weights", Some(memory.weight_bytes())),
        ("activations", Some(memory.activations)),
        ("full_cache", Some(memory.full_cache)),
        ("repetition", answered.advice.kept().map(|candidate| candidate.repetition_bytes)),
        ("peak", Some(peak(answered))),
        ("cache", cache),
        ("total", cache.map(|cache| memory.total(cache))),
    ];
    parts.extend(others.map(|(name, bytes)| (name.to_owned(), bytes.into())));
    parts.into()
}

/// Returns the quality on the texts that choose, and the times if the rows are those of the user's model.
fn expected(question: &Question<'_>, candidate: &Candidate<'_>) -> Value {
    let (cell, quality) = (candidate.cell, &candidate.cell.choosing);
    let time = |seconds: Option<f64>| seconds.filter(|_| question.is_own);
    json!({
        "texts": quality.kl.len(),
        "kl_nats": quality.mean_kl(),
        "agreement": quality.mean_agreement(),
        "nll_difference": quality.mean_nll(),
        "tasks": tasks(quality, question.measured.reference().map(|full| &full.choosing)),
        "plan_seconds": time(cell.plan_seconds),
        "decode_seconds_per_token": time(cell.decode_seconds),
    })
}

/// Returns the answers to every task.
fn tasks(quality: &Quality, full: Option<&Quality>) -> Value {
    let scores = quality.tasks.iter().map(|scores| {
        let loss = full.and_then(|full| quality.loss(scores.task, full));
        let value = json!({"correct": scores.right(), "questions": scores.asked(), "loss": loss});
        (scores.task.to_string(), value)
    });
    scores.collect::<Map<_, _>>().into()
}

/// Returns the quality on the texts that certify, and the bound for one more text.
fn certified(certificate: &Certificate) -> Value {
    let tasks = certificate.tasks.iter().map(|task| {
        let value = json!({
            "correct": task.correct,
            "full_correct": task.full_correct,
            "questions": task.questions,
            "loss": task.loss,
            "contexts": task.contexts,
            "context_tokens": task.tokens,
        });
        (task.task.to_string(), value)
    });
    json!({
        "texts": certificate.texts,
        "kl_nats": certificate.kl,
        "kl_bound": certificate.kl_bound,
        "level": LEVEL,
        "largest_kl": certificate.largest_kl,
        "attainable_level": certificate.attainable,
        "meets_limits": certificate.meets_limits,
        "tasks": tasks.collect::<Map<_, _>>(),
        "condition": "if your texts are like these",
    })
}

fn candidates(question: &Question<'_>, candidates: &[Candidate<'_>], most: usize) -> Vec<Value> {
    let value = |candidate: &Candidate<'_>| {
        let mut value = choice(candidate);
        value["cache_bytes"] = candidate.cache_bytes.into();
        value["kept"] = candidate.cell.kept.into();
        value["expected"] = expected(question, candidate);
        value
    };
    candidates.iter().take(most).map(value).collect()
}
