//! Reports what was accepted with a doubt when the checkpoint was opened, such as settings that contradict
//! each other.

use crate::{Examination, Finding, finding::warning};

const CHECK: &str = "settings";

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let checkpoint = &examination.evidence.checkpoint;
    let finding = |note: &String| {
        let means =
            "the files are unusual or contradict each other, so another program may read them in another way";
        let remedy = "compare the files with the source of the weights";
        Finding::new(CHECK, checkpoint.file(), note.clone(), warning(means, remedy))
    };
    checkpoint.notes().iter().map(finding).collect()
}
