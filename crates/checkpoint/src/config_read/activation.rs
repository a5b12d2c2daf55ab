//! Reads the activation of the MLP in a `config.json`.

use crate::{Activation, Result, json::Object, remarks::Remarks};

/// The keys that name the activation. The reference classes read the first; the others occur in files of
/// other programs.
const KEYS: [&str; 5] = ["hidden_act", "hidden_activation", "activation_function", "act_fn", "activation"];

/// Returns the activation that the first of [`KEYS`] names; `None` if there is no such key.
///
/// # Errors
/// Returns an error if one of them names an activation that is not supported.
pub(super) fn read(root: &Object<'_>, remarks: &mut Remarks) -> Result<Option<Activation>> {
    let mut found: Vec<(&str, Activation)> = Vec::new();
    for key in KEYS {
        if let Some(name) = root.text(key)? {
            let activation = Activation::from_name(name).ok_or_else(|| {
                root.bad(
                    key,
                    format!("\"{name}\""),
                    "but only relu2 and silu are supported: use another model",
                )
            })?;
            found.push((key, activation));
        }
    }
    let Some(&(key, used)) = found.first() else { return Ok(None) };
    if let Some((other, differing)) = found.iter().find(|(_, activation)| *activation != used) {
        remarks.note(format!(
            "{}: `{key}` is {}, but `{other}` is {}: {} is used, because the model's class reads `{key}`",
            root.file,
            used.name(),
            differing.name(),
            used.name()
        ));
    }
    Ok(Some(used))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_json(value: &Value) -> Result<(Option<Activation>, Remarks)> {
        let mut remarks = Remarks::default();
        let root = Object::root("config.json", value)?;
        read(&root, &mut remarks).map(|activation| (activation, remarks))
    }

    #[test]
    fn every_key_is_read_and_the_first_decides() {
        for key in KEYS {
            let (activation, remarks) = read_json(&json!({key: "relu2"})).unwrap();
            assert_eq!((activation, remarks.notes.len()), (Some(Activation::Relu2), 0), "{key}");
            assert!(read_json(&json!({key: "gelu"})).unwrap_err().to_string().contains(key));
        }
        assert_eq!(read_json(&json!({"activation": "swiglu"})).unwrap().0, Some(Activation::Silu));
        let (activation, remarks) =
            read_json(&json!({"activation": "swiglu", "hidden_act": "relu2"})).unwrap();
        assert_eq!(activation, Some(Activation::Relu2));
        assert!(remarks.notes[0].contains("`hidden_act` is relu2, but `activation` is silu"), "{remarks:?}");
        assert_eq!(read_json(&json!({})).unwrap().0, None);
    }
}
