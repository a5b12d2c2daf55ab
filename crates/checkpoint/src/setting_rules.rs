//! What happens to the settings of a checkpoint that no rule reads: they are listed as ignored if they cannot
//! change results, and refused otherwise.

use crate::{Error, Result, remarks::Remarks};

/// What is known about a setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// Another part of this crate reads the setting.
    Read,
    /// The setting never changes what the model computes.
    Harmless,
    /// The setting changes nothing if it is off or has one of these values.
    Only(&'static [&'static str]),
}

/// A setting of a file.
pub(crate) struct Setting<'a> {
    pub(crate) file: &'a str,
    /// The full name, for errors and notes.
    pub(crate) key: &'a str,
    /// The value as text, without quotation marks.
    pub(crate) value: &'a str,
}

/// Parts of names of settings that can change what a model computes.
const SUSPICIOUS: [&str; 66] = [
    "_bits",
    "act_fn",
    "activation",
    "alibi",
    "attention_gate",
    "attention_span",
    "attention_stride",
    "attention_type",
    "bias",
    "bidirectional",
    "block_types",
    "causal",
    "chunk",
    "clamp",
    "clip",
    "compress",
    "conv",
    "cross_layer",
    "differential",
    "dilat",
    "divisor",
    "embedding_gain",
    "expert",
    "factor",
    "hadamard",
    "hidden_act",
    "local_attention",
    "logit_cap",
    "lora",
    "mask",
    "max_logit",
    "moe",
    "mrope",
    "multiplier",
    "mup_",
    "nextn",
    "nonlinearity",
    "nope",
    "norm",
    "parallel_attn",
    "parallel_residual",
    "pct",
    "percent",
    "pos_emb",
    "position_embedding",
    "position_encoding",
    "quant",
    "residual",
    "rms_eps",
    "rope",
    "rotary",
    "router",
    "scalar",
    "scale",
    "scaling",
    "share",
    "sink",
    "sliding",
    "soft_cap",
    "softcap",
    "softmax",
    "sparsity",
    "swiglu",
    "temperature",
    "variance_epsilon",
    "window",
];

/// Parts of names of settings that are off if they are 1, unless they concern attention.
const FACTORS: [&str; 7] = ["factor", "multiplier", "scale", "scaling", "pct", "percent", "temperature"];

impl Setting<'_> {
    /// Lists the setting as ignored if it does not change what the model computes.
    ///
    /// # Errors
    /// Returns an error if it may change results.
    pub(crate) fn judge(&self, rule: Option<Rule>, remarks: &mut Remarks) -> Result<()> {
        let accepted = match rule {
            Some(Rule::Read) => return Ok(()),
            Some(Rule::Harmless) => true,
            // A setting that must be true is not off if it is false.
            Some(Rule::Only(values @ ["true"])) => self.has_value("null") || self.has_any(values),
            Some(Rule::Only(values)) => self.is_off() || self.has_any(values),
            None => self.is_off() || !self.is_suspicious(),
        };
        if !accepted {
            return Err(self.refusal(rule));
        }
        remarks.ignore(self.key, self.value);
        Ok(())
    }

    /// Returns whether the name suggests that the setting changes what the model computes.
    fn is_suspicious(&self) -> bool {
        let key = self.key.to_lowercase();
        SUSPICIOUS.iter().any(|part| key.contains(part))
    }

    /// Returns whether the value says that what the setting names is not used.
    fn is_off(&self) -> bool {
        let off = ["", "null", "false", "none", "default", "[]", "{}"];
        let key = self.key.to_lowercase();
        off.contains(&self.value.to_lowercase().as_str())
            || self.has_value("0")
            || is_factor(&key) && self.has_value("1")
    }

    /// Returns whether the value is one of these texts or numbers.
    fn has_any(&self, values: &[&str]) -> bool {
        values.iter().any(|value| self.has_value(value))
    }

    /// Returns whether the value is this text, or the same number.
    fn has_value(&self, value: &str) -> bool {
        let number = |text: &str| text.parse::<f64>().ok();
        self.value == value || number(value).is_some_and(|wanted| number(self.value) == Some(wanted))
    }

    fn refusal(&self, rule: Option<Rule>) -> Error {
        let reason = match rule {
            Some(Rule::Only(values)) if !values.is_empty() => {
                format!("but only {} is supported: use another model", values.join(" or "))
            }
            Some(_) => "but only models without this setting are supported: use another model".into(),
            None => "which bitkv does not know and which may change results: remove the key if the model does not \
                     use it"
                .into(),
        };
        Error::ConfigValue { file: self.file.into(), key: self.key.into(), value: self.value.into(), reason }
    }
}

/// Returns whether a name is that of a factor that multiplies by 1 if it is off. A scale of attention is off
/// if it is the reciprocal root of the width of a head instead.
fn is_factor(key: &str) -> bool {
    let contains = |parts: &[&str]| parts.iter().any(|part| key.contains(part));
    contains(&FACTORS) && !contains(&["attention", "attn", "softmax", "query"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(key: &str, value: &str, rule: Option<Rule>) -> std::result::Result<usize, String> {
        let mut remarks = Remarks::default();
        let setting = Setting { file: "config.json", key, value };
        setting.judge(rule, &mut remarks).map_err(|error| error.to_string())?;
        Ok(remarks.ignored.len())
    }

    #[test]
    fn an_unknown_setting_is_refused_if_its_name_suggests_a_change() {
        for (key, value) in [
            ("final_logit_softcapping", "30.0"),
            ("embedding_multiplier", "12"),
            ("use_hadamard", "true"),
            ("sliding_window_pattern", "4"),
            ("q_norm", "rms"),
            ("attention_multiplier", "1.0"),
            ("query_pre_attn_scalar", "256"),
            ("use_bidirectional_attention", "true"),
            ("position_encoding", "alibi"),
            ("kv_bits", "4"),
            ("nope_layers", "[1]"),
        ] {
            let error = judge(key, value, None).unwrap_err();
            assert!(
                error.contains(key) && error.contains(value) && error.contains("remove the key"),
                "{error}"
            );
        }
        assert_eq!(judge("author", "somebody", None), Ok(1));
    }

    #[test]
    fn a_setting_that_is_off_is_ignored() {
        for (key, value) in [
            ("final_logit_softcapping", "null"),
            ("num_experts", "0"),
            ("use_hadamard", "false"),
            ("embedding_multiplier", "1.0"),
            ("rotary_pct", "1"),
            ("mask_type", "none"),
        ] {
            assert_eq!(judge(key, value, None), Ok(1), "{key}");
        }
        assert!(judge("num_experts", "1", None).is_err(), "one expert is not none");
    }

    #[test]
    fn rules_precede_names() {
        assert_eq!(judge("rope_theta", "5", Some(Rule::Read)), Ok(0));
        assert_eq!(judge("quantized_by", "x", Some(Rule::Harmless)), Ok(1));
        assert_eq!(judge("input_bits", "8.0", Some(Rule::Only(&["8"]))), Ok(1));
        let error = judge("input_bits", "4", Some(Rule::Only(&["8"]))).unwrap_err();
        assert!(error.contains("only 8 is supported"), "{error}");
        assert_eq!(judge("is_causal", "true", Some(Rule::Only(&["true"]))), Ok(1));
        assert!(judge("is_causal", "false", Some(Rule::Only(&["true"]))).is_err());
    }
}
