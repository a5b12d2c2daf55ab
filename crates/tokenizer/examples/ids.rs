//! Prints the ids of texts as bitkv encodes them, for comparison with other programs.
//!
//! Each line of standard input is a JSON object: `folder` is the folder of a tokenizer, or `vocabulary` the
//! vocabulary of a GGUF file, and `texts` are the texts. The line that is printed has their `ids` and their
//! `bare` ids, or an `error`.

use std::io::{BufRead, Write};

use bitkv_tokenizer::{SpecialIds, Tokenizer, TokenizerOptions, Vocabulary};
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let case: Value = serde_json::from_str(&line?)?;
        let printed = ids(&case).unwrap_or_else(|error| json!({"error": error}));
        writeln!(out, "{printed}")?;
    }
    Ok(())
}

fn ids(case: &Value) -> Result<Value, String> {
    let options = TokenizerOptions { bos: None, vocab_size: 1 << 20 };
    let tokenizer = match case["folder"].as_str() {
        Some(folder) => Tokenizer::from_folder(folder, &options).map_err(|e| e.to_string())?,
        None => Tokenizer::from_vocabulary(vocabulary(&case["vocabulary"]), "GGUF", &options)
            .map(Some)
            .map_err(|e| e.to_string())?,
    };
    let tokenizer = tokenizer.ok_or("there is no tokenizer")?;
    let texts: Vec<&str> = case["texts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let encoded = |encode: &dyn Fn(&str) -> bitkv_tokenizer::Result<Vec<u32>>| {
        texts.iter().map(|text| encode(text)).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())
    };
    let ids = encoded(&|text| tokenizer.encode(text))?;
    let bare = encoded(&|text| tokenizer.encode_bare(text))?;
    Ok(json!({"ids": ids, "bare": bare}))
}

fn vocabulary(keys: &Value) -> Vocabulary {
    let text = |key: &str| keys[key].as_str().map(String::from);
    let texts = |key: &str| -> Vec<String> {
        keys[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(String::from).collect()
    };
    let numbers = |key: &str| keys[key].as_array().into_iter().flatten().filter_map(Value::as_f64);
    let id = |key: &str| keys[key].as_u64().and_then(|id| u32::try_from(id).ok());
    Vocabulary {
        model: text("model").unwrap_or_default(),
        pre: text("pre"),
        tokens: texts("tokens"),
        scores: numbers("scores").map(|score| score as f32).collect(),
        token_types: numbers("token_types").map(|kind| kind as i32).collect(),
        merges: texts("merges"),
        special: SpecialIds { bos: id("bos"), eos: id("eos"), unk: id("unk"), pad: id("pad") },
        add_bos: keys["add_bos"].as_bool(),
        add_eos: keys["add_eos"].as_bool(),
        add_space_prefix: keys["add_space_prefix"].as_bool(),
    }
}
