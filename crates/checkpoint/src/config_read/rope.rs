//! Reads the RoPE settings of a `config.json`.
//!
//! Reference: transformers 5.23 `modeling_rope_utils.py`, `RotaryEmbeddingConfigMixin`, whose results
//! `testdata/rope` holds.

use crate::{
    Result,
    json::Object,
    remarks::Remarks,
    rope::{BASES, FACTORS, KNOWN_FORMS, Llama3Scaling, Rope, RopeScaling},
};

use super::MAX_POSITIONS;

/// The kind of layers in nested settings to which all layers of the supported models belong.
const LAYER_TYPE: &str = "full_attention";

/// Reads the RoPE settings. `rope_scaling` is read first unless it is empty, then the top level and
/// `rope_parameters`; `default` is the base of a file that has none.
///
/// # Errors
/// Returns an error if RoPE has another type than default, linear and llama3, if it rotates a part of a head,
/// or if a setting is unknown.
pub(super) fn read(root: &Object<'_>, default: f64, remarks: &mut Remarks) -> Result<Rope> {
    check_partial(root)?;
    let scaling = settings(root, "rope_scaling", remarks)?;
    let parameters = settings(root, "rope_parameters", remarks)?;
    // transformers 4 and 5 use `rope_scaling` alone if it holds anything.
    let places = match (&scaling, &parameters) {
        (Some(scaling), parameters) => [Some(scaling), Some(root), parameters.as_ref()],
        (None, parameters) => [parameters.as_ref(), Some(root), None],
    };
    let mut found = Vec::new();
    for place in places.into_iter().flatten() {
        if let Some(theta) = place.within("rope_theta", BASES)? {
            found.push((place.full_name("rope_theta"), theta));
        }
    }
    let theta = found.first().map_or(default, |(_, theta)| *theta);
    if found.iter().any(|(_, other)| *other != theta) {
        let all: Vec<String> = found.iter().map(|(key, theta)| format!("`{key}` {theta}")).collect();
        let (file, all) = (root.file, all.join(", "));
        remarks.note(format!("{file} gives several RoPE bases ({all}): the first of these is used"));
    }
    let scaling = match scaling.or(parameters) {
        Some(settings) => read_scaling(root, &settings, remarks)?,
        None => RopeScaling::Unscaled,
    };
    Ok(Rope { theta, scaling })
}

/// Returns the settings under a key, which may be nested by the type of layers; `None` if the key is
/// missing, null or empty.
fn settings<'a>(root: &Object<'a>, key: &str, remarks: &mut Remarks) -> Result<Option<Object<'a>>> {
    let Some(settings) = root.object(key)?.filter(|settings| settings.entries().next().is_some()) else {
        return Ok(None);
    };
    let is_nested = settings.entries().any(|(_, value)| value.is_object());
    if !is_nested {
        check_keys(&settings, remarks)?;
        return Ok(Some(settings));
    }
    let mut used = None;
    for (name, value) in settings.entries() {
        if !name.ends_with("_attention") {
            let reason =
                "which is not a type of attention layers: use the config.json that came with the weights";
            return Err(settings.bad(name, value, reason));
        }
        let nested = settings.object(name)?;
        match nested {
            // No layer is of another type, because `layer_types` is checked.
            Some(nested) if name == LAYER_TYPE => {
                check_keys(&nested, remarks)?;
                used = Some(nested);
            }
            _ => remarks.ignore(settings.full_name(name), value),
        }
    }
    match used {
        Some(used) => Ok(Some(used)),
        None => {
            let reason = format!("but all layers are of the type {LAYER_TYPE}, which it lacks");
            Err(root.bad(key, root.get(key).map(ToString::to_string).unwrap_or_default(), reason))
        }
    }
}

/// Returns the RoPE type; `None` if no key names one.
///
/// # Errors
/// Returns an error if the type is not supported, or two keys contradict each other.
fn rope_type<'a>(settings: &Object<'a>) -> Result<Option<&'a str>> {
    let mut found = None;
    for key in ["rope_type", "type"] {
        match settings.text(key)? {
            None => {}
            Some(kind @ ("default" | "linear" | "llama3")) if found.is_none_or(|other| other == kind) => {
                found = Some(kind);
            }
            Some(other @ ("default" | "linear" | "llama3")) => {
                let reason = "but `rope_type` names another: use the config.json that came with the weights";
                return Err(settings.bad(key, format!("\"{other}\""), reason));
            }
            Some(other) => return Err(settings.bad(key, format!("\"{other}\""), KNOWN_FORMS)),
        }
    }
    Ok(found)
}

