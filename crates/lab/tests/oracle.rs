//! The oracle's view: the attention that the continuation really pays to the context.

mod support;

use bitkv_bitnet::Observe;
use bitkv_evict::{Need, Needs, Policy};
use bitkv_lab::{context::Context, evidence::Numbers};
use bitkv_models::LoadedModel;
use support::{subjects, window};

const CONTEXT: usize = 70;
const CONTINUATION: usize = 15;
/// Rounding of sums of single-precision probabilities.
const ROUNDING: f32 = 1e-3;

fn read<'a>(
    subject: &'a LoadedModel,
    before: &[u32],
    after: &[u32],
    needs: &Needs,
) -> bitkv_lab::Result<Context<'a>> {
    Context::read(subject, before, after, needs, &Numbers::new(), &Observe::default())
}

#[test]
fn future_attention_is_that_of_the_continuation_on_the_context() {
    for subject in subjects() {
        let tokens = window(&subject, 3, CONTEXT + CONTINUATION);
        let (before, after) = tokens.split_at(CONTEXT);
        let needs = Policy::parse("uniform+oracle").unwrap().needs();
        assert_eq!(needs, Needs::from([Need::Future]));
        let context = read(&subject, before, after, &needs).unwrap();
        let seen = context.evidence().view();
        let heads = subject.config().num_hidden_layers * subject.config().num_attention_heads;
        assert_eq!(seen.rows(Need::Future).len(), heads);

        // The whole of it from the model itself: every query spreads a mass of 1 over all keys.
        let mut cache = subject.model.new_cache();
        subject.model.forward(before, &mut cache, None).unwrap();
        let observe = Observe { accumulated: true, ..Observe::default() };
        let all = subject.model.forward(after, &mut cache, Some(&observe)).unwrap().observed.unwrap();
        for (head, (future, all)) in seen.rows(Need::Future).iter().zip(&all.accumulated).enumerate() {
            assert_eq!((future.len(), all.len()), (CONTEXT, CONTEXT + CONTINUATION));
            assert_eq!(*future, &all[..CONTEXT], "head {head}");
            assert!(future.iter().all(|&mass| mass >= 0.0));
            let (context, own): (f32, f32) = (future.iter().sum(), all[CONTEXT..].iter().sum());
            assert!((context + own - CONTINUATION as f32).abs() < ROUNDING, "head {head}: {context} + {own}");
            assert!(context > 0.0 && context <= CONTINUATION as f32 + ROUNDING, "head {head}: {context}");
        }
    }
}

#[test]
fn nobody_else_is_shown_the_future() {
    let subject = &subjects()[0];
    let tokens = window(subject, 3, CONTEXT + CONTINUATION);
    let (before, after) = tokens.split_at(CONTEXT);
    let needs = Policy::parse("uniform+window-attention").unwrap().needs();
    let context = read(subject, before, after, &needs).unwrap();
    assert!(context.evidence().view().rows(Need::Future).is_empty());
    let refused = Policy::parse("uniform+oracle").unwrap();
    let budget = bitkv_evict::Budget::fraction(0.5).unwrap();
    assert!(
        refused
            .plan(&context.evidence().view(), budget)
            .unwrap_err()
            .to_string()
            .contains("future attention")
    );
    assert!(read(subject, before, &[], &needs).is_err(), "a continuation needs tokens");
}
