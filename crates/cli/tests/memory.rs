//! `bitkv memory`: the published table, the actual one, and their document.

mod support;

use serde_json::Value;
use support::{Place, count, keys, list, model::MODEL, number};

fn memory(place: &Place, model: &str, context: &str, accounting: &str) -> Value {
    place.json(&["memory", "--model", model, "--context", context, "--accounting", accounting])
}

/// KV shares in percent to one decimal.
fn shares(document: &Value) -> Vec<f64> {
    let rows = list(&document["rows"]).iter();
    rows.map(|row| (number(&row["kv_fraction"]) * 1000.0).round() / 10.0).collect()
}

#[test]
fn the_published_shares_to_their_last_digit() {
    let place = Place::new();
    let large = memory(&place, "bitnet_b1_58-large", "512,1024,2048", "published");
    assert_eq!(shares(&large), [32.7, 49.1, 65.4]);
    let grouped = memory(&place, "BitNet-b1.58-2B-4T", "512,1024,2048,4096", "published");
    assert_eq!(shares(&grouped), [7.6, 14.0, 24.4, 38.7]);
}

#[test]
fn the_actual_shares() {
    let place = Place::new();
    let grouped = memory(&place, "BitNet-b1.58-2B-4T", "512,2048,4096", "actual");
    assert_eq!(shares(&grouped), [3.2, 11.7, 20.8]);
}

#[test]
fn the_document() {
    let place = Place::new();
    for (model, accounting) in [("BitNet-b1.58-2B-4T", "published"), (MODEL, "actual")] {
        let document = memory(&place, model, "17,512", accounting);
        assert_eq!(keys(&document), ["accounting", "model", "rows"]);
        assert_eq!((&document["model"], &document["accounting"]), (&model.into(), &accounting.into()));
        let rows = list(&document["rows"]);
        assert_eq!(rows.iter().map(|row| count(&row["context"])).collect::<Vec<_>>(), [17, 512]);
        for row in rows {
            let bytes = ["weight_bytes", "kv_bytes", "activation_bytes"].map(|key| count(&row[key]));
            assert_eq!(count(&row["total_bytes"]), bytes.iter().sum::<usize>());
            assert_eq!(number(&row["kv_fraction"]), bytes[1] as f64 / count(&row["total_bytes"]) as f64);
        }
        // Weights do not depend on the context, the cache is proportional to it.
        assert_eq!(rows[0]["weight_bytes"], rows[1]["weight_bytes"]);
        assert_eq!(count(&rows[0]["kv_bytes"]) * 512, count(&rows[1]["kv_bytes"]) * 17);
    }
}

#[test]
fn the_table_for_people_has_the_same_shares() {
    let text = Place::new().text(&["memory", "--model", "bitnet_b1_58-large", "--accounting", "published"]);
    assert!(["32.7", "49.1", "65.4"].iter().all(|share| text.contains(share)), "{text}");
}
