//! Entropies: one long pass serves every shorter context.

mod support;

use bitkv_lab::{
    Subject,
    profile::{Entropies, Rows, measure},
    progress::Steps,
    window::Window,
};
use support::{subjects, window};

const LONG: usize = 120;

fn windows(subject: &Subject, tokens: usize) -> Vec<Window> {
    let one = |index| Window {
        name: format!("{index}"),
        register: String::new(),
        tokens: window(subject, index, tokens),
    };
    (0..3).map(one).collect()
}

fn entropies(subject: &Subject, tokens: usize) -> Entropies {
    measure(subject, &windows(subject, tokens), &Steps::hidden()).unwrap()
}

#[test]
fn a_shorter_context_follows_from_a_longer_pass() {
    for subject in subjects() {
        let long = entropies(&subject, LONG);
        for context in [2, 16, 47, 100] {
            let short = entropies(&subject, context);
            for rows in [Rows::Published, Rows::All] {
                assert_eq!(long.mean(context, rows), short.mean(context, rows), "{context} tokens, {rows:?}");
                assert_eq!(long.mean_normalised(context, rows), short.mean_normalised(context, rows));
            }
            assert_eq!(long.by_layer(context, Rows::Published), short.by_layer(context, Rows::Published));
        }
        assert_ne!(long.mean(16, Rows::All), long.mean(100, Rows::All), "the length must matter");
    }
}

#[test]
fn entropies_lie_between_nothing_and_all_keys() {
    for subject in subjects() {
        let entropies = entropies(&subject, LONG);
        let heads = subject.config().num_hidden_layers * subject.config().num_attention_heads;
        for context in [2, LONG] {
            let bits = entropies.mean(context, Rows::All);
            assert_eq!(bits.len(), heads);
            assert!(bits.iter().all(|&bits| bits >= 0.0 && bits <= (context as f64).log2()), "{bits:?}");
            let normalised = entropies.mean_normalised(context, Rows::All);
            assert!(normalised.iter().all(|part| (0.0..=1.0).contains(part)), "{normalised:?}");
        }
    }
}

#[test]
fn rows_of_the_record_are_the_texts_and_their_mean() {
    for subject in subjects() {
        let entropies = entropies(&subject, 32);
        let rows = entropies.rows(&subject.name, 32, Rows::Published);
        let mean = entropies.mean(32, Rows::Published);
        assert_eq!(rows.len(), 4 * mean.len());
        for (i, row) in rows[..mean.len()].iter().enumerate() {
            assert_eq!((row.text.as_str(), row.entropy_bits), ("", Some(mean[i])));
            let of_texts =
                rows.iter().filter(|r| !r.text.is_empty() && (r.layer, r.head) == (row.layer, row.head));
            let average = of_texts.filter_map(|r| r.entropy_bits).sum::<f64>() / 3.0;
            assert!((average - mean[i]).abs() < 1e-12, "layer {}, head {}", row.layer, row.head);
        }
    }
}

#[test]
fn windows_that_cannot_be_profiled_are_refused() {
    let subject = &subjects()[0];
    let refused = |windows: &[Window]| measure(subject, windows, &Steps::hidden()).unwrap_err().to_string();
    assert!(refused(&[]).contains("no calibration texts"));
    assert!(refused(&windows(subject, 1)).contains("2 tokens or more"));
    let mixed = [&windows(subject, 10)[..], &windows(subject, 11)].concat();
    assert!(refused(&mixed).contains("one length"));
}
