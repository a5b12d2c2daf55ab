//! Tests of entropies: one pass over a long text gives the entropies of every shorter context.

mod support;

use bitkv_lab::{
    profile::{Entropies, measure},
    window::Window,
};
use bitkv_models::LoadedModel;
use bitkv_progress::Silent;
use bitkv_record::Queries;
use support::{loaded_models, window};

const LONG: usize = 120;

fn windows(loaded: &LoadedModel, tokens: usize) -> Vec<Window> {
    let window_of_text = |index| Window {
        name: format!("{index}"),
        register: String::new(),
        tokens: window(loaded, index, tokens),
        text_tokens: tokens,
    };
    (0..3).map(window_of_text).collect()
}

fn entropies(loaded: &LoadedModel, tokens: usize) -> Entropies {
    measure(loaded, &windows(loaded, tokens), "", &Silent).unwrap()
}

#[test]
fn a_longer_pass_gives_the_entropies_of_shorter_contexts() {
    for loaded in loaded_models() {
        let long = entropies(&loaded, LONG);
        for context in [2, 16, 47, 100] {
            let short = entropies(&loaded, context);
            for rows in [Queries::Published, Queries::All] {
                assert_eq!(long.mean(context, rows), short.mean(context, rows), "{context} tokens, {rows:?}");
                assert_eq!(long.mean_normalised(context, rows), short.mean_normalised(context, rows));
            }
            assert_eq!(
                long.by_layer(context, Queries::Published),
                short.by_layer(context, Queries::Published)
            );
        }
        assert_ne!(long.mean(16, Queries::All), long.mean(100, Queries::All), "the length must matter");
    }
}

#[test]
fn entropies_are_between_0_and_the_logarithm_of_the_number_of_keys() {
    for loaded in loaded_models() {
        let entropies = entropies(&loaded, LONG);
        let heads = loaded.config().num_hidden_layers * loaded.config().num_attention_heads;
        for context in [2, LONG] {
            let bits = entropies.mean(context, Queries::All);
            assert_eq!(bits.len(), heads);
            assert!(bits.iter().all(|&bits| bits >= 0.0 && bits <= (context as f64).log2()), "{bits:?}");
            let normalised = entropies.mean_normalised(context, Queries::All);
            assert!(normalised.iter().all(|part| (0.0..=1.0).contains(part)), "{normalised:?}");
        }
    }
}

#[test]
fn windows_that_cannot_be_profiled_are_refused() {
    let loaded = &loaded_models()[0];
    let refused = |windows: &[Window]| measure(loaded, windows, "", &Silent).unwrap_err().to_string();
    assert!(refused(&[]).contains("no calibration texts"));
    assert!(refused(&windows(loaded, 1)).contains("2 tokens or more"));
    let mixed = [&windows(loaded, 10)[..], &windows(loaded, 11)].concat();
    assert!(refused(&mixed).contains("same length"));
}
