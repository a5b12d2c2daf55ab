//! What would show that the mistake is harmless; written before it was measured.

use bitkv_record::{Difference, Expectation, ProfileDifference, Spread};

/// Bits a token that hardly anyone would notice.
const BITS: f64 = 0.05;
/// The part of next tokens that has to stay.
const AGREEMENT: f64 = 0.95;
/// How far the share of heads below 1.5 bits may move.
const SHARE: f64 = 0.05;

/// The refutation as one paragraph.
pub(super) fn sentence() -> String {
    format!(
        "The mistake would be harmless if, with 95 % intervals over texts, the skeleton cost within {BITS} bits a \
         token of the true model, chose the same next token at {:.0} % of positions or more, ordered the heads by \
         entropy as much like the true model on the same texts as two halves of the texts do within the true model, \
         and moved the share of heads below 1.5 bits by less than {:.0} points.",
        100.0 * AGREEMENT,
        100.0 * SHARE
    )
}

/// Each part of it, against the measurement.
pub(super) fn expectations(difference: &Difference) -> Vec<Expectation> {
    let Difference { bits_per_token, agreement, .. } = difference;
    let mut all = vec![
        Expectation {
            statement: format!("costs within {BITS} bits a token of the true model"),
            measured: format!("{} bits", show(bits_per_token, 1.0, 3)),
            holds: within(bits_per_token, BITS),
        },
        Expectation {
            statement: format!(
                "chooses the same next token at {:.0} % of positions or more",
                100.0 * AGREEMENT
            ),
            measured: format!("{} %", show(agreement, 100.0, 1)),
            holds: agreement.interval.is_some_and(|(low, _)| low >= AGREEMENT),
        },
    ];
    all.extend(difference.profiles.iter().flat_map(of_profile));
    all
}

fn of_profile(profile: &ProfileDifference) -> [Expectation; 2] {
    let ProfileDifference { context, rank_correlation, between_halves, text_below_focused, .. } = profile;
    let correlation = |value: &Option<f64>| value.map_or("none".into(), |value| format!("{value:.3}"));
    let ordered = matches!((rank_correlation, between_halves), (Some(own), Some(chance)) if own >= chance);
    [
        Expectation {
            statement: format!("orders the heads at {context} tokens as two halves of the texts do"),
            measured: format!("{}, halves {}", correlation(rank_correlation), correlation(between_halves)),
            holds: ordered,
        },
        Expectation {
            statement: format!(
                "moves the share of heads below 1.5 bits at {context} tokens by less than {:.0} points",
                100.0 * SHARE
            ),
            measured: format!("{} points", show(text_below_focused, 100.0, 1)),
            holds: within(text_below_focused, SHARE),
        },
    ]
}

/// Whether all of the interval is nearer to 0 than `bound`; a single text shows nothing.
fn within(spread: &Spread, bound: f64) -> bool {
    spread.interval.is_some_and(|(low, high)| -bound < low && high < bound)
}

/// `mean [low, high]`.
pub(super) fn show(spread: &Spread, factor: f64, decimals: usize) -> String {
    let print = |value: f64| format!("{:.decimals$}", factor * value + 0.0);
    match spread.interval {
        Some((low, high)) => format!("{} [{}, {}]", print(spread.mean), print(low), print(high)),
        None => print(spread.mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(mean: f64, low: f64, high: f64) -> Spread {
        Spread { mean, interval: Some((low, high)) }
    }

    fn difference(bits: Spread, agreement: Spread, correlation: Option<f64>, share: Spread) -> Difference {
        let profile = ProfileDifference {
            context: 64,
            rank_correlation: correlation,
            between_halves: Some(0.9),
            mean_absolute_bits: 0.0,
            text_rank_correlation: None,
            text_absolute_bits: bits,
            text_below_focused: share,
        };
        let (bits_per_byte, above_uniform_bits, kl_nats) = (bits, bits, bits);
        Difference {
            bits_per_token: bits,
            bits_per_byte,
            above_uniform_bits,
            agreement,
            kl_nats,
            profiles: vec![profile],
        }
    }

    #[test]
    fn each_part_can_hold_and_can_fail() {
        let (small, same) = (spread(0.0, -0.01, 0.01), spread(0.98, 0.96, 1.0));
        let holds = |difference| expectations(&difference).iter().map(|e| e.holds).collect::<Vec<_>>();
        assert_eq!(holds(difference(small, same, Some(0.95), small)), [true; 4]);
        let (wide, less) = (spread(0.0, -0.2, 0.2), spread(0.96, 0.94, 0.98));
        assert_eq!(holds(difference(wide, same, Some(0.95), small)), [false, true, true, true]);
        assert_eq!(holds(difference(small, less, Some(0.95), small)), [true, false, true, true]);
        assert_eq!(holds(difference(small, same, Some(0.85), small)), [true, true, false, true]);
        assert_eq!(holds(difference(small, same, None, wide)), [true, true, false, false]);
        let single = Spread { mean: 0.0, interval: None };
        assert_eq!(holds(difference(single, single, Some(1.0), single)), [false, false, true, false]);
    }
}
