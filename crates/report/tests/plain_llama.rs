//! The claim that running BitNet weights as a plain Llama is harmless, on rows that can be checked by hand.
//! Each of its statements can hold and can fail.

mod cells;
#[allow(dead_code, reason = "each test binary uses a part")]
mod rendered;

use std::f64::consts::LN_2;

use bitkv_record::{Axes, Definition, Form, GridRow, HeadRow};
use bitkv_report::Run;
use bitkv_report::claims::{self, Verdict};
use cells::row;

const DEFINITION: &str = r#"
analysis = "Refuted if not."
claims = ["plain-llama"]
[[experiment]]
name = "first"
models = ["m"]
forms = ["true", "plain-llama"]
texts = "evaluation"
context = 8
horizon = 8
budgets = [1.0]
policies = ["full"]
metrics = ["kl", "form"]
controls = false
analysis = "Two forms are compared, not policies."
"#;
const TEXTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
/// The entropies of six heads in bits, ascending.
const ENTROPIES: [f64; 6] = [0.5, 1.0, 2.0, 3.0, 4.0, 5.0];

/// The measurements of both forms.
#[derive(Clone)]
struct Forms {
    /// The nats per token of the BitNet. Guessing costs 8.
    nats: f64,
    /// The additional bits per token of the plain Llama, for each text and again for the other four.
    more: [f64; 4],
    /// The share of next tokens that stay the same, for each text in the same way.
    agreement: [f64; 4],
    /// The entropies of the plain Llama's heads in bits.
    entropies: [f64; 6],
    /// What is added to the entropies of the BitNet on the second and fourth text, for each head.
    between: [f64; 6],
}

impl Forms {
    fn harmless() -> Forms {
        Forms {
            nats: 2.0,
            more: [0.01, 0.02, -0.01, 0.0],
            agreement: [0.97, 0.96, 0.98, 0.99],
            entropies: ENTROPIES,
            between: [0.0; 6],
        }
    }

    fn rows(&self) -> Vec<GridRow> {
        let row_of = |i: usize, form: Form| {
            let plain = form == Form::PlainLlama;
            GridRow {
                model: name(form).into(),
                axes: Axes { form, ..Axes::default() },
                nll_nats: Some(self.nats + if plain { self.more[i % 4] * LN_2 } else { 0.0 }),
                uniform_nats: Some(8.0),
                form_agreement: plain.then_some(self.agreement[i % 4]),
                form_kl_nats: plain.then_some(0.25),
                ..row("full", "1.0", TEXTS[i], 0.0)
            }
        };
        let forms = [Form::True, Form::PlainLlama];
        forms.into_iter().flat_map(|form| (0..TEXTS.len()).map(move |i| row_of(i, form))).collect()
    }

    fn heads(&self) -> Vec<HeadRow> {
        let mut rows = Vec::new();
        for form in [Form::True, Form::PlainLlama] {
            for (i, text) in TEXTS.iter().enumerate() {
                for (head, entropy) in ENTROPIES.iter().enumerate() {
                    let own = entropy + if i % 2 == 1 { self.between[head] } else { 0.0 };
                    let bits = if form == Form::True { own } else { self.entropies[head] };
                    rows.push(HeadRow {
                        model: name(form).into(),
                        form,
                        text: (*text).into(),
                        context: 64,
                        head,
                        entropy_bits: Some(bits),
                        ..HeadRow::default()
                    });
                }
            }
        }
        rows
    }

    fn judged(&self) -> (Vec<Option<bool>>, Verdict) {
        judged(&self.rows(), &self.heads())
    }
}

/// Returns whether each statement of the claim holds, and the verdict.
fn judged(rows: &[GridRow], heads: &[HeadRow]) -> (Vec<Option<bool>>, Verdict) {
    let definition = Definition::from_toml(DEFINITION, "first.toml").unwrap();
    let manifest = rendered::manifest();
    let run = Run {
        definition: &definition,
        manifest: &manifest,
        rows,
        timings: &[],
        heads,
        memory: &[],
        folder: None,
    };
    let claim = claims::all(&run).remove(0);
    (claim.statements.iter().map(|statement| statement.holds).collect(), claim.verdict)
}