/// Reads how RoPE is scaled, after [`check_keys`].
fn read_scaling(root: &Object<'_>, settings: &Object<'_>, remarks: &mut Remarks) -> Result<RopeScaling> {
    let kind = rope_type(settings)?.unwrap_or("default");
    let needed = |key: &str| {
        settings.within(key, FACTORS)?.ok_or_else(|| {
            let reason = format!("but has no `{key}`: use the config.json that came with the weights");
            settings.bad("rope_type", format!("\"{kind}\""), reason)
        })
    };
    match kind {
        "linear" => {
            let factor = needed("factor")?;
            Ok(if factor == 1.0 { RopeScaling::Unscaled } else { RopeScaling::Linear(factor) })
        }
        "llama3" => {
            let scaling = Llama3Scaling {
                factor: needed("factor")?,
                low_freq_factor: needed("low_freq_factor")?,
                high_freq_factor: needed("high_freq_factor")?,
                original_positions: original_positions(root, settings, remarks)?,
            };
            if scaling.low_freq_factor >= scaling.high_freq_factor {
                let reason = format!("but must be below `high_freq_factor` {}", scaling.high_freq_factor);
                return Err(settings.bad("low_freq_factor", scaling.low_freq_factor, reason));
            }
            Ok(RopeScaling::Llama3(scaling))
        }
        _ => Ok(RopeScaling::Unscaled),
    }
}

/// Returns the number of positions before the context was extended. As in transformers, the top level
/// decides, and a file without the key has the positions of the model.
fn original_positions(root: &Object<'_>, settings: &Object<'_>, remarks: &mut Remarks) -> Result<usize> {
    let outer = root.size(ORIGINAL_POSITIONS, MAX_POSITIONS)?;
    let inner = settings.size(ORIGINAL_POSITIONS, MAX_POSITIONS)?;
    if let (Some(outer), Some(inner)) = (outer, inner)
        && outer != inner
    {
        let (file, inside) = (root.file, settings.full_name(ORIGINAL_POSITIONS));
        remarks.note(format!(
            "{file}: `{ORIGINAL_POSITIONS}` is {outer}, but `{inside}` is {inner}: {outer} is used"
        ));
    }
    if let Some(positions) = outer.or(inner) {
        return Ok(positions);
    }
    root.needed_size("max_position_embeddings", MAX_POSITIONS)
}

/// The key of the number of positions before the context was extended.
const ORIGINAL_POSITIONS: &str = "original_max_position_embeddings";

/// Checks that the RoPE type has every setting that is given.
fn check_keys(settings: &Object<'_>, remarks: &mut Remarks) -> Result<()> {
    check_partial(settings)?;
    let kind = rope_type(settings)?.unwrap_or("default");
    for (key, value) in settings.entries() {
        let is_one = value.is_null() || value.as_f64() == Some(1.0);
        match key {
            "rope_type" | "type" | "rope_theta" | "partial_rotary_factor" => {}
            "attention_factor" if is_one => {}
            "factor" if is_one || kind != "default" => {}
            "low_freq_factor" | "high_freq_factor" | ORIGINAL_POSITIONS if kind == "llama3" => {}
            // Only scaled forms of RoPE use it.
            ORIGINAL_POSITIONS => remarks.ignore(settings.full_name(key), value),
            _ if value.is_null() => {}
            _ => {
                let reason = format!(
                    "which RoPE of the type {kind} does not have: use the config.json that came with the weights"
                );
                return Err(settings.bad(key, value, reason));
            }
        }
    }
    Ok(())
}

