//! What texts cost a model, beside another. One CSV row a text.

use crate::Row;
use serde::{Deserialize, Serialize};

/// What one text costs one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// Model name, with the mark of a skeleton where it is one.
    pub model: String,
    /// The model it is compared with; itself for the true model.
    pub reference: String,
    /// Text name.
    pub text: String,
    /// Register of the text, for example "dialogue".
    pub register: String,
    /// Scored tokens: all of the window but the first.
    pub targets: usize,
    /// UTF-8 bytes of the scored tokens.
    pub bytes_scored: usize,
    /// Negative log-likelihood in bits, mean per scored token.
    pub bits_per_token: f64,
    /// The same, per UTF-8 byte.
    pub bits_per_byte: f64,
    /// What guessing costs a token: log2 of the vocabulary.
    pub uniform_bits: f64,
    /// Fraction of positions with the reference's most likely next token; empty for the reference.
    pub agreement: Option<f64>,
    /// KL(reference || model) of the next token in nats, mean per position; empty for the reference.
    pub kl_nats: Option<f64>,
}

impl Row for LossRow {
    const KIND: &'static str = "loss";
    const COLUMNS: &'static [&'static str] = &[
        "model",
        "reference",
        "text",
        "register",
        "targets",
        "bytes_scored",
        "bits_per_token",
        "bits_per_byte",
        "uniform_bits",
        "agreement",
        "kl_nats",
    ];

    fn key(&self) -> String {
        format!("model {}, text {}", self.model, self.text)
    }

    fn check(&self) -> Result<(), String> {
        let bits = [("bits_per_token", self.bits_per_token), ("bits_per_byte", self.bits_per_byte)];
        let others = [("uniform_bits", self.uniform_bits), ("kl_nats", self.kl_nats.unwrap_or(0.0))];
        for (name, value) in bits.into_iter().chain(others) {
            if !(0.0..=f64::MAX).contains(&value) {
                return Err(format!("{name} = {value} is not between 0 and infinity"));
            }
        }
        if self.agreement.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(format!("agreement = {} is not a fraction", self.agreement.unwrap_or_default()));
        }
        let (own, compared) = (self.model == self.reference, [self.agreement, self.kl_nats]);
        if compared.iter().any(|value| value.is_some() == own) {
            return Err("agreement and kl_nats belong to models that are compared with another".to_owned());
        }
        let by_token = self.bits_per_token * self.targets as f64;
        let by_byte = self.bits_per_byte * self.bytes_scored as f64;
        if (by_token - by_byte).abs() > 1e-6 * (1.0 + by_token) {
            return Err(format!("bits_per_token gives {by_token} bits and bits_per_byte {by_byte}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{read_rows, write_rows};

    fn row() -> LossRow {
        LossRow {
            model: "m+mark".into(),
            reference: "m".into(),
            text: "a".into(),
            register: "prose".into(),
            targets: 10,
            bytes_scored: 40,
            bits_per_token: 6.0,
            bits_per_byte: 1.5,
            uniform_bits: 11.0,
            agreement: Some(0.5),
            kl_nats: Some(0.25),
        }
    }

    #[test]
    fn rows_read_back_equal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.csv");
        let own = LossRow { model: "m".into(), agreement: None, kl_nats: None, ..row() };
        let rows = [own, row()];
        write_rows(&path, &rows).unwrap();
        assert_eq!(read_rows::<LossRow>(&path).unwrap(), rows);
    }

    #[test]
    fn impossible_rows_are_refused() {
        let cases: [(LossRow, &str); 5] = [
            (LossRow { bits_per_token: f64::NAN, ..row() }, "bits_per_token = NaN"),
            (LossRow { agreement: Some(1.5), ..row() }, "agreement = 1.5"),
            (LossRow { kl_nats: None, ..row() }, "compared with another"),
            (LossRow { model: "m".into(), ..row() }, "compared with another"),
            (LossRow { bits_per_byte: 1.6, ..row() }, "gives 60 bits"),
        ];
        for (row, says) in cases {
            let reason = row.check().unwrap_err();
            assert!(reason.contains(says), "{reason}");
        }
    }
}
