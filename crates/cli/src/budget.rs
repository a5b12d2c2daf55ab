//! The arguments that say how much of the cache is kept, for every command that evicts.

use anyhow::{Context, Result, anyhow, bail, ensure};
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
    /// Bytes of keys and values in f16 that all KV heads keep together, such as 65536, `64KiB` or `2.5 MB`.
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_negative_numbers = true)]
    budget_bytes: Option<Bytes>,
}

/// A number of bytes that may be written with a unit, unlike the plain numbers of other options.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Bytes(pub(crate) usize);

/// Parses a number of bytes that fits into memory.
pub(crate) fn bytes(text: &str) -> Result<Bytes> {
    let bytes = usize::try_from(parse_bytes(text)?);
    bytes.map(Bytes).with_context(|| format!("'{text}' is more than the memory can hold"))
}

/// Returns the budget that keeps the fraction `value`, which `--budget` gave.
///
/// # Errors
/// When the fraction is out of range. The message names the option.
pub(crate) fn fraction(value: f64) -> Result<Budget> {
    let outside = "is outside (0, 1]: give the fraction of the cache to keep, such as 0.5";
    Budget::fraction(value).map_err(|_| anyhow!("--budget {value} {outside}"))
}

impl BudgetArguments {
    pub(crate) fn is_given(&self) -> bool {
        self.to_json() != serde_json::Value::Null
    }

    /// Returns the budget as it was given, for the JSON document; null if no budget was given.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let ratio = self.ratio.map(|removed| format!("ratio {removed}"));
        let tokens = self.budget_tokens.map(|tokens| format!("{tokens} tokens"));
        let bytes = self.budget_bytes.map(|Bytes(bytes)| format!("{bytes} B"));
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
        let Some(Bytes(bytes)) = self.budget_bytes else { return self.check() };
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
            (Some(part), ..) => fraction(part),
            (_, Some(removed), ..) => Budget::ratio(removed).map_err(|_| {
                let remedy = "give the fraction of the cache to remove, such as 0.5";
                anyhow!("--ratio {removed} is outside [0, 1): {remedy}")
            }),
            (_, _, Some(tokens), _) => Budget::tokens(tokens)
                .map_err(|_| anyhow!("--budget-tokens {tokens} would empty the cache: give at least 1")),
            (.., Some(Bytes(bytes))) => Budget::entries(bytes).map_err(|_| {
                anyhow!(
                    "--budget-bytes {bytes} would empty the cache: give at least one token of each KV head"
                )
            }),
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
        for (text, due) in [
            ("10", 10),
            ("10B", 10),
            ("64KiB", 65536),
            ("2 MiB", 2 << 20),
            ("2.5MB", 2_500_000),
            ("1.5 GiB", 3 << 29),
        ] {
            assert_eq!(bytes(text).unwrap().0, due, "{text}");
        }
        for wrong in ["", "KiB", "-1", "1.5", "10 KB", "99999999999GiB"] {
            assert!(bytes(wrong).unwrap_err().to_string().contains("is not a number of bytes"), "{wrong}");
        }
    }
}
