//! The statements of a claim as cards: the answer, the numbers, and how it was decided.

use crate::claims::{Claim, Statement};
use crate::escape::html as escape;
use crate::sections::statements::{answer, split_model};

/// Returns the statements of a claim, in groups by model.
pub(super) fn cards(claim: &Claim, models: &[String]) -> String {
    let mut html = String::new();
    for group in claim.statements.chunk_by(|a, b| model_of(a, models) == model_of(b, models)) {
        match model_of(&group[0], models) {
            Some(model) => html += &format!("<h3>{}</h3>\n", escape(model)),
            None if !html.is_empty() => html += "<h3>all models</h3>\n",
            None => {}
        }
        html += "<div class=\"statements\">\n";
        html.extend(group.iter().map(|statement| card(statement, split_model(&statement.text, models).1)));
        html += "</div>\n";
    }
    html
}

/// Returns the model that a statement is about, if it is about one.
fn model_of<'a>(statement: &'a Statement, models: &'a [String]) -> Option<&'a str> {
    split_model(&statement.text, models).0
}

/// Returns the card of one statement. Its rule, its rows and its command fold under it.
fn card(statement: &Statement, text: &str) -> String {
    let answer = answer(statement);
    let class = match statement.holds {
        Some(true) => "holds",
        Some(false) => "does-not-hold",
        None => "not-tested",
    };
    let mut html = format!(
        "<article class=\"statement\">\n<p><span class=\"badge {class}\">{answer}</span> {}</p>\n<dl>\n",
        escape(text)
    );
    for (name, value) in [("measured", &statement.measured), ("published", &statement.published)] {
        if !value.is_empty() {
            html += &format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value));
        }
    }
    html + "</dl>\n" + &decision(statement) + "</article>\n"
}

/// Returns the part that says how a statement was decided; empty if there is nothing to say.
fn decision(statement: &Statement) -> String {
    let mut items = String::new();
    let mut item = |name: &str, value: String| items += &format!("<dt>{name}</dt><dd>{value}</dd>\n");
    if !statement.rule.is_empty() {
        item("rule", escape(&statement.rule));
    }
    if let Some(rows) = &statement.rows {
        let filter = serde_json::to_string(rows).unwrap_or_default();
        let text = escape(&rows.to_string());
        item("rows", format!("<span data-filter=\"{}\">{text}</span>", escape_attribute(&filter)));
    }
    if !statement.command.is_empty() {
        item("measured again by", format!("<code>{}</code>", escape(&statement.command)));
    }
    if !statement.reason.is_empty() {
        item("note", escape(&statement.reason));
    }
    if items.is_empty() {
        return String::new();
    }
    format!("<details>\n<summary>How this was decided</summary>\n<dl>\n{items}</dl>\n</details>\n")
}

/// Escapes a JSON document for an attribute. A space before a percent sign must stay one.
fn escape_attribute(json: &str) -> String {
    escape(json).replace('\u{a0}', " ")
}
