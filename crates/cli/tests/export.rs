//! `bitkv profile --export`: a file for inference engines with the budgets of KV heads by a profile.

mod support;

use bitkv_record::{PlanExport, Profile};
use support::{
    Place,
    model::{MODEL, size},
};

const TOKENS: usize = 64;

/// Profiles 64 tokens with more arguments, and returns what is exported.
fn export(place: &Place, more: &[&str]) -> PlanExport {
    place.tokens("tokens.json", TOKENS as u32);
    let arguments =
        ["profile", "--model", MODEL, "--tokens", "tokens.json", "--export", "heads.json", "--force"];
    place.json(&[&arguments, more].concat());
    PlanExport::read(&place.path("heads.json")).unwrap()
}

#[test]
fn by_default_a_quarter_is_divided_by_entropy() {
    let place = Place::new();
    let export = export(&place, &["--out", "profile.json"]);
    let (layers, kv_heads) = (size("num_hidden_layers"), size("num_key_value_heads"));
    assert_eq!((&*export.model, export.budget, export.tokens), (MODEL, 0.25, TOKENS));
    assert_eq!(
        (export.n_layer, export.n_head_kv, export.n_head),
        (layers, kv_heads, size("num_attention_heads"))
    );
    assert!(
        export.policy.starts_with("entropy{") && export.policy.contains("+recency{"),
        "{}",
        export.policy
    );
    let places: Vec<_> = export.heads.iter().map(|head| (head.layer, head.kv_head)).collect();
    assert_eq!(places, (0..layers * kv_heads).map(|i| (i / kv_heads, i % kv_heads)).collect::<Vec<_>>());
    let budgets: Vec<usize> = export.heads.iter().map(|head| head.budget).collect();
    assert_eq!(budgets.iter().sum::<usize>(), layers * kv_heads * TOKENS / 4);
    assert!(export.heads.iter().all(|head| head.kept.is_empty()), "a profile has no positions");

    // A plan for a context of the same length and with the same profile has the same budgets.
    let plan = [
        "plan",
        "--model",
        MODEL,
        "--tokens",
        "tokens.json",
        "--policy",
        "entropy+recency",
        "--budget",
        "0.25",
    ];
    place.json(&[&plan[..], &["--profile", "profile.json", "--export", "plan.json"]].concat());
    let planned = PlanExport::read(&place.path("plan.json")).unwrap();
    assert_eq!(planned.heads.iter().map(|head| head.kept.len()).collect::<Vec<_>>(), budgets);
    assert_eq!(planned.policy, export.policy);
}

#[test]
fn heads_of_higher_entropy_get_more_or_with_the_inverse_less() {
    let place = Place::new();
    let forward = export(&place, &["--out", "profile.json", "--budget", "0.3"]);
    let inverse = export(&place, &["--policy", "entropy-inverse+recency", "--budget", "0.3"]);
    let uniform = export(&place, &["--policy", "uniform+recency", "--budget", "0.3"]);
    let group = size("num_attention_heads") / size("num_key_value_heads");
    let entropies = Profile::read(&place.path("profile.json")).unwrap().entropies().concat();
    let highest = |head: &usize| entropies[head * group..][..group].iter().copied().fold(0.0, f64::max);
    let mut heads: Vec<usize> = (0..forward.heads.len()).collect();
    heads.sort_by(|a, b| highest(a).total_cmp(&highest(b)));
    let (low, high) = (heads[0], heads[heads.len() - 1]);
    assert!(forward.heads[low].budget < forward.heads[high].budget);
    assert!(inverse.heads[low].budget > inverse.heads[high].budget);
    assert!(uniform.heads.iter().all(|head| head.budget == 19));
}

#[test]
fn impossible_exports_are_refused() {
    let place = Place::new();
    place.tokens("tokens.json", TOKENS as u32);
    let refuses_with = |more: &[&str], says: &[&str]| {
        let arguments =
            ["profile", "--model", MODEL, "--tokens", "tokens.json", "--export", "heads.json", "--force"];
        place.refuses(&[&arguments, more].concat(), says);
    };
    let says = ["entropy+window-attention", "needs only entropies", "bitkv plan --export"];
    refuses_with(&["--policy", "entropy+window-attention"], &says);
    refuses_with(&["--policy", "entropi+recency"], &["entropi", "entropy"]);
    for budget in ["0", "1.5", "-1"] {
        refuses_with(&["--budget", budget], &[budget]);
    }
}
