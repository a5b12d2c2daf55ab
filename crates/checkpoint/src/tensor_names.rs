//! The names of tensors in safetensors files of programs that wrap a model before they save it.

use std::borrow::Cow;

/// The parts that wrappers put anywhere into a name.
const INNER_WRAPPERS: [&str; 3] = ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];
/// The parts that wrappers put at the start of a name.
const OUTER_WRAPPERS: [&str; 9] = [
    "module.",
    "base_model.model.",
    "_forward_module.",
    "language_model.",
    "model.language_model.",
    "text_model.",
    "state_dict.",
    "transformer.",
    "model.",
];
/// The starts of all names of a model.
const STARTS: [&str; 4] = ["model.layers.", "model.embed_tokens.", "model.norm.", "lm_head."];
/// The starts of names of a model that was saved without its LM head, and without `model.`.
const BARE_STARTS: [&str; 3] = ["layers.", "embed_tokens.", "norm."];

/// Returns the name that a tensor has in an ordinary checkpoint. A name that is not recognised stays as it
/// is.
pub(crate) fn plain_name(stored: &str) -> Cow<'_, str> {
    if is_plain(stored) {
        return stored.into();
    }
    let mut name = stored.to_owned();
    INNER_WRAPPERS.iter().for_each(|wrapper| name = name.replace(wrapper, ""));
    let mut rest = name.as_str();
    loop {
        if is_plain(rest) {
            return rest.to_owned().into();
        }
        if BARE_STARTS.iter().any(|start| rest.starts_with(start)) {
            return format!("model.{rest}").into();
        }
        match OUTER_WRAPPERS.iter().find_map(|wrapper| rest.strip_prefix(wrapper)) {
            Some(inner) => rest = inner,
            None => return stored.into(),
        }
    }
}

fn is_plain(name: &str) -> bool {
    STARTS.iter().any(|start| name.starts_with(start))
        && !INNER_WRAPPERS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_removed_from_names() {
        for (stored, plain) in [
            ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
            ("_orig_mod.model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
            ("module._orig_mod.lm_head.weight", "lm_head.weight"),
            ("model.layers.3._orig_mod.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"),
            ("base_model.model.model.norm.weight", "model.norm.weight"),
            ("language_model.model.embed_tokens.weight", "model.embed_tokens.weight"),
            ("model.language_model.layers.1.input_layernorm.weight", "model.layers.1.input_layernorm.weight"),
            ("model.model.norm.weight", "model.norm.weight"),
            ("layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
            ("embed_tokens.weight", "model.embed_tokens.weight"),
            ("vision_tower.layers.0.weight", "vision_tower.layers.0.weight"),
            ("transformer.h.0.weight", "transformer.h.0.weight"),
        ] {
            assert_eq!(plain_name(stored), plain);
        }
    }
}
