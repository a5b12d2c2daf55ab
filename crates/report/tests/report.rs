//! A small run rendered in all three forms: the parts are there, nothing leaks through, the markup is whole.

mod markup;

use bitkv_record::{
    Accounting, CellRow, Claim, ClaimId, FileHash, HeadRow, Machine, Manifest, MemoryRow, ModelEntry,
    Statement, Task, Verification,
};
use bitkv_report::{Input, figures, render_html, render_markdown, render_terminal};

/// A name that would do harm wherever it is not escaped.
const NASTY: &str = "m<script>alert('&\"')</script>|x";

struct Run {
    manifest: Manifest,
    verification: Verification,
    memory: Vec<MemoryRow>,
    heads: Vec<HeadRow>,
    cells: Vec<CellRow>,
}

impl Run {
    fn input(&self) -> Input<'_> {
        let Self { manifest, verification, memory, heads, cells } = self;
        Input { manifest, verification, memory, heads, cells }
    }
}

fn run() -> Run {
    let heads = [128, 512].into_iter().flat_map(profile).collect();
    let texts = ["dialogue", "code", "letter"];
    let policies = [("full", 1.0), ("uniform+recency", 1.0), ("uniform+recency", 0.5), ("oracle-rule", 0.2)];
    let cells = policies
        .into_iter()
        .flat_map(|(policy, budget)| {
            texts.into_iter().enumerate().map(move |(i, text)| cell(policy, budget, text, i))
        })
        .collect();
    Run {
        manifest: manifest(),
        verification: Verification {
            claims: vec![
                claim(ClaimId::Memory, "How much memory is cache", Some(true)),
                claim(ClaimId::Heads, "Heads fall into classes", None),
                claim(ClaimId::Compression, "Compression costs little", Some(false)),
            ],
            models: vec![NASTY.into()],
            run: Some("runs/first".into()),
        },
        memory: vec![memory(512, None), memory(1024, Some(0.5))],
        heads,
        cells,
    }
}

fn manifest() -> Manifest {
    let files = vec![FileHash::of_bytes("model.safetensors", b"weights")];
    Manifest {
        bitkv_version: "0.1.0".into(),
        revision: "abc123".into(),
        dirty: true,
        command: vec!["bitkv".into(), "verify".into(), "--model".into(), NASTY.into()],
        started: "2026-01-02T03:04:05Z".into(),
        seconds: 61.25,
        machine: Machine { cpu: "a processor".into(), cores: 2, simd: vec!["avx2".into()] },
        threads: 2,
        seed: 11,
        models: vec![ModelEntry { name: NASTY.into(), source: "built-in".into(), files }],
        texts: vec![FileHash::of_bytes("dialogue", b"Hello.")],
        options: Default::default(),
    }
}

fn claim(id: ClaimId, title: &str, holds: Option<bool>) -> Claim {
    let statement = Statement {
        text: "KV share at 2048 & beyond".into(),
        published: "65.4 %".into(),
        measured: if holds.is_some() { "64.0 %".into() } else { String::new() },
        holds,
        reason: "because <b>".into(),
    };
    Claim::new(id, title, vec![statement], Default::default(), Default::default())
}

fn memory(context: usize, published_fraction: Option<f64>) -> MemoryRow {
    MemoryRow {
        model: NASTY.into(),
        accounting: Accounting::Actual,
        context,
        weight_bytes: 2_000_000,
        kv_bytes: 1_000_000,
        activation_bytes: 1_000_000,
        total_bytes: 4_000_000,
        kv_fraction: 0.25,
        published_fraction,
    }
}

/// Two layers of three heads on two texts, and their means; one head is unknown.
fn profile(context: usize) -> Vec<HeadRow> {
    let mut rows = Vec::new();
    for (text, shift) in [("", 0.0), ("a", -0.1), ("b", 0.1)] {
        for (layer, head) in (0..2).flat_map(|layer| (0..3).map(move |head| (layer, head))) {
            let entropy = 1.0 + (layer * 3 + head) as f64 / 2.0 + shift;
            rows.push(HeadRow {
                model: NASTY.into(),
                profile: format!("calibration-{context}"),
                context,
                text: text.into(),
                layer,
                head,
                entropy_bits: (layer != 1 || head != 2).then_some(entropy),
                normalised_entropy: Some(entropy / 8.0),
            });
        }
    }
    rows
}

fn cell(policy: &str, budget: f64, text: &str, index: usize) -> CellRow {
    let kept = (100.0 * budget) as usize;
    let changed = if budget < 1.0 { 1.0 } else { 0.0 };
    CellRow {
        model: NASTY.into(),
        policy: policy.into(),
        oracle: policy.starts_with("oracle"),
        conserving: true,
        budget,
        text: text.into(),
        register: text.into(),
        task: Task::Text,
        context_tokens: 50,
        asked_tokens: kept,
        kept_tokens: kept,
        full_tokens: 100,
        cache_bytes: kept as u64 * 64,
        full_bytes: 6400,
        attention_preservation: None,
        retained_mass: None,
        kl_nats: Some(changed * (0.1 + 0.05 * index as f64)),
        agreement: Some(1.0 - changed * 0.1),
        nll_nats: Some(2.0 + index as f64 + changed * 0.25),
        targets: 16,
        bytes_scored: None,
        correct: None,
        questions: 0,
    }
}

