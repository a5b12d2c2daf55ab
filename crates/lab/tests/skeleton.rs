//! A model beside its Llama skeleton, and beside itself.

mod support;

use bitkv_bitnet::Observe;
use bitkv_evict::{Needs, Planner, Policy};
use bitkv_lab::{
    Loading, SKELETON_MARK, Source, Subject,
    cell::{self, Label, Scored},
    context::Context,
    evidence::Numbers,
    profile::{Rows, measure as entropies},
    progress::Steps,
    skeleton::{Measured, Options, compare, losses, measure},
    suite,
    window::Window,
};
use bitkv_record::{Mistakes, SkeletonPair, SkeletonWeights, Text, Thresholds};
use support::subjects;

const OPTIONS: Options = Options { calibration_tokens: 96, evaluation_tokens: 128, seed: 7 };

fn skeleton_of(subject: &Subject) -> Subject {
    let skeleton = Loading { llama_skeleton: true, ..Loading::default() };
    Source::find_with(&subject.name, skeleton).unwrap().open().unwrap()
}

fn compared(truth: &Subject, other: &Subject) -> (Measured, SkeletonPair) {
    let measured = measure(truth, other, &suite::texts().unwrap(), &OPTIONS).unwrap();
    let mistakes = Mistakes {
        weights: SkeletonWeights::CodesTimesScale,
        replaced_activation: Some("relu2".into()),
        without_sub_norms: true,
        unquantised_activations: true,
    };
    let pair = compare([truth, other], mistakes, &measured, OPTIONS.seed);
    (measured, pair)
}

#[test]
fn a_model_beside_itself_differs_in_nothing() {
    let truth = &subjects()[0];
    let (measured, pair) = compared(truth, truth);
    let nothing = Some((0.0, 0.0));
    let d = &pair.difference;
    for spread in [d.bits_per_token, d.bits_per_byte, d.kl_nats] {
        assert_eq!((spread.mean, spread.interval), (0.0, nothing));
    }
    assert_eq!((d.agreement.mean, d.agreement.interval), (1.0, Some((1.0, 1.0))));
    assert_eq!(d.profiles.iter().map(|p| p.context).collect::<Vec<_>>(), [64, 96]);
    for profile in &d.profiles {
        assert!((profile.rank_correlation.unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(profile.mean_absolute_bits, 0.0);
        assert_eq!(
            (profile.text_absolute_bits.interval, profile.text_below_focused.interval),
            (nothing, nothing)
        );
        assert!(profile.between_halves.unwrap() < 1.0, "the halves hold different texts");
    }
    assert!(pair.harmless, "{:?}", pair.expectations);
    assert!(measured.losses.iter().all(|text| text.truth.bits_per_token == text.other.bits_per_token));
}

#[test]
fn a_skeleton_is_marked_and_differs() {
    let truth = &subjects()[1];
    let (measured, pair) = compared(truth, &skeleton_of(truth));
    let marked = format!("{}{SKELETON_MARK}", truth.name);
    assert_eq!((pair.model.as_str(), pair.truth.name.as_str()), (truth.name.as_str(), truth.name.as_str()));
    assert_eq!(pair.skeleton.name, marked);
    for text in &measured.losses {
        assert_eq!((&text.truth.model, &text.truth.reference), (&truth.name, &truth.name));
        assert_eq!((&text.other.model, &text.other.reference), (&marked, &truth.name));
        assert_eq!((text.truth.agreement, text.truth.kl_nats), (None, None));
        assert!(
            text.other.agreement.unwrap() < 1.0 && text.other.kl_nats.unwrap() > 0.0,
            "{}",
            text.other.text
        );
    }
    assert!(pair.difference.profiles.iter().all(|profile| profile.mean_absolute_bits > 0.0));
}

/// A cell with the whole cache reads a context, then its continuation; the losses come from one pass.
#[test]
fn losses_are_those_of_a_full_cache() {
    const CONTEXT: usize = 64;
    let truth = &subjects()[0];
    let texts = suite::texts().unwrap();
    let texts: Vec<&Text> = texts.evaluation().take(2).collect();
    let short = Window::of_all(truth, &texts, CONTEXT + 1).unwrap();
    let long = Window::of_all(truth, &texts, CONTEXT + 33).unwrap();
    let bits = |windows: &[Window]| -> Vec<f64> {
        let losses = losses::measure(truth, truth, windows, &Steps::hidden()).unwrap();
        losses.iter().map(|text| text.truth.bits_per_token * text.truth.targets as f64).collect()
    };
    let full = Policy::parse("full").unwrap();
    for ((window, short), long) in long.iter().zip(bits(&short)).zip(bits(&long)) {
        let (read, targets) = (&window.tokens[..CONTEXT + 32], &window.tokens[CONTEXT + 1..]);
        let (context, continuation) = read.split_at(CONTEXT);
        let (needs, numbers) = (Needs::default(), Numbers::new());
        let context =
            Context::read(truth, context, continuation, &needs, &numbers, &Observe::default()).unwrap();
        let view = context.evidence().view();
        let planner = Planner::new(&view);
        let label = Label { model: &truth.name, text: &window.name, register: "" };
        let row =
            cell::measure(label, &context, &planner, &full, 1.0, Scored::Text { targets, bytes: 1 }).unwrap();
        let expected = row.nll_nats.unwrap() * 32.0 / std::f64::consts::LN_2;
        assert!(
            (long - short - expected).abs() < 1e-9 * expected,
            "{}: {} and {expected}",
            window.name,
            long - short
        );
    }
}

#[test]
fn readings_are_those_of_a_profile() {
    let truth = &subjects()[0];
    let (measured, pair) = compared(truth, truth);
    let texts = suite::texts().unwrap();
    let texts: Vec<&Text> = texts.calibration().collect();
    let windows = Window::of_all(truth, &texts, 64).unwrap();
    let bits = entropies(truth, &windows, &Steps::hidden()).unwrap().mean(64, Rows::Published);
    let reading = &pair.truth.profiles[0];
    assert_eq!(reading.classes, Thresholds::CODE.count(bits.iter().copied()));
    let below = bits.iter().filter(|bits| **bits < 1.5).count() as f64 / bits.len() as f64;
    assert_eq!((reading.context, reading.below_focused), (64, below));
    let mean = measured.losses.iter().map(|text| text.truth.bits_per_token).sum::<f64>()
        / measured.losses.len() as f64;
    assert!((pair.truth.bits_per_token - mean).abs() < 1e-9, "all windows are of one length");
    assert!((pair.truth.perplexity.log2() - mean).abs() < 1e-9);
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let truth = &subjects()[0];
    let texts = suite::texts().unwrap();
    let refusal = |options: Options| measure(truth, truth, &texts, &options).unwrap_err().to_string();
    let message = refusal(Options { evaluation_tokens: 4096, ..OPTIONS });
    assert!(message.contains("wants 4096") && message.contains("--evaluation-tokens"), "{message}");
    let message = refusal(Options { calibration_tokens: 1, ..OPTIONS });
    assert!(message.contains("too short"), "{message}");
}