fn name(form: Form) -> &'static str {
    if form == Form::True { "m" } else { "m+plain-llama" }
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

#[test]
fn an_unchanged_model_is_harmless() {
    assert_eq!(Forms::harmless().judged(), (vec![YES; 4], Verdict::Holds));
}

#[test]
fn bits_count_in_both_directions_and_by_their_interval() {
    let holds_with = |more| Forms { more, ..Forms::harmless() }.judged().0[0];
    assert_eq!(holds_with([0.3, 0.31, 0.29, 0.3]), NO);
    assert_eq!(holds_with([-0.3, -0.31, -0.29, -0.3]), NO);
    // The mean is 0.04, but not the interval.
    assert_eq!(holds_with([0.14, -0.06, 0.14, -0.06]), None);
    assert_eq!(holds_with([0.0; 4]), YES);
}

#[test]
fn tokens_that_change_are_not_harmless() {
    let holds_with = |agreement| Forms { agreement, ..Forms::harmless() }.judged().0[1];
    assert_eq!(holds_with([0.5, 0.6, 0.55, 0.5]), NO);
    // The mean is 0.955, but not the interval.
    assert_eq!(holds_with([1.0, 0.91, 1.0, 0.91]), None);
}

#[test]
fn the_rank_of_heads_is_compared_with_the_halves_of_the_texts() {
    let mut other = ENTROPIES;
    // No bound is between the two entropies, so the share of heads below it stays.
    other.swap(4, 5);
    let changed = Forms { entropies: other, ..Forms::harmless() };
    assert_eq!(changed.judged().0[2..], [NO, YES]);
    // If the order changes as much between the texts, the change is not counted.
    let unsteady = Forms { between: [0.0, 0.0, 0.0, 0.0, 1.5, -1.5], ..changed };
    assert_eq!(unsteady.judged().0[2..], [YES, YES]);
}

#[test]
fn heads_that_cross_the_bound_count() {
    let crossed = Forms { entropies: [0.5, 1.6, 2.0, 3.0, 4.0, 5.0], ..Forms::harmless() };
    assert_eq!(crossed.judged().0[2..], [YES, NO]);
    assert_eq!(crossed.judged().1, Verdict::PartlyHolds);
}

#[test]
fn a_model_that_guesses_decides_nothing() {
    let guessing = Forms { nats: 8.5, ..Forms::harmless() };
    assert_eq!(guessing.judged(), (vec![None; 4], Verdict::CannotBeDecided));
}

#[test]
fn missing_rows_decide_nothing() {
    let harmless = Forms::harmless();
    // Without the metric `form`, without profiles, and on a single text, which has no interval.
    let mut rows = harmless.rows();
    rows.iter_mut().for_each(|row| row.form_agreement = None);
    assert_eq!(judged(&rows, &harmless.heads()).0, [YES, None, YES, YES]);
    assert_eq!(judged(&harmless.rows(), &[]).0, [YES, YES]);
    let rows: Vec<GridRow> = harmless.rows().into_iter().filter(|row| row.text == "a").collect();
    assert_eq!(judged(&rows, &harmless.heads()), (vec![None; 4], Verdict::CannotBeDecided));
}

#[test]
fn texts_are_paired_by_name() {
    // Each form lacks a text that the other has: the differences of the six that are left are all 0.
    let mut rows = Forms { more: [0.0; 4], ..Forms::harmless() }.rows();
    for (i, row) in rows.iter_mut().enumerate() {
        row.nll_nats = row.nll_nats.map(|nats| nats + (i % 8) as f64);
    }
    rows.retain(|row| (row.axes.form, row.text.as_str()) != (Form::True, "a"));
    rows.retain(|row| (row.axes.form, row.text.as_str()) != (Form::PlainLlama, "h"));
    assert_eq!(judged(&rows, &[]).0[0], YES);
}
