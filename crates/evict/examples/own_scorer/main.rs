//! Defines a scorer, checks it, and plans with it and with scorers of this crate, on the keys and values of a
//! real model for a text.

pub(crate) mod observed;

use bitkv_evict::{Budget, Head, Need, Planner, Registry, Scorer, conformance, method};

method! {
    /// Keeps the tokens whose values are long: the value is what a token adds to the output.
    pub(crate) struct ValueNorm {}
    needs(self) [Need::Values];
    "value-norm" from "this example", "Keeps the tokens with the longest values.", pools: false
}

impl Scorer for ValueNorm {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let values = head.values().chunks_exact(head.head_dim());
        for (score, value) in out.iter_mut().zip(values) {
            *score = value.iter().map(|x| x.abs()).sum();
        }
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Each failure says what is wrong and what to change.
    assert_eq!(conformance::check_scorer(ValueNorm::default())?, []);
    // A registry lets specifications name the scorer.
    let registry = Registry::standard().with_scorer::<ValueNorm>()?;
    let observed = observed::tiny_gqa()?;
    let (view, budget) = (observed.view(), Budget::fraction(0.25)?);
    // A planner computes the scores of each scorer once.
    let planner = Planner::new(&view);
    for spec in ["uniform+value-norm", "adaptive+value-norm", "adaptive+key-norm"] {
        let plan = planner.plan(&registry.policy(spec)?, budget)?;
        println!("{spec} keeps {:?} tokens in its KV heads", plan.counts().collect::<Vec<_>>());
    }
    Ok(())
}
