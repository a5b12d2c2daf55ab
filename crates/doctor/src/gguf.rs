//! Checks what a GGUF file may leave open: the layout of I2_S tensors, the pre-tokenizer, and the chat
//! template.

use bitkv_checkpoint::gguf::{Gguf, LayoutChoice, Reason};

use crate::{
    Examination, Finding,
    finding::{fine, note, warning},
};

const LAYOUT: &str = "i2s-layout";
const PRE: &str = "gguf-pre-tokenizer";
const TEMPLATE: &str = "gguf-chat-template";

/// A word that only occurs in the chat template of the published files of BitNet-b1.58-2B-4T.
const OLD_TEMPLATE: &str = "BITNETAssistant";

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let Some(gguf) = examination.evidence.checkpoint.gguf() else { return Vec::new() };
    let assumes =
        matches!(&examination.evidence.tokenizer, Ok(Some(tokenizer)) if tokenizer.assumes_pre_tokenizer());
    let pre = assumes.then(|| {
        let found = "the file does not say how texts are cut before merging";
        let means = "they are cut as Llama 3 does, which gives the ids of the model's own tokenizer; \
                     bitnet.cpp cuts such files' texts by its default and gets other ids for digits and \
                     punctuation";
        let remedy = "to compare with bitnet.cpp, give both the same token ids: --tokens";
        Finding::new(PRE, "tokenizer.ggml.pre", found, note(means, remedy))
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
    let judgement = match choice.reason {
        Reason::Given => fine("it was asked for"),
        Reason::Plausible => {
            fine("no field of the file names its layout, but only one makes sense of the weights")
        }
        Reason::Default => warning(
            "no field of the file names its layout and the weights do not tell either, so that it is taken to be that of \
             the published file",
            "if the model talks nonsense, try --i2s-layout arm or four-row",
        ),
    };
    let found = format!("I2_S tensors are read in the layout {}{scores}", choice.layout.name());
    Finding::new(LAYOUT, file, found, judgement)
}

fn old_template(gguf: &Gguf) -> Option<Finding> {
    let template = gguf.vocabulary().ok()?.chat_template?;
    template.contains(OLD_TEMPLATE).then(|| {
        let found = "the template writes BITNETAssistant for the assistant's turn";
        let means = "an older wording that the published files carry, not the one that the model was tuned \
                     on; it is replaced here";
        let remedy = "elsewhere, use the chat template of the model's tokenizer_config.json";
        Finding::new(TEMPLATE, "tokenizer.chat_template", found, note(means, remedy))
    })
}
