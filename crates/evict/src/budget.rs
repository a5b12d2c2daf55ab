use crate::{Error, Shape};

/// How much of a cache to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget(f64);

impl Budget {
    /// Keeps everything.
    pub const FULL: Budget = Budget(1.0);

    /// Keeps this part of the cache, in (0, 1].
    pub fn fraction(value: f64) -> Result<Budget, Error> {
        if value > 0.0 && value <= 1.0 { Ok(Budget(value)) } else { Err(Error::Budget { value }) }
    }

    /// The part kept, in (0, 1].
    pub fn get(self) -> f64 {
        self.0
    }

    /// Tokens that an average KV head of `tokens` keeps: the fraction rounded down in
    /// `f64`, yet never below one, since an emptied head would fail silently.
    pub fn per_head(self, tokens: usize) -> usize {
        ((tokens as f64 * self.0).floor() as usize).max(1)
    }

    /// Tokens that all KV heads keep together.
    pub fn total(self, shape: Shape) -> usize {
        self.per_head(shape.tokens) * shape.all_kv_heads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_down_but_never_to_nothing() {
        assert_eq!(Budget::fraction(0.5).unwrap().per_head(9), 4);
        assert_eq!(Budget::fraction(0.01).unwrap().per_head(9), 1);
        assert_eq!(Budget::FULL.per_head(9), 9);
        let shape = Shape { layers: 2, query_heads: 6, kv_heads: 3, tokens: 9, head_dim: 1 };
        assert_eq!(Budget::fraction(0.5).unwrap().total(shape), 24);
    }

    #[test]
    fn refuses_what_is_no_part() {
        for value in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            let said = Budget::fraction(value).unwrap_err().to_string();
            assert!(said.starts_with(&format!("a budget of {value} is outside (0, 1]")), "{said}");
        }
    }
}
