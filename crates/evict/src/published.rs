//! The three budget rules published as the "entropy-adaptive KV cache", as their code computes them. They
//! disagree with each other, and none of them conserves the budget.
//!
//! Source: microsoft/BitNet pull request 497 (commit 6311866), and the earlier study of GPT-2 by the same
//! author.

mod entropy_global;
mod entropy_inverted;
mod entropy_proportional;
mod shared;

pub use entropy_global::{EntropyGlobal, global_budget, importance};
pub use entropy_inverted::{EntropyInverted, inverted_budgets, inverted_range};
pub use entropy_proportional::{EntropyProportional, proportional_budgets};
