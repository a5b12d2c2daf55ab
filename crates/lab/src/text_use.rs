//! [`TextUse`] records how much of its texts a study reads, so that it can be said once.

use serde::Serialize;

use crate::window::Window;

/// How many tokens a study reads of each of its texts, and how many of the texts are longer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct TextUse {
    /// The name of the study.
    pub study: String,
    /// The name of the model, whose tokenizer counts.
    pub model: String,
    /// What the texts are for: `texts` or `calibration texts`.
    pub role: &'static str,
    /// The number of tokens that are read of each text.
    pub tokens: usize,
    /// The number of texts.
    pub texts: usize,
    /// The number of texts that have more tokens.
    pub longer: usize,
}

impl TextUse {
    /// Returns what a study reads of its texts, whose first tokens are `windows`.
    pub fn new(study: &str, model: &str, role: &'static str, windows: &[Window]) -> TextUse {
        TextUse {
            study: study.to_owned(),
            model: model.to_owned(),
            role,
            tokens: windows.first().map_or(0, |window| window.tokens.len()),
            texts: windows.len(),
            longer: windows.iter().filter(|window| window.text_tokens > window.tokens.len()).count(),
        }
    }

    /// Returns a sentence that says how many texts are longer than what is read; `None` if none is longer.
    pub fn sentence(&self) -> Option<String> {
        let TextUse { role, tokens, texts, longer, .. } = self;
        let (are, their) = if *longer == 1 { ("is", "its") } else { ("are", "their") };
        let sentence = format!(
            "{longer} of {texts} {role} {are} longer than {tokens} tokens: {their} first {tokens} are used"
        );
        (*longer > 0).then_some(sentence)
    }

    /// Returns one sentence for each study and role. If the numbers differ between the models of a study, it
    /// has one sentence for each model.
    pub fn notes(uses: &[TextUse]) -> Vec<String> {
        let mut notes = Vec::new();
        for used in uses {
            let is_alike = |other: &&TextUse| (&other.study, other.role) == (&used.study, used.role);
            let sentence = used.sentence();
            let names_model = uses.iter().filter(is_alike).any(|other| other.sentence() != sentence);
            let place =
                if names_model { format!("{}, {}", used.study, used.model) } else { used.study.clone() };
            let note = sentence.map(|sentence| format!("{place}: {sentence}"));
            notes.extend(note.filter(|note| !notes.contains(note)));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_use(study: &str, model: &str, longer: usize) -> TextUse {
        TextUse { study: study.into(), model: model.into(), role: "texts", tokens: 64, texts: 20, longer }
    }

    #[test]
    fn a_study_has_one_note_unless_its_models_differ() {
        let uses = [
            text_use("a", "x", 3),
            text_use("a", "y", 3),
            text_use("b", "x", 1),
            text_use("b", "y", 0),
            text_use("c", "x", 0),
        ];
        assert_eq!(
            TextUse::notes(&uses),
            [
                "a: 3 of 20 texts are longer than 64 tokens: their first 64 are used",
                "b, x: 1 of 20 texts is longer than 64 tokens: its first 64 are used",
            ]
        );
    }
}
