//! The arguments that say how much of the cache is kept, for every command that evicts.

use anyhow::{Context, Result, bail, ensure};
use bitkv_evict::{Budget, Shape};
use bitkv_record::parse_bytes;

/// The budget of a policy. At most one of these arguments can be given.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct BudgetArguments {
    /// Fraction of the cache that is kept, above 0 and at most 1.
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    budget: Option<f64>,
    /// Fraction of the cache that is removed, from 0 to below 1. This is the compression ratio of kvpress,
    /// rounded as in kvpress.
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    ratio: Option<f64>,
    /// Number of tokens that a KV head keeps on average, for any length of the context.
    #[arg(long, value_name = "TOKENS")]
    budget_tokens: Option<usize>,
    /// Bytes of keys and values in f16 that all KV heads keep together, such as 65536, `64KiB` or `2 MiB`.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    budget_bytes: Option<usize>,
}

/// Parses a number of bytes that fits into memory.
fn bytes(text: &str) -> Result<usize> {
    usize::try_from(parse_bytes(text)?).with_context(|| format!("'{text}' is more than the memory can hold"))
}

impl BudgetArguments {
    pub(crate) fn is_given(&self) -> bool {
        self.to_json() != serde_json::Value::Null
    }

    /// Returns the budget as it was given, for the JSON document; null if no budget was given.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let ratio = self.ratio.map(|removed| format!("ratio {removed}"));
        let tokens = self.budget_tokens.map(|tokens| format!("{tokens} tokens"));
        let bytes = self.budget_bytes.map(|bytes| format!("{bytes} B"));
        match (self.budget, ratio.or(tokens).or(bytes)) {
            (Some(part), _) => part.into(),
            (None, Some(text)) => text.into(),
            (None, None) => serde_json::Value::Null,
        }
    }

    /// Returns the budget for a cache of this shape, which says how many bytes a cache entry takes.
    ///
    /// # Errors
    /// When there is no budget, or it is out of range.
    pub(crate) fn for_shape(&self, shape: Shape) -> Result<Budget> {
        let Some(bytes) = self.budget_bytes else { return self.check() };
        let (heads, entry) = (shape.all_kv_heads(), 4 * shape.head_dim);
        ensure!(
            bytes >= heads * entry,
            "--budget-bytes {bytes} does not hold one token of each of the {heads} KV heads: give at least {}",
            heads * entry
        );
        Ok(Budget::entries(bytes / entry.max(1))?)
    }

    /// Checks what can be checked before a model is loaded. A budget in bytes is not converted to entries
    /// yet.
    ///
    /// # Errors
    /// When there is no budget, or it is out of range.
    pub(crate) fn check(&self) -> Result<Budget> {
        match (self.budget, self.ratio, self.budget_tokens, self.budget_bytes) {
            (Some(part), ..) => Ok(Budget::fraction(part)?),
            (_, Some(removed), ..) => Ok(Budget::ratio(removed)?),
            (_, _, Some(tokens), _) => Ok(Budget::tokens(tokens)?),
            (.., Some(bytes)) => Ok(Budget::entries(bytes)?),
            (None, None, None, None) => bail!(
                "there is no budget: say how much to keep with --budget, such as --budget 0.5, or with --ratio, \
                 --budget-tokens or --budget-bytes"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_may_have_a_unit() {
        for (text, due) in [("10", 10), ("10B", 10), ("64KiB", 65536), ("2 MiB", 2 << 20)] {
            assert_eq!(bytes(text).unwrap(), due, "{text}");
        }
        for wrong in ["", "KiB", "-1", "1.5MiB", "10 kB", "99999999999GiB"] {
            assert!(bytes(wrong).unwrap_err().to_string().contains("is not a number of bytes"), "{wrong}");
        }
    }
}
