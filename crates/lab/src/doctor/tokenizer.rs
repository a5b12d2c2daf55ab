//! Whether tokenizer, configuration and vocabulary belong together.

use bitkv_tokenizer::Tokenizer;

use super::{Examination, Finding, Severity};

const FIT: &str = "tokenizer";
const MISSING: &str = "ids-without-token";
const FIRST: &str = "bos-token";
const LAST: &str = "eos-token";

/// More ids without a token than this part of all are no padding.
const MAX_MISSING: f64 = 0.01;

pub(super) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let tokenizer = match &examination.evidence.tokenizer {
        Ok(Some(tokenizer)) => tokenizer,
        Ok(None) => {
            return vec![finding(
                FIT,
                Severity::Note,
                "there is no tokenizer beside the weights".into(),
                "nothing that reads text was examined, and texts cannot be used with this model",
                "put the tokenizer.json that came with the weights beside them",
            )];
        }
        Err(refusal) => {
            return vec![finding(
                FIT,
                Severity::Fault,
                format!("{refusal:#}"),
                "its ids are not those that the embedding was trained on, or it cannot be read",
                "use the tokenizer that came with the weights",
            )];
        }
    };
    [missing_ids(tokenizer), first(examination, tokenizer), last(examination, tokenizer)]
        .into_iter()
        .flatten()
        .collect()
}

fn missing_ids(tokenizer: &Tokenizer) -> Option<Finding> {
    let ranges = tokenizer.missing_ids();
    let missing: usize = ranges.iter().map(ExactSizeIterator::len).sum();
    let first = ranges.first()?;
    let padding = ranges.len() == 1 && first.end as usize == tokenizer.vocab_size();
    let many = missing as f64 > MAX_MISSING * tokenizer.vocab_size() as f64;
    let found =
        format!("{missing} of {} ids have no token, the first {}", tokenizer.vocab_size(), first.start);
    Some(if padding && !many {
        let means = "the vocabulary is padded to a round size; the model hardly ever chooses these ids";
        finding(MISSING, Severity::Note, found, means, "nothing")
    } else if many {
        let means =
            "far more than padding: the tokenizer may be of another model, or its added tokens are missing";
        finding(MISSING, Severity::Warning, found, means, "use the tokenizer that came with the weights")
    } else {
        finding(MISSING, Severity::Note, found, "ids that the vocabulary leaves out", "nothing")
    })
}

fn first(examination: &Examination<'_>, tokenizer: &Tokenizer) -> Option<Finding> {
    let config = examination.evidence.checkpoint.config();
    match config.bos_token_id {
        None => Some(finding(
            FIRST,
            Severity::Warning,
            "the configuration names no `bos_token_id`".into(),
            "BitNet models are trained with a first token on every text; without it the first positions are out of range",
            "set `bos_token_id` in config.json to that of the model this one was made from",
        )),
        Some(id) if tokenizer.token(id).is_none() => Some(finding(
            FIRST,
            Severity::Fault,
            format!("`bos_token_id` is {id}, and the tokenizer has no such token"),
            "tokenizer and configuration are of different models",
            "use the tokenizer that came with the weights",
        )),
        Some(_) => None,
    }
}

fn last(examination: &Examination<'_>, tokenizer: &Tokenizer) -> Option<Finding> {
    let config = examination.evidence.checkpoint.config();
    let lacking = config.eos_token_ids.iter().find(|id| tokenizer.token(**id).is_none());
    if config.eos_token_ids.is_empty() {
        return Some(finding(
            LAST,
            Severity::Warning,
            "the configuration names no `eos_token_id`".into(),
            "generation never ends by itself",
            "set `eos_token_id` in config.json or generation_config.json",
        ));
    }
    if let Some(id) = lacking {
        return Some(finding(
            LAST,
            Severity::Fault,
            format!("`eos_token_id` names {id}, and the tokenizer has no such token"),
            "tokenizer and configuration are of different models",
            "use the tokenizer that came with the weights",
        ));
    }
    let own = tokenizer.special_ids().eos.filter(|own| !config.eos_token_ids.contains(own))?;
    Some(finding(
        LAST,
        Severity::Warning,
        format!("the tokenizer ends a text with {own}, and `eos_token_id` is {:?}", config.eos_token_ids),
        "generation may go on past the end of an answer",
        "add the id to `eos_token_id` in config.json or generation_config.json",
    ))
}

fn finding(check: &'static str, severity: Severity, found: String, means: &str, remedy: &str) -> Finding {
    Finding { check, severity, place: "tokenizer".into(), found, means: means.into(), remedy: remedy.into() }
}
