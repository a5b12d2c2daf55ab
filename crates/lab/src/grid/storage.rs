//! Converts between cache entries and bytes, for each cache format.

use bitkv_bitnet::{Cache, KvCache, Quantisation};
use bitkv_evict::{Budget, Shape};
use bitkv_record::{AskedBudget, Equal, KvFormat};

/// Returns the bytes of one entry (a key and a value) in f16.
fn f16_bytes(head_dim: usize) -> u64 {
    4 * head_dim as u64
}

/// Returns the quantisation of a cache format; `None` for f16.
pub(super) fn quantisation(kv: KvFormat) -> Option<Quantisation> {
    match kv {
        KvFormat::F16 => None,
        KvFormat::Int8 => Some(Quantisation::Int8),
        KvFormat::Int4 => Some(Quantisation::Int4),
        KvFormat::Kivi4 => Some(Quantisation::kivi(4)),
        KvFormat::Kivi2 => Some(Quantisation::kivi(2)),
    }
}

/// Returns the budget of a cell's policy on a cache of `shape`.
///
/// # Errors
/// Returns an error if the budget keeps nothing.
pub(super) fn budget(
    asked: AskedBudget,
    kv: KvFormat,
    equal: Equal,
    shape: Shape,
) -> Result<Budget, bitkv_evict::Error> {
    let plain = match asked {
        AskedBudget::Fraction(part) => Budget::fraction(part)?,
        AskedBudget::Ratio(removed) => Budget::ratio(removed)?,
        AskedBudget::Tokens(tokens) => Budget::tokens(tokens)?,
        // A budget in bytes is compared with the bytes of the cache in the cell's format.
        AskedBudget::Bytes(bytes) => return fitting(bytes, kv, shape),
        AskedBudget::Realised(part, _) => Budget::fraction(part)?,
    };
    match equal {
        Equal::Bytes if kv != KvFormat::F16 && !plain.is_full() => {
            fitting(plain.total(shape) as u64 * f16_bytes(shape.head_dim), kv, shape)
        }
        _ => Ok(plain),
    }
}

/// Returns the number of entries that fit into `bytes` if every KV head holds the same number; at least one
/// per head.
fn fitting(bytes: u64, kv: KvFormat, shape: Shape) -> Result<Budget, bitkv_evict::Error> {
    let heads = shape.all_kv_heads();
    let Some(quantisation) = quantisation(kv) else {
        return Budget::entries((bytes / f16_bytes(shape.head_dim)) as usize);
    };
    let head_bytes = |tokens: usize| quantisation.bytes(tokens, shape.head_dim) as u64;
    // Bytes grow with the number of tokens, except when a group of the residual window is completed and
    // quantised.
    let most = (1..=shape.tokens).rev().find(|&tokens| head_bytes(tokens) * heads as u64 <= bytes);
    Budget::entries(most.unwrap_or(1) * heads)
}

/// Quantises a cache to a format.
///
/// # Errors
/// Returns an error if the cache refuses the quantisation, which the formats of definitions never cause.
pub(crate) fn store(cache: &mut Cache, kv: KvFormat) -> crate::Result<()> {
    match quantisation(kv) {
        Some(quantisation) => Ok(cache.quantise(quantisation)?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { layers: 2, query_heads: 4, kv_heads: 2, tokens: 1000, head_dim: 8 };

    #[test]
    fn a_ratio_keeps_its_rounding() {
        let budget = |text: &str| budget(text.parse().unwrap(), KvFormat::F16, Equal::Tokens, SHAPE).unwrap();
        assert_eq!(budget("ratio 0.8"), Budget::ratio(0.8).unwrap());
        assert_eq!((budget("ratio 0.8").per_head(SHAPE), budget("0.2").per_head(SHAPE)), (199, 200));
        assert!(budget("ratio 0").is_full());
    }
}
