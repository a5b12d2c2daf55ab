//! The rules that turn numbers into answers. A rule says in words what it does, so that a report can print it
//! beside the statement that it decides.

use crate::interval::Estimate;

/// The answer of a rule to one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// Whether the statement holds, or `None` if the rule leaves it open.
    pub(super) holds: Option<bool>,
    /// The rule in words.
    pub(super) rule: String,
}

/// Returns the answer of a rule.
pub(super) fn decide(holds: Option<bool>, rule: impl Into<String>) -> Decision {
    Decision { holds, rule: rule.into() }
}

/// Decides whether a mean reaches a figure. A single text has no interval and leaves it open.
pub(super) fn reaches(found: &Estimate, figure: f64, name: &str) -> Decision {
    let holds = found.interval.and_then(|(low, high)| match () {
        () if low >= figure => Some(true),
        () if high < figure => Some(false),
        () => None,
    });
    decide(holds, format!("Yes if the whole interval reaches {name}, no if none of it does, else open."))
}

/// Decides whether a mean is nearer to 0 than `bound`, which `name` gives with its unit.
pub(super) fn within(found: &Estimate, bound: f64, name: &str) -> Decision {
    let holds = found.interval.and_then(|(low, high)| match () {
        () if -bound < low && high < bound => Some(true),
        () if low >= bound || high <= -bound => Some(false),
        () => None,
    });
    decide(
        holds,
        format!("Yes if the whole interval is within {name} of 0, no if all of it is outside, else open."),
    )
}

/// Decides whether all differences are below 0. The claim must show each of them, so an interval that
/// includes 0 is a no.
pub(super) fn all_below_zero(found: &[Estimate]) -> Decision {
    let below = |found: &Estimate| found.interval.map(|(_, high)| high < 0.0);
    let each: Option<Vec<bool>> = found.iter().map(below).collect();
    decide(
        each.map(|each| each.into_iter().all(|below| below)),
        "Yes if every interval is below 0, each taken alone; else no, because the claim has to show a gain.",
    )
}

/// Decides whether two numbers without intervals are within `bound`, which `name` gives with its unit.
pub(super) fn near(a: f64, b: f64, bound: f64, name: &str) -> Decision {
    decide(Some((a - b).abs() <= bound), format!("Yes if the two are within {name}, else no."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: f64, high: f64) -> Estimate {
        Estimate { value: (low + high) / 2.0, interval: Some((low, high)) }
    }

    #[test]
    fn an_interval_across_the_figure_decides_nothing() {
        let reaches = |low, high| reaches(&interval(low, high), 0.96, "it").holds;
        assert_eq!([reaches(0.97, 0.99), reaches(0.96, 0.99)], [Some(true); 2]);
        assert_eq!(reaches(0.90, 0.95), Some(false));
        assert_eq!([reaches(0.95, 0.97), reaches(0.90, 0.96), reaches(f64::NAN, f64::NAN)], [None; 3]);
        assert_eq!(super::reaches(&Estimate { value: 0.99, interval: None }, 0.96, "it").holds, None);
    }

    #[test]
    fn an_interval_across_the_bound_is_neither_inside_nor_outside() {
        let within = |low, high| within(&interval(low, high), 0.05, "0.05").holds;
        assert_eq!([within(-0.04, 0.04), within(0.01, 0.02)], [Some(true); 2]);
        assert_eq!([within(0.05, 0.06), within(-0.2, -0.06)], [Some(false); 2]);
        assert_eq!([within(0.04, 0.06), within(-0.06, 0.01)], [None; 2]);
    }

    #[test]
    fn every_difference_must_be_below_zero() {
        let decided = |all: &[(f64, f64)]| {
            let all: Vec<Estimate> = all.iter().map(|(low, high)| interval(*low, *high)).collect();
            all_below_zero(&all).holds
        };
        assert_eq!(decided(&[(-2.0, -1.0), (-3.0, -0.1)]), Some(true));
        assert_eq!(decided(&[(-2.0, -1.0), (-3.0, 0.1)]), Some(false));
        let alone = Estimate { value: -1.0, interval: None };
        assert_eq!(all_below_zero(&[interval(-2.0, -1.0), alone]).holds, None);
    }
}