#[test]
fn the_page_is_well_formed_and_self_contained() {
    let run = run();
    let page = render_html(&run.input());
    markup::check(&page);
    assert!(page.starts_with("<!DOCTYPE html>"));
    for outside in ["<script", "<link", "src=", "url(", "@import", "href=\"http"] {
        assert!(!page.contains(outside), "{outside} found");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("lang=\"en\""));
    for (_, svg) in figures(&run.input()) {
        markup::check(&svg);
        assert!(page.contains(&svg) && svg.contains("aria-label="));
    }
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
    assert_eq!(page.matches("<figure").count(), page.matches("<figcaption>").count());
}

#[test]
fn every_form_gives_verdicts_numbers_command_and_limits() {
    let run = run();
    let (page, markdown, terminal) =
        (render_html(&run.input()), render_markdown(&run.input()), render_terminal(&run.input()));
    assert!(page.contains("Verdict: does not hold") && page.contains("class=\"verdict not-tested\""));
    assert!(markdown.contains("> Verdict: **holds**"));
    assert!(terminal.contains("Verdict: NOT TESTED"));
    for form in [&page, &markdown, &terminal] {
        assert!(
            form.contains("Δ NLL") && form.contains("0.250 [0.250, 0.250]"),
            "constant difference\n{form}"
        );
        assert!(
            form.contains("oracle-rule †")
                && form.contains("2x compression")
                && form.contains("5x compression")
        );
        assert!(form.contains("all 6 cells"), "self-check");
        assert!(form.contains("bitkv verify --model"));
        assert!(
            form.contains("Limits")
                && form.contains("The program was built from sources")
                && form.contains("3 texts")
        );
        assert!(form.contains("printed: 0.5/1.5/2.5/3.5") && form.contains("published, bitnet"));
        assert!(!form.contains("NaN") && !form.contains("inf "));
    }
}

#[test]
fn names_are_escaped_in_every_form() {
    let run = run();
    assert!(
        render_html(&run.input()).contains("m&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;|x")
    );
    let markdown = render_markdown(&run.input());
    let outside_code = markdown.lines().filter(|line| !line.starts_with("bitkv verify"));
    assert!(outside_code.into_iter().all(|line| !line.contains("<script>")));
    assert!(markdown.contains(r"\|x: 2x compression"));
}

#[test]
fn markdown_tables_keep_their_columns() {
    let markdown = render_markdown(&run().input());
    let cells = |line: &str| line.replace(r"\|", "").matches('|').count();
    let mut widths = Vec::new();
    for line in markdown.lines() {
        match line.starts_with('|') {
            true => widths.push(cells(line)),
            false => widths.clear(),
        }
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{line}");
    }
}

#[test]
fn markdown_refers_to_exactly_the_figures_given() {
    let run = run();
    let markdown = render_markdown(&run.input());
    let files = figures(&run.input());
    assert_eq!(markdown.matches("](figures/").count(), files.len());
    assert!(files.iter().all(|(path, _)| markdown.contains(&format!("]({path})"))));
    let mut paths: Vec<&String> = files.iter().map(|(path, _)| path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), files.len(), "figures have names of their own");
    assert_eq!(
        files.iter().filter(|(path, _)| path.contains("attention-entropy")).count(),
        2,
        "one map a profile"
    );
}

#[test]
fn an_unknown_head_is_said_and_not_counted() {
    let markdown = render_markdown(&run().input());
    assert!(
        markdown.contains("Profile calibration-128: heads without a recorded entropy, not counted: 1."),
        "{markdown}"
    );
    assert!(
        markdown.contains("| calibration-128 | 128 | code: 0.5/1.5/3.0/4.0 | 5 | 0 | 1 | 3 | 1 | 0 | 20.0 |")
    );
    assert!(markdown.contains("| calibration-128 | 128 | - | - | - | - | - |"));
    assert!(
        markdown.contains("| calibration | 128 | 7.00 | 2.000 [1.900, 2.100] | 0.281 | 20.0 |"),
        "{markdown}"
    );
}

#[test]
fn a_full_budget_that_changes_something_is_shouted() {
    let mut run = run();
    run.cells[4].kl_nats = Some(0.5);
    let terminal = render_terminal(&run.input());
    assert!(terminal.contains("Self-check FAILED: 1 of 6"), "{terminal}");
}

#[test]
fn an_empty_run_is_still_a_report() {
    let mut run = run();
    run.memory.clear();
    run.heads.clear();
    run.cells.clear();
    run.verification.claims.clear();
    markup::check(&render_html(&run.input()));
    assert!(!render_terminal(&run.input()).contains("NaN"));
    assert!(figures(&run.input()).is_empty());
}

#[test]
fn measurements_without_a_claim_are_shown_all_the_same() {
    let mut run = run();
    run.verification.claims.clear();
    let page = render_html(&run.input());
    assert!(page.contains(">Compression</h2>") && page.contains("2x compression"));
}
