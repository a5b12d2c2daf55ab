//! What only GGUF files leave open: the layout of I2_S, how texts are cut, and the chat template.

use bitkv_checkpoint::gguf::{Gguf, LayoutChoice, Reason};

use super::{Examination, Finding, Severity};

const LAYOUT: &str = "i2s-layout";
const PRE: &str = "gguf-pre-tokenizer";
const TEMPLATE: &str = "gguf-chat-template";

/// Only in the template that the published files of BitNet-b1.58-2B-4T carry.
const OLD_TEMPLATE: &str = "BITNETAssistant";

pub(super) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let Some(gguf) = examination.evidence.checkpoint.gguf() else { return Vec::new() };
    let assumes =
        matches!(&examination.evidence.tokenizer, Ok(Some(tokenizer)) if tokenizer.assumes_pre_tokenizer());
    let pre = assumes.then(|| Finding {
        check: PRE,
        severity: Severity::Note,
        place: "tokenizer.ggml.pre".into(),
        found: "the file does not say how texts are cut before merging".into(),
        means: "they are cut as Llama 3 does, which gives the ids of the model's own tokenizer; bitnet.cpp cuts such \
                files' texts by its default and gets other ids for digits and punctuation"
            .into(),
        remedy: "to compare with bitnet.cpp, give both the same token ids: --tokens".into(),
    });
    let layout = gguf.i2s_layout().map(|choice| layout(choice, gguf.file()));
    [layout, pre, old_template(gguf)].into_iter().flatten().collect()
}

fn layout(choice: &LayoutChoice, file: &str) -> Finding {
    let scores: Vec<String> =
        choice.scores.iter().map(|(layout, score)| format!("{} {score:.0}", layout.name())).collect();
    let scores = if scores.is_empty() {
        String::new()
    } else {
        format!(", where norms and columns agree by {} standard deviations", scores.join(", "))
    };
    let (severity, means, remedy) = match choice.reason {
        Reason::Given => (Severity::Note, "it was asked for", "nothing"),
        Reason::Plausible => (
            Severity::Note,
            "no field of the file names its layout, but only one makes sense of the weights",
            "nothing",
        ),
        Reason::Default => (
            Severity::Warning,
            "no field of the file names its layout and the weights do not tell either, so that it is taken to be that of \
             the published file",
            "if the model talks nonsense, try --i2s-layout arm or four-row",
        ),
    };
    Finding {
        check: LAYOUT,
        severity,
        place: file.into(),
        found: format!("I2_S tensors are read in the layout {}{scores}", choice.layout.name()),
        means: means.into(),
        remedy: remedy.into(),
    }
}

fn old_template(gguf: &Gguf) -> Option<Finding> {
    let template = gguf.vocabulary().ok()?.chat_template?;
    template.contains(OLD_TEMPLATE).then(|| Finding {
        check: TEMPLATE,
        severity: Severity::Note,
        place: "tokenizer.chat_template".into(),
        found: "the template writes BITNETAssistant for the assistant's turn".into(),
        means: "an older wording that the published files carry, not the one that the model was tuned on; it is replaced here"
            .into(),
        remedy: "elsewhere, use the chat template of the model's tokenizer_config.json".into(),
    })
}