/// Checks that RoPE rotates whole heads.
fn check_partial(object: &Object<'_>) -> Result<()> {
    match object.get("partial_rotary_factor").filter(|factor| factor.as_f64() != Some(1.0)) {
        None => Ok(()),
        Some(factor) => {
            Err(object.bad("partial_rotary_factor", factor, "but only RoPE of whole heads is supported"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Config, RopeScaling, config_read::Clues, remarks::Remarks};

    /// Reads a configuration with these additional settings.
    fn read(architecture: &str, settings: &Value) -> crate::Result<(Config, Remarks)> {
        let mut config = json!({"architectures": [architecture], "vocab_size": 64, "hidden_size": 64,
            "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
            "max_position_embeddings": 256, "quantization_config": {"quant_method": "bitnet"}});
        let settings = settings.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(settings);
        Config::from_json_with(&config.to_string(), "config.json", Clues::default())
    }

    #[test]
    fn bases_equal_those_of_transformers() {
        let file: Value = serde_json::from_str(include_str!("../../../../testdata/rope/cases.json")).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert!(cases.len() >= 60);
        for case in cases {
            let settings = &case["settings"];
            let (config, _) = read(case["architecture"].as_str().unwrap(), settings)
                .unwrap_or_else(|error| panic!("{settings}: {error}"));
            // The reference classes ignore settings that are nested by the type of layers; bitkv reads them.
            let nested = case.pointer("/full_attention/rope_theta").unwrap_or(&case["theta"]);
            assert_eq!(Some(config.rope_theta), nested.as_f64(), "{settings}");
        }
    }

    #[test]
    fn a_difference_between_places_is_noted() {
        let notes = |settings: Value| read("BitNetForCausalLM", &settings).unwrap().1.notes;
        let differing = notes(json!({"rope_parameters": {"rope_theta": 123.0}, "rope_theta": 777.0}));
        assert_eq!(
            differing,
            [
                "config.json gives several RoPE bases (`rope_parameters.rope_theta` 123, `rope_theta` 777): the first \
              of these is used"
            ]
        );
        assert!(notes(json!({"rope_scaling": {"rope_theta": 777}, "rope_theta": 777.0})).is_empty());
    }

    #[test]
    fn other_forms_and_unknown_settings_are_refused_by_key() {
        for (settings, key) in [
            (json!({"rope_scaling": {"type": "linear"}}), "rope_scaling.rope_type"),
            (json!({"rope_scaling": {"factor": 8.0}}), "rope_scaling.factor"),
            (json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}), "rope_scaling.rope_type"),
            (json!({"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}), "rope_scaling.rope_type"),
            (json!({"rope_scaling": {"type": "dynamic", "factor": 2.0}}), "rope_scaling.type"),
            (json!({"rope_scaling": {"rope_type": "default", "type": "yarn"}}), "rope_scaling.type"),
            (json!({"rope_scaling": {"rope_type": "linear", "type": "llama3"}}), "rope_scaling.type"),
            (json!({"rope_scaling": {"type": "linear", "factor": 0.0}}), "rope_scaling.factor"),
            (
                json!({"rope_scaling": {"type": "linear", "factor": 2.0, "beta_fast": 32}}),
                "rope_scaling.beta_fast",
            ),
            (json!({"rope_scaling": {"rope_type": 3}}), "rope_scaling.rope_type"),
            (json!({"rope_scaling": "linear"}), "rope_scaling"),
            (json!({"rope_scaling": {"mrope_section": [1, 2]}}), "rope_scaling.mrope_section"),
            (
                json!({"rope_parameters": {"partial_rotary_factor": 0.5}}),
                "rope_parameters.partial_rotary_factor",
            ),
            (json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor"),
            (
                json!({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}),
                "rope_parameters.full_attention.rope_type",
            ),
            (json!({"rope_parameters": {"sliding_attention": {"rope_theta": 5.0}}}), "rope_parameters"),
            (json!({"rope_theta": 1e-320}), "rope_theta"),
            (json!({"rope_theta": 1e308}), "rope_theta"),
            (json!({"rope_theta": "10000"}), "rope_theta"),
            (json!({"rotary_pct": 0.25}), "rotary_pct"),
        ] {
            let error = read("BitNetForCausalLM", &settings).err().map(|error| error.to_string());
            let error = error.unwrap_or_else(|| panic!("{settings} is accepted"));
            assert!(error.contains(&format!("`{key}`")), "{settings}: {error}");
        }
    }

    #[test]
    fn linear_and_llama3_are_read() {
        let scaling = |settings: Value| read("LlamaForCausalLM", &settings).unwrap().0.rope_scaling;
        let linear = json!({"rope_scaling": {"type": "linear", "factor": 2.5}});
        assert_eq!(scaling(linear), RopeScaling::Linear(2.5));
        let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192, "rope_theta": 500000.0});
        for key in ["rope_scaling", "rope_parameters"] {
            let RopeScaling::Llama3(read) = scaling(json!({key: llama3})) else { panic!("{key}") };
            assert_eq!((read.factor, read.original_positions), (8.0, 8192));
        }
        let error = read(
            "LlamaForCausalLM",
            &json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0,
            "low_freq_factor": 4.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}),
        );
        assert!(error.unwrap_err().to_string().contains("`rope_scaling.low_freq_factor` is 4"));
    }
}
