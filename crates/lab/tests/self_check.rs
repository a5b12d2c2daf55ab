//! A whole budget must cost nothing, whatever the policy: the check that every grid carries.

mod support;

use bitkv_bitnet::Observe;
use bitkv_evict::Planner;
use bitkv_lab::{
    Subject,
    cell::{Label, Scored, measure},
    context::Context,
    recall::Vocabulary,
};
use bitkv_record::CellRow;
use support::{needs, numbers, policies, subjects, window};

const CONTEXT: usize = 80;
const SCORED: usize = 24;

/// Cells of every policy on a context, at one budget.
fn cells(
    subject: &Subject,
    (context, continuation): (&[u32], &[u32]),
    scored: Scored<'_>,
    budget: f64,
) -> Vec<CellRow> {
    let policies = policies();
    let (needs, numbers) = (needs(&policies), numbers(subject));
    let context =
        Context::read(subject, context, continuation, &needs, &numbers, &Observe::default()).unwrap();
    let label = Label { model: &subject.name, text: "text", register: "register" };
    let view = context.evidence().view();
    let planner = Planner::new(&view);
    let cell = |policy| measure(label, &context, &planner, policy, budget, scored).unwrap();
    policies.iter().map(cell).collect()
}

fn conserving(cells: Vec<CellRow>) -> Vec<CellRow> {
    let kept: Vec<CellRow> = cells.into_iter().filter(|c| c.conserving || c.policy == "full").collect();
    assert_eq!(kept.len(), policies().len() - 3, "all but the three published rules");
    kept
}

#[test]
fn on_text_the_divergence_is_exactly_zero() {
    for subject in subjects() {
        let tokens = window(&subject, 0, CONTEXT + SCORED + 1);
        let (context, rest) = tokens.split_at(CONTEXT);
        let scored = Scored::Text { targets: &rest[1..], bytes: 1 };
        let parts = (context, &rest[..SCORED]);
        let whole = conserving(cells(&subject, parts, scored, 1.0));
        for cell in &whole {
            assert_eq!((cell.kl_nats, cell.agreement), (Some(0.0), Some(1.0)), "{}", cell.policy);
            assert_eq!(cell.nll_nats, whole[0].nll_nats, "{}", cell.policy);
            assert_eq!((cell.kept_tokens, cell.cache_bytes), (cell.full_tokens, cell.full_bytes));
        }
        // The same cells at a tenth are not zero, so the check above can fail.
        let tenth = conserving(cells(&subject, parts, scored, 0.1));
        for cell in tenth.iter().filter(|cell| cell.policy != "full") {
            assert!(cell.kl_nats > Some(0.0), "{} evicts nine tenths and changes nothing", cell.policy);
            assert!(cell.cache_bytes * 9 < cell.full_bytes, "{}", cell.policy);
        }
    }
}

#[test]
fn on_recall_every_answer_is_the_same() {
    for subject in subjects() {
        let recall = Vocabulary::new(&subject).unwrap().draw(16, 8, 3).unwrap();
        let parts = (&recall.context[..], &recall.questions[..]);
        let whole = conserving(cells(&subject, parts, Scored::Recall(&recall), 1.0));
        for cell in &whole {
            assert_eq!(cell.correct, whole[0].correct, "{}", cell.policy);
            assert_eq!((cell.questions, cell.kept_tokens), (8, cell.full_tokens), "{}", cell.policy);
        }
        // Not only the answers: every logit.
        let policies = policies();
        let (needs, numbers) = (needs(&policies), numbers(&subject));
        let context =
            Context::read(&subject, parts.0, parts.1, &needs, &numbers, &Observe::default()).unwrap();
        for policy in policies.iter().filter(|policy| policy.conserves()) {
            let plan = policy.plan(&context.evidence().view(), bitkv_evict::Budget::FULL).unwrap();
            assert_eq!(&context.continue_with(&plan).unwrap().logits, context.reference(), "{policy}");
        }
    }
}
