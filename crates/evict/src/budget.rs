//! Budgets: how much of a cache a policy keeps, as a fraction, a ratio, tokens or entries.

use crate::{Error, Shape};

/// How much of a cache to keep: a fraction, a ratio to remove, tokens per head, or entries in total.
///
/// ```
/// use bitkv_evict::{Budget, Shape};
///
/// let shape = Shape { layers: 2, query_heads: 4, kv_heads: 2, tokens: 100, head_dim: 64 };
/// assert_eq!(Budget::fraction(0.25)?.per_head(shape), 25);
/// assert_eq!(Budget::tokens(32)?.total(shape), 4 * 32);
/// # Ok::<(), bitkv_evict::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget(Amount);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    Fraction(f64),
    /// A fraction to remove. It is stored as given, because `1 - ratio` rounds differently.
    Removed(f64),
    Tokens(usize),
    Entries(usize),
}

impl Budget {
    /// Keeps everything.
    pub const FULL: Budget = Budget(Amount::Fraction(1.0));

    /// Keeps this fraction of the tokens seen, in (0, 1].
    ///
    /// # Errors
    /// Fails if `value` is outside (0, 1] or NaN.
    pub fn fraction(value: f64) -> Result<Budget, Error> {
        if value > 0.0 && value <= 1.0 {
            Ok(Budget(Amount::Fraction(value)))
        } else {
            Err(Error::Budget { value })
        }
    }

    /// Removes this fraction of the tokens, in [0, 1). This is kvpress' compression ratio; it is stored as
    /// given so that kvpress' rounding, `int(tokens * (1 - ratio))`, can be reproduced.
    ///
    /// # Errors
    /// Fails if `removed` is outside [0, 1) or NaN.
    pub fn ratio(removed: f64) -> Result<Budget, Error> {
        if (0.0..1.0).contains(&removed) {
            Ok(Budget(Amount::Removed(removed)))
        } else {
            Err(Error::Ratio { value: removed })
        }
    }

    /// Keeps this many tokens in an average KV head, regardless of the length of the context.
    ///
    /// # Errors
    /// Fails if `count` is 0.
    pub fn tokens(count: usize) -> Result<Budget, Error> {
        if count > 0 { Ok(Budget(Amount::Tokens(count))) } else { Err(Error::NoTokens) }
    }

    /// Keeps this many entries over all KV heads together, and at least one in each head. An entry is one
    /// token of one KV head. For a budget in bytes, divide by the bytes of an entry.
    ///
    /// # Errors
    /// Fails if `count` is 0.
    pub fn entries(count: usize) -> Result<Budget, Error> {
        if count > 0 { Ok(Budget(Amount::Entries(count))) } else { Err(Error::NoTokens) }
    }

    /// Returns whether the budget keeps everything of every cache.
    pub fn is_full(self) -> bool {
        matches!(self.0, Amount::Fraction(1.0) | Amount::Removed(0.0))
    }

    /// Returns the fraction of the shape's tokens that is kept, in (0, 1].
    pub fn kept_fraction(self, shape: Shape) -> f64 {
        match self.0 {
            Amount::Fraction(part) => part,
            Amount::Removed(part) => 1.0 - part,
            Amount::Tokens(_) | Amount::Entries(_) => {
                self.total(shape) as f64 / (shape.tokens * shape.all_kv_heads()) as f64
            }
        }
    }

    /// Returns the fraction of the shape's tokens that is removed, in [0, 1): kvpress' compression ratio.
    pub fn removed_fraction(self, shape: Shape) -> f64 {
        match self.0 {
            Amount::Removed(part) => part,
            _ => 1.0 - self.kept_fraction(shape),
        }
    }

    /// Returns how many tokens an average KV head of the shape keeps. A fraction is rounded down, but never
    /// below one token, since a head without tokens would fail silently. A kept fraction is meant exactly as
    /// it is written, so 0.29 of 100 tokens are 29; a ratio is rounded in `f64` as kvpress does.
    pub fn per_head(self, shape: Shape) -> usize {
        let tokens = shape.tokens;
        match self.0 {
            Amount::Fraction(kept) => decimal_part(tokens, kept).max(1),
            Amount::Removed(removed) => float_part(tokens, 1.0 - removed).max(1),
            Amount::Tokens(count) => count.min(tokens),
            Amount::Entries(count) => (count / shape.all_kv_heads().max(1)).clamp(1, tokens.max(1)),
        }
    }

    /// Returns the budget for repeated evictions while tokens are added to a cache of shape `whole`. A
    /// fraction becomes the number of entries that it keeps of `whole`, so the cache does not grow with the
    /// text.
    /// Tokens, entries and a full budget stay as they are.
    #[must_use]
    pub fn fixed_for(self, whole: Shape) -> Budget {
        match self.0 {
            Amount::Fraction(_) | Amount::Removed(_) if !self.is_full() => {
                Budget(Amount::Entries(self.total(whole)))
            }
            _ => self,
        }
    }

