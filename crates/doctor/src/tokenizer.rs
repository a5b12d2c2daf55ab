//! Checks whether the tokenizer, the configuration and the vocabulary belong together.

use bitkv_tokenizer::Tokenizer;

use crate::{
    Examination, Finding,
    finding::{Judgement, fault, fine, note, warning},
};

const FIT: &str = "tokenizer";
const MISSING: &str = "ids-without-token";
const FIRST: &str = "bos-token";
const LAST: &str = "eos-token";

/// The remedy for a tokenizer of another model.
const USE_ITS_OWN: &str = "use the tokenizer that came with the weights";

/// The largest fraction of ids without a token that can be padding.
const MAX_MISSING: f64 = 0.01;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let tokenizer = match &examination.evidence.tokenizer {
        Ok(Some(tokenizer)) => tokenizer,
        Ok(None) => {
            let judgement = note(
                "checks that need a text were skipped, and commands cannot read text with this model",
                "put the tokenizer.json that came with the weights into their folder",
            );
            return vec![finding(FIT, "there is no tokenizer beside the weights", judgement)];
        }
        Err(refusal) => {
            let means =
                "the tokenizer has other ids than the embedding was trained with, or it cannot be read";
            return vec![finding(FIT, format!("{refusal}"), fault(means, USE_ITS_OWN))];
        }
    };
    let doubts = tokenizer.notes().iter().map(|sentence| {
        let means = "the tokenizer is used all the same";
        finding(
            FIT,
            sentence.clone(),
            note(means, "use the files that came with the weights if texts look wrong"),
        )
    });
    let checked = [missing_ids(tokenizer), first(examination, tokenizer), last(examination, tokenizer)];
    doubts.chain(checked.into_iter().flatten()).collect()
}

fn missing_ids(tokenizer: &Tokenizer) -> Option<Finding> {
    let ranges = tokenizer.missing_ids();
    let missing: usize = ranges.iter().map(ExactSizeIterator::len).sum();
    let first = ranges.first()?;
    let padding = ranges.len() == 1 && first.end as usize == tokenizer.vocab_size();
    let many = missing as f64 > MAX_MISSING * tokenizer.vocab_size() as f64;
    let found =
        format!("{missing} of {} ids have no token, the first {}", tokenizer.vocab_size(), first.start);
    let judgement = if padding && !many {
        fine("the vocabulary is padded to a round size, and the model hardly ever chooses these ids")
    } else if many {
        warning(
            "these are far more than padding: the tokenizer may belong to another model, or its added tokens are missing",
            USE_ITS_OWN,
        )
    } else {
        fine("the vocabulary leaves these ids out")
    };
    Some(finding(MISSING, found, judgement))
}

/// Judges a token that the configuration names and the tokenizer lacks.
fn different_models() -> Judgement {
    fault("the tokenizer and the configuration belong to different models", USE_ITS_OWN)
}

fn first(examination: &Examination<'_>, tokenizer: &Tokenizer) -> Option<Finding> {
    let Some(id) = examination.evidence.checkpoint.config().bos_token_id else {
        let judgement = warning(
            "BitNet models are trained with this token at the start of every text; without it, the first positions are \
             outside the range of training",
            "set `bos_token_id` in config.json to the id in the model that this one was made from",
        );
        return Some(finding(FIRST, "the configuration names no `bos_token_id`", judgement));
    };
    let found = format!("`bos_token_id` is {id}, and the tokenizer has no such token");
    tokenizer.token(id).is_none().then(|| finding(FIRST, found, different_models()))
}

fn last(examination: &Examination<'_>, tokenizer: &Tokenizer) -> Option<Finding> {
    let named = &examination.evidence.checkpoint.config().eos_token_ids;
    let (found, judgement) = if named.is_empty() {
        let remedy = "set `eos_token_id` in config.json or generation_config.json";
        let judgement = warning("generation never ends before its limit of tokens", remedy);
        ("the configuration names no `eos_token_id`".into(), judgement)
    } else if let Some(id) = named.iter().find(|id| tokenizer.token(**id).is_none()) {
        (format!("`eos_token_id` names {id}, and the tokenizer has no such token"), different_models())
    } else {
        let eos = tokenizer.special_ids().eos.filter(|eos| !named.contains(eos))?;
        let judgement = warning(
            "generation may continue after the end of an answer",
            "add the id to `eos_token_id` in config.json or generation_config.json",
        );
        (format!("the tokenizer ends a text with id {eos}, but `eos_token_id` is {named:?}"), judgement)
    };
    Some(finding(LAST, found, judgement))
}

fn finding(check: &'static str, found: impl Into<String>, judgement: Judgement) -> Finding {
    Finding::new(check, "tokenizer", found, judgement)
}
