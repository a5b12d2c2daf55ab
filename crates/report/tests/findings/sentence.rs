//! A sentence that rows support: its numbers are computed, and what it claims about their order is checked.

use std::fmt::Display;

/// Words that compare. A sentence with one of them claims an order.
const COMPARING: &str = "above all almost always any below best better beat beats equal equals every exceed \
     exceeds exclude excludes fall falls far farther fewer fewest fifth first gain gains greater half hardly \
     higher highest include includes largest larger last least less lose loses loss low lower lowest more most \
     nearly never no none nothing only order orders quarter reduce reduces rise rises same sign smaller \
     smallest tenth than third twice wins worse worst";

/// A claim about rows: whether they support it, and what they show.
pub(crate) struct Check {
    holds: bool,
    found: String,
}

impl Check {
    /// Returns a claim. `found` says what the rows show, for the one who must rewrite the sentence.
    pub(crate) fn new(holds: bool, found: impl Into<String>) -> Self {
        Self { holds, found: found.into() }
    }

    /// Returns the claim that names are in the order of their rising values.
    pub(crate) fn rising(values: &[(String, f64)]) -> Self {
        let found = values.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>();
        Self::new(values.is_sorted_by(|a, b| a.1 <= b.1), found.join(", "))
    }
}

/// A sentence of a document with what the rows do not support in it.
pub(crate) struct Sentence {
    /// The text, on one line.
    pub(crate) text: String,
    /// What the rows show instead, for each check that does not hold.
    pub(crate) faults: Vec<String>,
}

impl Sentence {
    /// Returns a sentence that has no number and no order in it.
    pub(crate) fn plain(text: &str) -> Self {
        Self::new(text, &[], [])
    }

    /// Returns the sentence `template` with every `{}` replaced by the next of `values`.
    ///
    /// # Panics
    /// Panics if a number is written in the template instead of computed, if the template compares and no
    /// check is given, or if the number of values is not that of places.
    pub(crate) fn new(
        template: &str,
        values: &[&dyn Display],
        checks: impl IntoIterator<Item = Check>,
    ) -> Self {
        let checks: Vec<Check> = checks.into_iter().collect();
        assert!(!has_number(template), "compute the numbers of '{template}'");
        assert!(!checks.is_empty() || !compares(template), "check the order that '{template}' claims");
        let places = template.matches("{}").count();
        assert_eq!(places, values.len(), "'{template}' has {places} places");
        let mut text = String::new();
        let mut values = values.iter();
        for (i, part) in template.split("{}").enumerate() {
            if i > 0
                && let Some(value) = values.next()
            {
                text += &value.to_string();
            }
            text += part;
        }
        let faults = checks.into_iter().filter(|check| !check.holds).map(|check| check.found).collect();
        Self { text, faults }
    }
}

/// Returns whether a text has a number: a word that begins with a digit. Names such as `int8` have none.
pub(crate) fn has_number(text: &str) -> bool {
    words(text).any(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

/// Returns whether a text has a comparing word.
pub(crate) fn compares(text: &str) -> bool {
    words(text).any(|word| COMPARING.split_whitespace().any(|other| other == word.to_lowercase()))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Formats values as a list: "a, b and c".
pub(crate) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// Formats nats with two significant digits.
pub(crate) fn nats(value: f64) -> String {
    let digits = if value == 0.0 { 1 } else { (1 - value.abs().log10().floor() as i32).max(0) as usize };
    format!("{value:.digits$}")
}

/// Formats a difference in nats with its sign.
pub(crate) fn signed(value: f64) -> String {
    format!("{}{}", if value < 0.0 { "" } else { "+" }, nats(value))
}

/// Formats a share, 0..1, in per cent with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Formats a change, as a share of the first value, in per cent without decimals and with its sign.
pub(crate) fn change(share: f64) -> String {
    format!("{:+.0} %", 100.0 * share)
}

/// Returns the smallest and the largest of the values.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &v| (least.min(v), most.max(v)))
}

/// Returns `number` with `,` between thousands.
pub(crate) fn thousands(number: usize) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1000), number % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_orders_cannot_be_written_by_hand() {
        for template in
            ["KL is 0.2 nats.", "It keeps 5x.", "H2O is better than int8.", "At a fifth, KL is {}."]
        {
            let made = std::panic::catch_unwind(|| Sentence::new(template, &[&1.0], []));
            assert!(made.is_err(), "{template}");
        }
        let sentence = Sentence::new("H2O has {} in int8.", &[&"0.5"], []);
        assert_eq!((sentence.text.as_str(), sentence.faults.len()), ("H2O has 0.5 in int8.", 0));
    }

    #[test]
    fn a_claim_that_rows_do_not_support_is_a_fault() {
        let values = |a, b| [("a".to_owned(), a), ("b".to_owned(), b)];
        let made = |a, b| Sentence::new("a is lower than b.", &[], [Check::rising(&values(a, b))]);
        assert!(made(1.0, 2.0).faults.is_empty());
        assert_eq!(made(2.0, 1.0).faults, ["a 2, b 1"]);
    }

    #[test]
    fn numbers_have_two_significant_digits() {
        assert_eq!([0.00619, 0.0233, 0.5, -0.00042].map(nats), ["0.0062", "0.023", "0.50", "-0.00042"]);
        assert_eq!((signed(0.04), signed(-0.003)), ("+0.040".into(), "-0.0030".into()));
        assert_eq!(
            (list([1, 2, 3]), list(["a"]), thousands(1024)),
            ("1, 2 and 3".into(), "a".into(), "1,024".into())
        );
    }
}
