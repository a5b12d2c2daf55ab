//! Policies against what they must beat, text by text.

use super::matrix::filled;
use super::measure::three;
use super::slice::{Slice, by_text};
use crate::compression::FULL;
use crate::format::{MISSING, estimate};
use crate::interval::paired_difference;
use crate::table::Table;
use bitkv_record::AskedBudget;

const READING: &str = "Below zero is better than the baseline; an interval that has zero in it shows no difference. \
Differences are paired by text; the intervals are not corrected for the number of comparisons.";

/// KL of every policy less that of the uniform allocator with the same scorer.
pub(super) fn against_uniform(slice: &Slice<'_>, caption: &str, seed: u64) -> Option<Table> {
    let caption = format!("{caption}: KL less that of uniform with the same scorer, nats [95 % CI]");
    against(slice, &caption, |policy| uniform_counterpart(slice, policy), seed)
}

/// KL of every policy less that of random choice.
pub(super) fn against_random(slice: &Slice<'_>, caption: &str, seed: u64) -> Option<Table> {
    let random = slice.rows().iter().map(|row| row.policy.as_str()).find(|policy| is_random(policy))?;
    let caption = format!("{caption}: KL less that of {random}, nats [95 % CI]");
    against(slice, &caption, |policy| (policy != random).then_some(random), seed)
}

fn against<'a>(
    slice: &Slice<'a>,
    caption: &str,
    baseline: impl Fn(&str) -> Option<&'a str>,
    seed: u64,
) -> Option<Table> {
    let cell = |policy: &str, budget: AskedBudget| {
        // The full cache keeps more, so that its difference says nothing.
        let baseline = baseline(policy).filter(|_| policy != FULL)?;
        let own = by_text(&slice.at(policy, budget), |row| row.kl_nats);
        let other = by_text(&slice.at(baseline, budget), |row| row.kl_nats);
        let pairs = own.iter().filter_map(|(text, value)| Some((*value, *other.get(text)?)));
        let (own, other): (Vec<f64>, Vec<f64>) = pairs.unzip();
        paired_difference(&own, &other, seed)
    };
    let mut table = filled(slice, caption, |contender, budget| {
        let difference = cell(contender.policy, budget);
        difference.map_or_else(|| MISSING.to_owned(), |d| estimate(Some(d), three))
    });
    table.note(READING);
    (!table.is_empty()).then_some(table)
}

/// The policy of the slice that differs from this one in having the uniform allocator.
fn uniform_counterpart<'a>(slice: &Slice<'a>, policy: &str) -> Option<&'a str> {
    let own = parts(policy);
    let (allocator, rest) = own.split_first()?;
    if rest.is_empty() || is_named(allocator, "uniform") {
        return None;
    }
    let same = |other: &&str| {
        let parts = parts(other);
        parts.split_first().is_some_and(|(first, others)| is_named(first, "uniform") && others == rest)
    };
    slice.rows().iter().map(|row| row.policy.as_str()).find(same)
}

fn is_random(policy: &str) -> bool {
    let parts = parts(policy);
    parts.len() == 2 && is_named(&parts[0], "uniform") && is_named(&parts[1], "random")
}

/// Whether a part has this name, whatever its options.
fn is_named(part: &str, name: &str) -> bool {
    part.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
}

/// The parts of a specification: divided at `+` outside braces and quotes, without blanks.
fn parts(policy: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quote) = (vec![String::new()], 0, None);
    for c in policy.chars().filter(|c| !c.is_whitespace()) {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            (None, '+') if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            (None, _) => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_come_apart_at_plus_outside_braces() {
        assert_eq!(parts("a{x=\"+}\", y=1e+2} + b"), ["a{x=\"+}\",y=1e+2}", "b"]);
        assert_eq!(parts("full"), ["full"]);
        assert!(
            is_random("uniform + random{seed=3}") && !is_random("entropy+random") && !is_random("random")
        );
        assert!(!is_named("uniform-by-layer", "uniform"));
    }
}
