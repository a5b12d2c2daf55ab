//! Every number and every order that a document quotes from `results` is computed from the committed rows.
//!
//! A finding is a list of [`Sentence`]s, whose numbers cannot be written by hand. The tests compare the
//! documents with them. After a new run, `BITKV_WRITE_FINDINGS=1 cargo test -p bitkv-report --test findings`
//! writes the generated parts. If an order no longer holds, the test prints the sentence and what the rows
//! show; rewrite the sentence in its file here.

mod bits;
mod cells;
mod document;
mod entropy;
mod finding;
mod lengths;
mod models;
mod plain_llama;
mod pooling;
mod published;
mod real_model;
mod results;
mod retrieval;
mod schedules;
mod scorers;
mod sentence;
mod sinks;

use document::{assert_generated, assert_quoted, is_writing, paragraph, read, section, unchecked};
use finding::Finding;
use sentence::Sentence;

const EXPERIMENTS: &str = "experiments/README.md";
const README: &str = "README.md";
const METRICS: &str = "docs/METRICS.md";

/// Sentences that define a term or describe a document, and quote no result.
const DEFINITIONS: [&str; 10] = [
    "The first finding is for a real pretrained model in full precision.",
    "All others are for the two built-in models, which are small: the method carries over to other models, the \
     numbers do not.",
    "Every statement has its interval in the report.",
    "5x asked for means that a fifth of the entries was requested; the share really kept is beside each \
     number.",
    "`results/smollm2-verify` is the same command on SmolLM2-135M-Instruct, a pretrained Llama in full \
     precision.",
    "All others are about the measured model: they show whether a claim carries over to it, and neither \
     confirm nor refute the numbers published for other models.",
    "The first row of a claim has its verdict, which also covers the rows without one.",
    "In tables, a star marks a difference whose 95 % interval, paired by text, excludes zero.",
    "It is a single comparison: unlike the stars of reports, it is not corrected for the number of \
     comparisons.",
    "Result folders keep the text of the definition that ran, so captions that it quotes may have older \
     wording (\"less\" for \"minus\", \"cut\" for \"eviction\").",
];

/// Returns the findings in the order of the document.
fn findings() -> Vec<Finding> {
    vec![
        real_model::finding(),
        entropy::finding(),
        scorers::finding(),
        sinks::finding(),
        pooling::finding(),
        plain_llama::finding(),
        lengths::finding(),
        bits::finding(),
        schedules::finding(),
        retrieval::finding(),
    ]
}

#[test]
fn the_findings_follow_from_the_rows() {
    let findings = findings();
    let content: String = findings.iter().map(Finding::markdown).collect();
    let sentences: Vec<Sentence> = findings.into_iter().flat_map(|finding| finding.sentences).collect();
    assert_generated(EXPERIMENTS, "findings", &(content.trim_end().to_owned() + "\n"), &sentences);
}

#[test]
fn the_models_of_the_readme_are_described_from_the_rows() {
    let sentences = models::readme();
    assert_generated(README, "models", &paragraph(&sentences), &sentences);
}

#[test]
fn the_cards_of_the_models_quote_the_rows() {
    for model in cells::MODELS {
        let sentences = models::card(model);
        let file = format!("models/{model}/README.md");
        assert_generated(&file, "evaluation", &paragraph(&sentences), &sentences);
    }
}

#[test]
fn other_documents_quote_the_rows() {
    assert_quoted(EXPERIMENTS, &[models::extent(), schedules::failures(), published::peers()]);
    assert_quoted(METRICS, &[published::overspending(), retrieval::abilities()]);
}

#[test]
fn no_sentence_with_a_number_or_an_order_is_unchecked() {
    if is_writing() {
        return;
    }
    let texts = |sentences: Vec<Sentence>| sentences.into_iter().map(|sentence| sentence.text);
    let mut checked: Vec<String> =
        findings().into_iter().flat_map(|finding| texts(finding.sentences)).collect();
    checked.extend(texts(models::readme()).chain(texts(vec![models::extent(), schedules::failures()])));
    checked.extend(DEFINITIONS.map(str::to_owned));
    for (file, heading) in [(EXPERIMENTS, "## Findings"), (README, "## Results")] {
        let found = unchecked(&section(&read(file), heading), &checked);
        assert!(
            found.is_empty(),
            "{file}, {heading}: compute these from rows in crates/report/tests/findings:\n{}",
            found.join("\n")
        );
    }
}
