//! Finds what is wrong with a checkpoint, and says what to do about it.
//!
//! [`diagnose`] opens a model, collects what the checks read ([`Evidence`]), runs every check with
//! [`examine`], and returns [`Finding`]s, worst first.
//!
//! The checks report damage that a loader refuses, and also damage that loads and computes nonsense: codes
//! decoded with a wrong map, rows assembled from four neurons each, holes where a download stopped. Each
//! check has its own file. A check reads the weights themselves if they show enough, so that it also works on
//! checkpoints that do not load.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod codes;
mod decode_map;
mod embedding;
mod error;
mod evidence;
mod finding;
mod gguf;
mod holes;
mod interleaving;
mod invalid_codes;
mod map;
mod masters;
mod norms;
mod notes;
mod order;
mod overflow;
mod perplexity;
mod run;
mod scale_direction;
mod scale_rule;
mod tensors;
mod tokenizer;

pub use error::{Error, Result};
pub use evidence::Evidence;
pub use finding::{Finding, Severity};

use bitkv_models::Source;

use codes::Codes;
use finding::fault;
use map::CodeBalance;
use run::TextRun;

/// What the checks read: the evidence, and results that several checks need.
struct Examination<'a> {
    evidence: &'a Evidence,
    codes: Codes,
    /// Shows which code means zero.
    balance: CodeBalance,
    /// The result of running the model on a text, or the reason why it was not run.
    run: Result<TextRun>,
}

/// Every check, except that of the run, which depends on what these find. Findings of the same severity are
/// listed in this order.
const CHECKS: [fn(&Examination<'_>) -> Vec<Finding>; 15] = [
    tensors::check,
    holes::check,
    invalid_codes::check,
    decode_map::check,
    interleaving::check,
    masters::check,
    embedding::check,
    norms::check,
    scale_rule::check,
    scale_direction::check,
    tokenizer::check,
    gguf::check,
    notes::check,
    perplexity::check,
    overflow::check,
];

/// Runs every check and returns its findings, worst first.
pub fn examine(evidence: &Evidence) -> Vec<Finding> {
    let codes = Codes::new(&evidence.checkpoint);
    let balance = CodeBalance::new(&codes.undamaged());
    let run = TextRun::new(&evidence.checkpoint, &evidence.tokenizer);
    let examination = Examination { evidence, codes, balance, run };
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(&examination)).collect();
    let has_fault = findings.iter().any(|finding| finding.severity == Severity::Fault);
    findings.extend(run::check(&examination, has_fault));
    findings.sort_by_key(|finding| finding.severity);
    findings
}

/// Opens a model and [`examine`]s it. For a model that cannot be opened, the only finding is that fault.
///
/// # Errors
/// Fails if the master weights cannot be opened.
pub fn diagnose(source: &Source, masters: Option<&Source>) -> Result<Vec<Finding>> {
    match source.checkpoint() {
        Ok(checkpoint) => Ok(examine(&Evidence::gather(source, checkpoint, masters)?)),
        Err(refusal) => {
            let means = "the files cannot be read as a BitNet checkpoint, so nothing else was examined";
            let judgement = fault(means, "fix what the message names, and run doctor again");
            Ok(vec![Finding::new("open", source.name(), refusal.to_string(), judgement)])
        }
    }
}