    /// Returns how many entries (one token of one KV head) all KV heads keep together.
    pub fn total(self, shape: Shape) -> usize {
        let heads = shape.all_kv_heads();
        match self.0 {
            Amount::Entries(count) => count.clamp(heads, heads * shape.tokens),
            _ => self.per_head(shape) * heads,
        }
    }
}

/// Returns a fraction of a count, rounded down in `f64`.
fn float_part(count: usize, part: f64) -> usize {
    (count as f64 * part).floor() as usize
}

/// Returns a fraction of a count, rounded down. `f64` has 0.29 only nearly, so 100 times 0.29 is below 29;
/// the decimal digits of the fraction are exact. A third, whose digits do not end, is rounded in `f64`.
fn decimal_part(count: usize, part: f64) -> usize {
    let text = part.to_string();
    let (whole, digits) = text.split_once('.').unwrap_or((&text, ""));
    let numerator: Option<u128> = format!("{whole}{digits}").parse().ok();
    let denominator = u32::try_from(digits.len()).ok().and_then(|length| 10_u128.checked_pow(length));
    let product = numerator.and_then(|numerator| numerator.checked_mul(count as u128));
    let exact = product.zip(denominator).map(|(product, denominator)| product / denominator);
    let exact = exact.and_then(|exact| usize::try_from(exact).ok());
    float_part(count, part).max(exact.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { layers: 2, query_heads: 6, kv_heads: 3, tokens: 9, head_dim: 1 };

    #[test]
    fn a_fraction_is_rounded_down_but_never_to_zero() {
        assert_eq!(Budget::fraction(0.5).unwrap().per_head(SHAPE), 4);
        assert_eq!(Budget::fraction(0.01).unwrap().per_head(SHAPE), 1);
        assert_eq!(Budget::FULL.per_head(SHAPE), 9);
        assert_eq!(Budget::fraction(0.5).unwrap().total(SHAPE), 24);
    }

    #[test]
    fn a_decimal_fraction_is_exact() {
        let kept = |tokens, part| Budget::fraction(part).unwrap().per_head(Shape { tokens, ..SHAPE });
        for percent in 1..=100 {
            for tokens in [100, 300, 1_000, 12_300, 1_000_000] {
                assert_eq!(kept(tokens, f64::from(percent) / 100.0), tokens * percent as usize / 100);
            }
        }
        assert_eq!((kept(100, 0.29), kept(100, 0.57), kept(100, 0.58)), (29, 57, 58));
        assert_eq!((kept(9, 1.0 / 3.0), kept(100, 0.299), kept(100, 1e-300)), (3, 29, 1));
    }

    #[test]
    fn a_ratio_is_rounded_as_kvpress_does() {
        let kept = |tokens, ratio| Budget::ratio(ratio).unwrap().per_head(Shape { tokens, ..SHAPE });
        assert_eq!((kept(1000, 0.9), kept(100, 0.8), kept(1000, 0.8)), (99, 19, 199));
        assert_eq!(Budget::ratio(0.9).unwrap().removed_fraction(SHAPE), 0.9);
        assert!(Budget::ratio(0.0).unwrap().is_full() && !Budget::ratio(0.1).unwrap().is_full());
    }

    #[test]
    fn a_fixed_budget_does_not_grow_with_the_text() {
        let long = Shape { tokens: 1000, ..SHAPE };
        let half = Budget::fraction(0.5).unwrap();
        assert_eq!((half.fixed_for(SHAPE).total(long), half.total(long)), (24, 3000));
        assert_eq!(Budget::ratio(0.5).unwrap().fixed_for(SHAPE).total(long), 24);
        for budget in [Budget::FULL, Budget::tokens(50).unwrap(), Budget::entries(70).unwrap()] {
            assert_eq!(budget.fixed_for(SHAPE), budget);
        }
    }

    #[test]
    fn absolute_budgets_do_not_depend_on_the_context() {
        let long = Shape { tokens: 1000, ..SHAPE };
        let tokens = Budget::tokens(8).unwrap();
        assert_eq!((tokens.per_head(SHAPE), tokens.per_head(long), tokens.total(long)), (8, 8, 48));
        assert_eq!(Budget::tokens(10).unwrap().per_head(SHAPE), 9);
        let entries = Budget::entries(31).unwrap();
        assert_eq!((entries.total(long), entries.per_head(long)), (31, 5));
        assert_eq!(Budget::entries(2).unwrap().total(SHAPE), 6);
        assert_eq!(Budget::entries(1000).unwrap().total(SHAPE), 54);
        assert_eq!(entries.kept_fraction(SHAPE), 31.0 / 54.0);
    }

    #[test]
    fn values_outside_their_range_are_errors() {
        for value in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            let message = Budget::fraction(value).unwrap_err().to_string();
            assert!(message.starts_with(&format!("a budget of {value} is outside (0, 1]")), "{message}");
        }
        for value in [-0.1, 1.0, f64::NAN] {
            let message = Budget::ratio(value).unwrap_err().to_string();
            assert!(message.starts_with(&format!("a ratio of {value} is outside [0, 1)")), "{message}");
        }
        assert!(Budget::tokens(0).is_err() && Budget::entries(0).is_err());
    }
}
