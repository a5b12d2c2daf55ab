//! The example `own_scorer` runs, and its scorer keeps the tokens that it should.

use bitkv_evict::{Budget, Guard, Need, Policy, allocators::Uniform};

#[path = "../examples/own_scorer/main.rs"]
mod own_scorer;

use own_scorer::{ValueNorm, main as example, observed};

#[test]
fn the_example_runs() {
    example().unwrap();
}

#[test]
fn the_scorer_keeps_the_longest_values_of_a_real_model() {
    let observed = observed::tiny_gqa().unwrap();
    let view = observed.view();
    let policy = Policy::builder(Uniform::default(), ValueNorm::default());
    let policy = policy.guard(Guard { sinks: 0, recent: 0 }).build().unwrap();
    let plan = policy.plan(&view, Budget::tokens(8).unwrap()).unwrap();
    for (head, values) in view.rows(Need::Values).iter().enumerate() {
        let length =
            |position: u32| -> f32 { values[position as usize * 32..][..32].iter().map(|x| x.abs()).sum() };
        let kept = plan.kept(head / 2, head % 2);
        let shortest = kept.iter().map(|&p| length(p)).fold(f32::INFINITY, f32::min);
        let evicted = (0..64).filter(|p| !kept.contains(p)).map(length).fold(0.0, f32::max);
        assert!(kept.len() == 8 && shortest > evicted, "KV head {head}: {shortest} and {evicted}");
    }
    // The recorded observation has not changed since this plan was written down.
    assert_eq!(plan.kept(3, 1), [0, 3, 11, 26, 28, 37, 44, 57]);
}
