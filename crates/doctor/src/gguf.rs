//! Checks what a GGUF file may leave open: the layout of I2_S tensors, the pre-tokenizer, and the chat
//! template.

use bitkv_checkpoint::gguf::{Gguf, LayoutChoice, LayoutReason};

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
        let found = "the file does not name its pre-tokenizer, which splits a text before byte pairs are merged";
        let means = "bitkv splits texts as Llama 3 does, which gives the ids of the model's original tokenizer; \
                     bitnet.cpp uses its default for such files and gets other ids for digits and punctuation";
        let remedy = "to compare with bitnet.cpp, give both the same token ids: --tokens FILE";
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
        format!("; norms and columns agree by {} standard deviations", scores.join(", "))
    };
    let judgement = match choice.reason {
        LayoutReason::Given => fine("the layout was given with --i2s-layout"),
        LayoutReason::Plausible => {
            fine("no field of the file names the layout, but the weights fit only one")
        }
        LayoutReason::Default => warning(
            "no field of the file names the layout and the weights do not show it either, so bitkv assumes the layout of \
             the published file",
            "if the model generates nonsense, try --i2s-layout arm or --i2s-layout four-row",
        ),
    };
    let found = format!("I2_S tensors are read in the layout {}{scores}", choice.layout.name());
    Finding::new(LAYOUT, file, found, judgement)
}

fn old_template(gguf: &Gguf) -> Option<Finding> {
    let template = gguf.vocabulary().ok()?.chat_template?;
    template.contains(OLD_TEMPLATE).then(|| {
        let found = "the chat template writes BITNETAssistant before the assistant's turn";
        let means = "the published files contain this older template, but the model was tuned on another; bitkv has \
                     replaced it";
        let remedy = "in other engines, use the chat template of the model's tokenizer_config.json";
        Finding::new(TEMPLATE, "tokenizer.chat_template", found, note(means, remedy))
    })
}
