//! The registry of the methods that experiments can name, and the roles of policies in rows.

use bitkv_evict::{Error, Registry, Role};
use bitkv_record::PolicyRole;

/// Returns the registry with the methods of `bitkv-evict` and the presses of `bitkv-kvpress`.
///
/// # Errors
/// Returns an error if two of them have the same name.
pub fn registry() -> Result<Registry, Error> {
    bitkv_kvpress::presses(Registry::standard())
}

/// Returns the role that rows record for a policy; `None` if `text` is not a policy of the registry.
pub fn role_of(registry: &Registry, text: &str) -> Option<PolicyRole> {
    registry.policy(text).ok().map(|policy| recorded_role(policy.role()))
}

/// Returns the role that rows record.
pub(crate) fn recorded_role(role: Role) -> PolicyRole {
    match role {
        Role::Full => PolicyRole::Full,
        Role::Published => PolicyRole::Published,
        Role::Method => PolicyRole::Method,
        Role::Control => PolicyRole::Control,
        Role::Oracle => PolicyRole::Oracle,
    }
}

#[cfg(test)]
mod tests {
    use bitkv_record::Named;

    use super::*;

    #[test]
    fn roles_have_the_same_names_in_rows() {
        let registry = registry().unwrap();
        for (text, role) in [
            ("full", PolicyRole::Full),
            ("entropy-global", PolicyRole::Published),
            ("kvpress:snapkv", PolicyRole::Method),
            ("entropy-permuted+recency", PolicyRole::Control),
            ("uniform+random", PolicyRole::Control),
            ("entropy-inverse+oracle", PolicyRole::Oracle),
        ] {
            assert_eq!(role_of(&registry, text), Some(role), "{text}");
        }
        assert_eq!(role_of(&registry, "nothing"), None);
        for listing in registry.listings() {
            assert_eq!(recorded_role(listing.role).name(), listing.role.name());
        }
    }
}
