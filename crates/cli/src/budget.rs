//! How much to keep: the same arguments for every command that evicts.

use anyhow::{Result, bail};
use bitkv_evict::Budget;

/// One of them says how much of the cache is kept.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct BudgetArguments {
    /// Part of the cache kept, above 0 and at most 1.
    #[arg(long, allow_negative_numbers = true)]
    budget: Option<f64>,
    /// Part of the cache removed, from 0 and below 1: kvpress' compression ratio, rounded as kvpress does.
    #[arg(long, allow_negative_numbers = true)]
    ratio: Option<f64>,
    /// Tokens that an average KV head keeps, whatever the length of the context.
    #[arg(long, value_name = "TOKENS")]
    budget_tokens: Option<usize>,
}

impl BudgetArguments {
    pub(crate) fn is_given(&self) -> bool {
        self.budget.is_some() || self.ratio.is_some() || self.budget_tokens.is_some()
    }

    /// As it was written, for a record; null where there is none.
    pub(crate) fn written(&self) -> serde_json::Value {
        match (self.budget, self.ratio, self.budget_tokens) {
            (Some(part), ..) => part.into(),
            (_, Some(removed), _) => format!("ratio {removed}").into(),
            (_, _, Some(tokens)) => format!("{tokens} tokens").into(),
            (None, None, None) => serde_json::Value::Null,
        }
    }

    pub(crate) fn parse(&self) -> Result<Budget> {
        match (self.budget, self.ratio, self.budget_tokens) {
            (Some(part), ..) => Ok(Budget::fraction(part)?),
            (_, Some(removed), _) => Ok(Budget::ratio(removed)?),
            (_, _, Some(tokens)) => Ok(Budget::tokens(tokens)?),
            (None, None, None) => {
                bail!(
                    "no budget says how much to keep: give --budget, such as 0.5, --ratio or --budget-tokens"
                )
            }
        }
    }
}
