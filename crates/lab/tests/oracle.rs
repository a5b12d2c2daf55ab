//! The observation of the oracle: the attention that the continuation pays to the context.

mod support;

use bitkv_bitnet::Probes;
use bitkv_evict::{Need, Needs, Policy};
use bitkv_lab::{context::Context, observation::Calibration};
use bitkv_models::LoadedModel;
use support::{loaded_models, window};

const CONTEXT: usize = 70;
const CONTINUATION: usize = 15;
/// The largest rounding error of sums of single-precision probabilities.
const ROUNDING: f32 = 1e-3;

fn read<'a>(
    loaded: &'a LoadedModel,
    before: &[u32],
    after: &[u32],
    needs: &Needs,
) -> bitkv_lab::Result<Context<'a>> {
    Context::read(loaded, before, after, needs, &Calibration::new(), &Probes::default())
}

#[test]
fn future_attention_is_that_of_the_continuation_on_the_context() {
    for loaded in loaded_models() {
        let tokens = window(&loaded, 3, CONTEXT + CONTINUATION);
        let (before, after) = tokens.split_at(CONTEXT);
        let needs = Policy::parse("uniform+oracle").unwrap().needs();
        assert_eq!(needs, Needs::from([Need::Future]));
        let context = read(&loaded, before, after, &needs).unwrap();
        let seen = context.observation().view();
        let heads = loaded.config().num_hidden_layers * loaded.config().num_attention_heads;
        assert_eq!(seen.rows(Need::Future).len(), heads);

        // The model itself gives the attention to all keys. Every query spreads a mass of 1 over them.
        let mut cache = loaded.model.new_cache();
        loaded.model.forward(before, &mut cache, None).unwrap();
        let probes = Probes { accumulated: true, ..Probes::default() };
        let all = loaded.model.forward(after, &mut cache, Some(&probes)).unwrap().probed.unwrap();
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
fn only_oracles_see_future_attention() {
    let loaded = &loaded_models()[0];
    let tokens = window(loaded, 3, CONTEXT + CONTINUATION);
    let (before, after) = tokens.split_at(CONTEXT);
    let needs = Policy::parse("uniform+window-attention").unwrap().needs();
    let context = read(loaded, before, after, &needs).unwrap();
    assert!(context.observation().view().rows(Need::Future).is_empty());
    let refused = Policy::parse("uniform+oracle").unwrap();
    let budget = bitkv_evict::Budget::fraction(0.5).unwrap();
    assert!(
        refused
            .plan(&context.observation().view(), budget)
            .unwrap_err()
            .to_string()
            .contains("future attention")
    );
    assert!(read(loaded, before, &[], &needs).is_err(), "an empty continuation is refused");
}
