//! The errors of this crate.

use crate::Reason;

/// The reason why a policy could not be read or built, or could not plan a cache.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages explain the variants")]
pub enum Error {
    #[error("the policy is empty; write ALLOCATOR+SCORER such as `uniform+recency`, or one of: {rules}")]
    EmptySpec { rules: String },
    #[error("policy `{spec}` cannot be read: {reason}")]
    Spec { spec: String, reason: String },
    #[error("there is no {kind} named `{name}`{}: {known}", match nearest {
        Some(nearest) => format!(", did you mean `{nearest}`? There are"),
        None => "; there are".into(),
    })]
    Unknown { kind: &'static str, name: String, nearest: Option<&'static str>, known: String },
    #[error("`{preset}` is a preset and has no options; to change one, write the policy `{spec}` instead")]
    PresetOptions { preset: String, spec: &'static str },
    #[error("`{method}` has no option `{option}`; {known}")]
    UnknownOption { method: &'static str, option: String, known: String },
    #[error("option `{option}` of `{method}` cannot be {value}: {reason}")]
    Option { method: &'static str, option: String, value: String, reason: Reason },
    #[error(
        "the options of `{method}` have no TOML form: {reason}; give each option the type of a number, a string or a bool"
    )]
    Options { method: &'static str, reason: String },
    #[error(
        "policy `{spec}` asks for the compressor `{name}`, but no compressor exists yet: remove `|` and what follows"
    )]
    Compressor { spec: String, name: String },
    #[error("there is already a {kind} named `{name}`; choose another name")]
    Duplicate { kind: &'static str, name: &'static str },
    #[error("`{name}` cannot be the name of a method; use lower-case letters, digits and hyphens")]
    Name { name: &'static str },
    #[error(
        "scorer `{scorer}` declares an option `{option}`, which every scorer already has; give it another name"
    )]
    Reserved { scorer: &'static str, option: String },
    #[error("a budget of {value} is outside (0, 1]; give the fraction of the cache to keep, such as 0.5")]
    Budget { value: f64 },
    #[error("a ratio of {value} is outside [0, 1); give the fraction of the cache to remove, such as 0.5")]
    Ratio { value: f64 },
    #[error("a budget of 0 would empty the cache; keep at least one token")]
    NoTokens,
    #[error("`{allocator}+{scorer}` is not a valid policy: {reason}")]
    Meaningless { allocator: &'static str, scorer: &'static str, reason: String },
    #[error("policy `{policy}` cannot plan this cache, because {reason}")]
    Impossible { policy: String, reason: Reason },
    #[error(
        "policy `{policy}` plans whole caches only, and this cache was compressed before: use an ALLOCATOR+SCORER policy to compress it again"
    )]
    Ragged { policy: String },
    #[error(
        "policy `{policy}` needs {missing}, which was not observed: observe everything that `Policy::needs` lists before planning"
    )]
    Unobserved { policy: String, missing: String },
    #[error("no plan can be made for this cache: {reason}")]
    Shape { reason: String },
    #[error("the observation of {what} has {found} entries, but the shape of the cache requires {expected}")]
    Extent { what: String, found: usize, expected: usize },
    #[error("the observed {what} is {value}, which is not finite; check the forward pass that produced it")]
    NotFinite { what: String, value: f32 },
    #[error(
        "the entropy of head {head} (counted over all layers) is {value}; it must be \
         finite and at least 0 bits"
    )]
    Entropy { head: usize, value: f64 },
    #[error("number {at} of the observed {what} is {value}; it must be finite and not negative")]
    Number { what: String, at: usize, value: f64 },
    #[error(
        "policy `{policy}` scores position {position} of layer {layer}, KV head {head} with {value}; \
         a score must be finite"
    )]
    Score { policy: String, layer: usize, head: usize, position: usize, value: f32 },
    #[error(
        "policy `{policy}` cannot divide {total} tokens among {heads} KV heads of 1 to {tokens} tokens each"
    )]
    Division { policy: String, total: usize, heads: usize, tokens: usize },
}
