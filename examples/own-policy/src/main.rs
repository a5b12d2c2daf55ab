//! The command line `bitkv` with a scorer that is defined in this crate: every command that takes a policy
//! also accepts `uniform+spread`.
//!
//! ```sh
//! cargo run --release -p own-policy -- plan --model tiny-gqa --text LICENSE \
//!     --policy uniform+spread --budget 0.25
//! cargo run --release -p own-policy -- run examples/own-policy/spread.toml
//! ```

#![forbid(unsafe_code)]

use std::process::ExitCode;

use bitkv_evict::{Head, Scorer, checks, method};

method! {
    /// Keeps tokens at even distances over the whole context, regardless of attention.
    pub struct Spread {
        /// The distance in tokens between the tokens that are kept first.
        every: usize = 4 => checks::within(1.., "a distance is at least 1"),
    }
    "spread" from "this example", "Keeps every fourth token, then the latest tokens.", role: Control, pools: false
}

impl Scorer for Spread {
    fn incomparable(&self) -> Option<&'static str> {
        Some("positions are the same in every head")
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let seen = head.tokens_seen();
        for (score, &position) in out.iter_mut().zip(head.positions().iter()) {
            let first = (position as usize).is_multiple_of(self.every);
            *score = position as f32 + if first { seen as f32 } else { 0.0 };
        }
    }
}

fn main() -> ExitCode {
    match bitkv_lab::registry().and_then(|registry| registry.with_scorer::<Spread>()) {
        Ok(registry) => bitkv_cli::main(&registry),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scorer_conforms() {
        let registry = bitkv_evict::Registry::standard().with_scorer::<Spread>().unwrap();
        let failures = bitkv_evict::conformance::check(&registry);
        assert!(failures.is_empty(), "{failures:?}");
    }
}
