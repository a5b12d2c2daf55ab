use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::{
    Head, Need, Needs,
    options::Options,
    registry::{Method, Role},
};

/// Keeps the tokens that the queries yet to come will attend to most: no method, as none can know
/// them. With uniform shares no other choice retains more of the attention that it pools over the
/// group; it bounds neither other allocators nor how far outputs diverge.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Oracle {}

impl Options for Oracle {}

impl Method for Oracle {
    const ROLE: Role = Role::Oracle;
    const NAME: &'static str = "oracle";
    const SOURCE: &'static str = "control of this suite";
    const DESCRIPTION: &'static str =
        "the tokens that the continuation will attend to most, which no cache can know";
    const ORACLE: bool = true;
}

impl Scorer for Oracle {
    fn needs(&self) -> Needs {
        [Need::Future].into()
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(&head.pooled(Need::Future));
    }
}
