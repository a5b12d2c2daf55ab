//! The quantiles of the KL divergence over the scored tokens of a row.

use bitkv_record::GridRow;
use bitkv_stats::quantiles;

/// The quantiles of the KL divergence over scored tokens, in nats per token, as `llama-perplexity
/// --kl-divergence` reports them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlQuantiles {
    /// The median.
    pub median: f64,
    /// The 90 % quantile.
    pub p90: f64,
    /// The 95 % quantile.
    pub p95: f64,
    /// The 99 % quantile.
    pub p99: f64,
    /// The 99.9 % quantile.
    pub p999: f64,
    /// The largest value.
    pub max: f64,
}

impl KlQuantiles {
    /// The quantiles of nothing.
    pub(super) const UNDEFINED: KlQuantiles = KlQuantiles {
        median: f64::NAN,
        p90: f64::NAN,
        p95: f64::NAN,
        p99: f64::NAN,
        p999: f64::NAN,
        max: f64::NAN,
    };

    /// Returns the quantiles of the KL divergences of the scored tokens, `[tokens]`, in nats, with linear
    /// interpolation between neighbours. All are NaN if there are no tokens or one value is NaN.
    ///
    /// Source: the lambda `percentile` in tools/perplexity/perplexity.cpp of ggml-org/llama.cpp.
    pub fn new(kl: &[f64]) -> KlQuantiles {
        let found = quantiles(kl, [0.5, 0.9, 0.95, 0.99, 0.999, 1.0]);
        found.map_or(Self::UNDEFINED, |[median, p90, p95, p99, p999, max]| KlQuantiles {
            median,
            p90,
            p95,
            p99,
            p999,
            max,
        })
    }

    /// Writes the quantiles into the row of their cell.
    pub(super) fn record(&self, row: &mut GridRow) {
        row.kl_median = Some(self.median);
        row.kl_p90 = Some(self.p90);
        row.kl_p95 = Some(self.p95);
        row.kl_p99 = Some(self.p99);
        row.kl_p999 = Some(self.p999);
        row.kl_max = Some(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_numbers_from_0_to_1000_are_their_ranks() {
        // 487 and 1001 have no common divisor, so every number from 0 to 1000 occurs once.
        let values: Vec<f64> = (0..1001).map(|i| f64::from(i * 487 % 1001)).collect();
        let found = KlQuantiles::new(&values);
        let all = [found.median, found.p90, found.p95, found.p99, found.p999, found.max];
        for (found, rank) in all.into_iter().zip([500.0, 900.0, 950.0, 990.0, 999.0, 1000.0]) {
            assert!((found - rank).abs() < 1e-9, "{found} {rank}");
        }
    }

    #[test]
    fn a_quantile_between_two_tokens_is_interpolated() {
        // The 90 % quantile of two values is nine tenths of the way from the smaller to the larger.
        let found = KlQuantiles::new(&[3.0, 1.0]);
        assert_eq!((found.median, found.max), (2.0, 3.0));
        assert!((found.p90 - 2.8).abs() < 1e-12 && (found.p999 - 2.998).abs() < 1e-12);
    }

    #[test]
    fn nothing_has_no_quantiles() {
        for kl in [&[][..], &[1.0, f64::NAN]] {
            let found = KlQuantiles::new(kl);
            assert!(found.median.is_nan() && found.max.is_nan());
        }
    }
}
