//! Every number of a page follows from the rows of its run. This test reads the numbers back from the HTML
//! and computes them again from the rows, with a mean of its own.

mod fixture;

use std::{collections::BTreeMap, io::Read as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bitkv_record::{AskedBudget, GridRow, PolicyRole, Row as _, ScoredTask};
use bitkv_report::{Leaderboard, ListedRun, RecordedRun, Run, render_html};
use fixture::recorded;
use serde_json::Value;

/// The largest relative difference that six digits explain.
const ROUNDING: f64 = 6e-6;

/// Returns the content of the script element with this id.
fn script<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\">")).unwrap_or_else(|| panic!("no script {id}"));
    rest.split_once("</script>").unwrap().0
}

/// Returns the figures of a page of one kind.
fn figures(page: &str, kind: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(script(page, "figures")).unwrap();
    all.into_iter().filter(|figure| figure["kind"] == kind).map(|figure| figure["data"].clone()).collect()
}

/// Returns the packed document of a page.
fn packed(page: &str) -> Value {
    let bytes = STANDARD.decode(script(page, "packed-rows")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    let near = (found - expected).abs() <= ROUNDING * expected.abs().max(1e-300);
    assert!(near, "{found} instead of {expected}");
}

/// Returns the policy of a row without its seed.
fn policy(row: &GridRow) -> String {
    bitkv_record::PolicyText::new(&row.policy).without_seed().0.to_string()
}

/// Returns the mean over texts of a value, where each text counts with the mean over its draws, and the
/// number of texts.
fn mean(rows: &[&GridRow], value: fn(&GridRow) -> Option<f64>) -> Option<(f64, usize)> {
    let mut texts: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in rows {
        texts.entry(&row.text).or_default().extend(value(row));
    }
    texts.retain(|_, values| !values.is_empty());
    let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let means: Vec<f64> = texts.values().map(|values| average(values)).collect();
    (!means.is_empty()).then(|| (average(&means), means.len()))
}

/// The measures of a chart that this test computes again, by their name in the chart.
type Measured = (&'static str, fn(&GridRow) -> Option<f64>);
const MEASURES: [Measured; 4] = [
    ("KL", |row| row.kl_nats),
    ("agreement", |row| row.agreement),
    ("NLL increase over the full cache", |row| row.nll_difference),
    ("attention cosine, as published", |row| row.attention_cosine),
];

/// Compares the points of all charts about texts with the rows. Returns the number of compared points.
fn compare_charts(page: &str, run: &Run<'_>) -> usize {
    let mut compared = 0;
    for chart in figures(page, "chart") {
        for panel in chart["panels"].as_array().unwrap() {
            for (index, measure) in panel["measures"].as_array().unwrap().iter().enumerate() {
                let known = MEASURES.iter().find(|(name, _)| measure["name"] == *name);
                let Some((_, value)) = known else { continue };
                for line in panel["lines"].as_array().unwrap() {
                    // Published figures have no rows.
                    if line["marks"] == false {
                        compared += compare_line(run, panel, line, index, *value);
                    }
                }
            }
        }
    }
    compared
}

/// Compares the points of one line.
fn compare_line(
    run: &Run<'_>,
    panel: &Value,
    line: &Value,
    index: usize,
    value: fn(&GridRow) -> Option<f64>,
) -> usize {
    let points = line["points"][index].as_array().unwrap();
    for point in points {
        let budget: AskedBudget = point["label"].as_str().unwrap().parse().unwrap();
        let wanted = |row: &&GridRow| {
            panel["name"] == row.model && line["full"] == policy(row) && row.budget == budget
        };
        let texts = run.rows.iter().filter(|row| row.task == ScoredTask::TEXT && row.error.is_none());
        let rows: Vec<&GridRow> = texts.filter(wanted).collect();
        let (expected, n) = mean(&rows, value).unwrap();
        assert_near(point["y"][0].as_f64().unwrap(), expected);
        assert_eq!(point["n"], n);
        let (bytes, _) = mean(&rows, |row| row.cache_bytes.map(|bytes| bytes as f64)).unwrap();
        assert_near(point["x"][1].as_f64().unwrap(), bytes);
        let (low, high) = (point["y"][1].as_f64(), point["y"][2].as_f64());
        if n >= 5 {
            assert!(
                low.unwrap() <= expected * (1.0 + ROUNDING) && expected <= high.unwrap() * (1.0 + ROUNDING)
            );
        } else {
            assert_eq!((low, high), (None, None), "few texts have no interval");
        }
    }
    points.len()
}

/// Compares the packed rows with the rows. Returns the number of compared values.
fn compare_rows(page: &str, run: &Run<'_>) -> usize {
    let document = packed(page);
    assert_eq!(document["rows"], run.rows.len());
    let mut compared = 0;
    for column in document["columns"].as_array().unwrap() {
        let name = column["name"].as_str().unwrap();
        let own = GridRow::columns().iter().find(|own| own.name == name).unwrap();
        for (row, packed) in run.rows.iter().zip(column["values"].as_array().unwrap()) {
            match column["texts"].as_array() {
                Some(texts) => {
                    let text = &texts[packed.as_u64().unwrap() as usize];
                    let expected = match name {
                        "written" => row.policy_name().to_owned(),
                        _ => (own.get)(row).write(),
                    };
                    assert_eq!(*text, expected, "{name}");
                }
                None => match (own.get)(row).number() {
                    Some(expected) => assert_near(packed.as_f64().unwrap(), expected),
                    None => assert!(packed.is_null()),
                },
            }
            compared += 1;
        }
    }
    compared
}

/// Returns the committed run of this name.
fn committed(name: &str) -> RecordedRun {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results");
    RecordedRun::read(&results.join(name)).unwrap()
}

#[test]
fn charts_and_packed_rows_of_a_small_run_equal_its_rows() {
    let recorded = recorded();
    let page = render_html(&recorded.run());
    assert_eq!(compare_charts(&page, &recorded.run()), 4 * 4 * 3, "measures, policies and budgets");
    assert!(compare_rows(&page, &recorded.run()) > 1000);
}

#[test]
fn charts_and_packed_rows_of_a_committed_run_equal_its_rows() {
    let recorded = committed("verify-2");
    let page = render_html(&recorded.run());
    assert!(compare_charts(&page, &recorded.run()) > 300);
    assert!(compare_rows(&page, &recorded.run()) > 100_000);
}

/// Returns the cells of each row of the table under this caption, without the marks and the number of draws
/// in the first cell.
fn table_cells(page: &str, caption: &str) -> Vec<Vec<String>> {
    let (_, rest) =
        page.split_once(&format!("<summary>{caption}</summary>")).unwrap_or_else(|| panic!("{caption}"));
    let (table, _) = rest.split_once("</table>").unwrap();
    let rows = table.split("<tr>").skip(2);
    let cell = |part: &str| part.split_once('>').unwrap().1.split("</").next().unwrap().to_owned();
    let row = |row: &str| -> Vec<String> {
        let cells = row.replace("<td", "<th");
        let mut cells: Vec<String> = cells.split("<th").skip(1).map(cell).collect();
        cells[0] = cells[0].split(" (").next().unwrap().replace(" †", "").replace(" ‡", "");
        cells
    };
    rows.map(row).collect()
}

#[test]
fn numbers_of_tables_equal_the_rows() {
    let recorded = committed("verify-2");
    let run = recorded.run();
    let page = render_html(&run);
    let tables: [Measured; 2] = [
        ("KL, nats [95\u{a0}% CI]", |row| row.kl_nats),
        ("agreement,\u{a0}% [95\u{a0}% CI]", |row| Some(100.0 * row.agreement?)),
    ];
    let mut compared = 0;
    for (title, value) in tables {
        let caption = format!("compression, tiny-gqa, 22 texts: {title}");
        for row in table_cells(&page, &caption) {
            // The rules change something even at the full budget, so it has a column.
            for (cell, budget) in row[1..].iter().zip([1.0, 0.5, 0.2, 0.1]) {
                let wanted = |own: &&GridRow| {
                    // The full cache has rows at the full budget alone.
                    let budget = if row[0] == "full" { 1.0 } else { budget };
                    let is_text = own.task == ScoredTask::TEXT && own.budget == AskedBudget::Fraction(budget);
                    is_text && own.model == "tiny-gqa" && policy(own) == row[0]
                };
                let (expected, _) = mean(&run.rows.iter().filter(wanted).collect::<Vec<_>>(), value).unwrap();
                let printed = cell.split(" [").next().unwrap();
                let digits = |text: &str| text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
                let expected = match printed.split_once('e') {
                    Some((mantissa, _)) => format!("{expected:.*e}", digits(mantissa)),
                    None => format!("{expected:.*}", digits(printed)),
                };
                assert_eq!(printed, expected, "{}, {title}, {budget}", row[0]);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 2 * 16 * 4, "measures, policies and budgets");
}

#[test]
fn paired_differences_equal_the_differences_of_means() {
    let recorded = committed("verify-2");
    let run = recorded.run();
    let page = render_html(&run);
    let forests = figures(&page, "forest");
    let panels = forests[0]["panels"].as_array().unwrap();
    let mean_kl = |name: &str, budget: &str| -> f64 {
        let budget: AskedBudget = budget.parse().unwrap();
        let wanted = |row: &&GridRow| {
            let is_text = row.task == ScoredTask::TEXT && row.budget == budget;
            is_text && row.model == "tiny-mha" && policy(row) == name
        };
        mean(&run.rows.iter().filter(wanted).collect::<Vec<_>>(), |row| row.kl_nats).unwrap().0
    };
    let panel = panels.iter().find(|panel| panel["name"] == "tiny-mha: pairs of the definition").unwrap();
    let rows = panel["rows"].as_array().unwrap().iter().filter(|row| row["measure"] == "KL");
    let mut compared = 0;
    for row in rows {
        let label = row["label"].as_str().unwrap();
        let [first, second] = label.split(" minus ").collect::<Vec<_>>()[..] else { panic!("{label}") };
        let bare = |name: &str| name.split(" (").next().unwrap().replace(" †", "").replace(" ‡", "");
        let budget = row["budget"].as_str().unwrap();
        let expected = mean_kl(&bare(first), budget) - mean_kl(&bare(second), budget);
        let found = row["value"].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-8, "{label} at {budget}: {found} instead of {expected}");
        let interval = row["interval"].as_array().unwrap();
        let (low, high) = (interval[0].as_f64().unwrap(), interval[1].as_f64().unwrap());
        assert!(low <= found && found <= high);
        let excludes_zero = low > 0.0 || high < 0.0;
        match row["verdict"].as_str().unwrap() {
            "better" => assert!(high < 0.0),
            "worse" => assert!(low > 0.0),
            "undecided" => assert!(!excludes_zero),
            // Of three pairs at four budgets, the full budget changes nothing.
            "undecided after correction for 9 comparisons" => assert!(excludes_zero),
            other => panic!("{other}"),
        }
        compared += 1;
    }
    assert_eq!(compared, 9, "three pairs at three budgets");
}

#[test]
fn scores_of_heads_equal_the_means_over_texts() {
    let recorded = committed("verify-2");
    let run = recorded.run();
    let maps = figures(&render_html(&run), "heads");
    let mut compared = 0;
    for model in maps[0]["models"].as_array().unwrap() {
        for view in model["views"].as_array().unwrap() {
            let Some((context, _)) = view["name"].as_str().unwrap().split_once(" tokens") else { continue };
            let context: usize = context.parse().unwrap();
            for (layer, heads) in view["scores"][0].as_array().unwrap().iter().enumerate() {
                for (head, found) in heads.as_array().unwrap().iter().enumerate() {
                    let own = run.heads.iter().filter(|row| {
                        (row.context, row.layer, row.head) == (context, layer, head)
                            && model["name"] == row.model
                    });
                    let bits: Vec<f64> = own.filter_map(|row| row.entropy_bits).collect();
                    assert_eq!(view["texts"], bits.len());
                    let (least, most) = (bits.iter().copied().fold(9e9, f64::min), bits.iter().sum::<f64>());
                    assert_near(found.as_f64().unwrap(), most / bits.len() as f64);
                    assert_near(view["scores"][2][layer][head].as_f64().unwrap(), least);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 2 * 6 * 32, "models, context lengths and heads");
}

#[test]
fn answers_by_depth_equal_the_rows() {
    let recorded = committed("retrieval-2");
    let run = recorded.run();
    let maps = figures(&render_html(&run), "depths");
    let mut compared = 0;
    for panel in maps[0]["panels"].as_array().unwrap() {
        let (model, task) = panel["name"].as_str().unwrap().split_once(": ").unwrap();
        for own in panel["policies"].as_array().unwrap() {
            let name = own["name"].as_str().unwrap();
            let bare = name.split(" (").next().unwrap().replace(" †", "");
            for (band, cells) in own["bands"].as_array().unwrap().iter().enumerate() {
                for (cell, column) in
                    cells.as_array().unwrap().iter().zip(panel["columns"].as_array().unwrap())
                {
                    let (tokens, budget) = column.as_str().unwrap().split_once(" tokens, budget ").unwrap();
                    let (tokens, mut budget): (usize, AskedBudget) =
                        (tokens.parse().unwrap(), budget.parse().unwrap());
                    if bare == "full" {
                        budget = AskedBudget::FULL;
                    }
                    let wanted = |row: &&GridRow| {
                        let is_cell = row.model == model && policy(row) == bare && row.budget == budget;
                        let is_task = row.task.to_string() == task && row.context_tokens == tokens;
                        let is_here = |depth: f64| ((4.0 * depth) as usize).min(3) == band;
                        is_cell && is_task && row.depth.is_some_and(is_here)
                    };
                    let rows: Vec<&GridRow> = run.rows.iter().filter(wanted).collect();
                    let Some(found) = cell.as_array() else {
                        assert!(rows.is_empty());
                        continue;
                    };
                    // If a policy sees the question, every question of a context has a row of its own. A
                    // context counts with the share of all of its questions, and each draw of it counts
                    // alike.
                    let mut contexts: BTreeMap<(&str, u64), (usize, usize)> = BTreeMap::new();
                    for row in &rows {
                        let context = if task.ends_with("-aware") {
                            row.text.rsplit_once('-').unwrap().0
                        } else {
                            &row.text
                        };
                        let sums = contexts.entry((context, row.seed)).or_default();
                        *sums = (sums.0 + row.correct.unwrap(), sums.1 + row.questions);
                    }
                    let mut texts: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
                    for ((context, _), (correct, asked)) in &contexts {
                        texts.entry(context).or_default().push(*correct as f64 / *asked as f64);
                    }
                    let means: Vec<f64> =
                        texts.values().map(|own| own.iter().sum::<f64>() / own.len() as f64).collect();
                    assert_near(found[0].as_f64().unwrap(), means.iter().sum::<f64>() / means.len() as f64);
                    let seed = rows[0].seed;
                    let asked: usize = contexts
                        .iter()
                        .filter(|((_, own), _)| texts.len() == contexts.len() || *own == seed)
                        .map(|(_, (_, asked))| asked)
                        .sum();
                    assert_eq!(found[1], asked, "{name}, {column}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn memory_equals_the_rows() {
    let recorded = committed("verify-2");
    let run = recorded.run();
    let page = render_html(&run);
    let charts = figures(&page, "chart");
    let chart = charts.iter().find(|chart| chart["title"] == "memory against context length").unwrap();
    let mut compared = 0;
    for panel in chart["panels"].as_array().unwrap() {
        for line in panel["lines"].as_array().unwrap() {
            for (share, bytes) in
                line["points"][0].as_array().unwrap().iter().zip(line["points"][1].as_array().unwrap())
            {
                let row = run.memory.iter().find(|row| {
                    let accounting = format!("{} accounting", row.accounting);
                    panel["name"] == row.model
                        && line["name"] == accounting
                        && share["x"][0] == row.context as f64
                });
                assert_near(share["y"][0].as_f64().unwrap(), row.unwrap().kv_fraction);
                assert_near(bytes["y"][0].as_f64().unwrap(), row.unwrap().kv_bytes as f64 / 1e6);
                compared += 1;
            }
        }
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn the_first_screen_has_verdicts_or_what_the_pairs_show() {
    let verified = committed("verify-2");
    let page = render_html(&verified.run());
    let (first, _) = page.split_once("<nav ").unwrap();
    assert_eq!(first.matches("<li class=\"answer\">").count(), 3, "one answer for each claim");
    assert_eq!(first.matches("Because this ").count(), 3);
    assert!(
        first.contains("52.3\u{a0}% for bitnet_b1_58-large at 2048 tokens (published: 68.6\u{a0}%)"),
        "{first}"
    );
    let compared = committed("sinks-2");
    let page = render_html(&compared.run());
    let (first, _) = page.split_once("<nav ").unwrap();
    assert!(
        first.contains("<li class=\"answer\">") && first.contains("class=\"interactive forest\""),
        "{first}"
    );
}

#[test]
fn without_claims_and_pairs_the_first_screen_names_the_best_policy() {
    let mut recorded = recorded();
    recorded.definition.claims.clear();
    recorded.definition.experiments[0].pairs.clear();
    let page = render_html(&recorded.run());
    let (first, _) = page.split_once("<nav ").unwrap();
    assert_eq!(first.matches("snapkv has the lowest mean KL, ").count(), 3, "budgets: {first}");
    // The KL of six texts is 0.2 times 1.0 to 1.5, and that of the next policy is twice as large.
    assert!(first.contains("nats on 6 texts. The next, entropy-inverted, differs by 0.250 ["), "{first}");
    assert!(first.contains("0.250 [0.") && first.contains("class=\"interactive chart\""), "{first}");
}

#[test]
fn an_interval_that_excludes_zero_does_not_contradict_its_verdict() {
    for name in ["scorers-and-allocators-2", "sinks-2"] {
        let recorded = committed(name);
        let page = render_html(&recorded.run());
        let mut corrected = 0;
        for forest in figures(&page, "forest") {
            let panels = forest["panels"].as_array().unwrap();
            for row in panels.iter().flat_map(|panel| panel["rows"].as_array().unwrap()) {
                let verdict = row["verdict"].as_str().unwrap();
                let [low, high] = &row["interval"].as_array().unwrap()[..] else { continue };
                let (low, high) = (low.as_f64().unwrap(), high.as_f64().unwrap());
                let excludes_zero = low > 0.0 || high < 0.0;
                corrected += usize::from(verdict.starts_with("undecided after correction for "));
                match excludes_zero {
                    true => assert!(verdict != "undecided" && verdict != "identical", "{row}"),
                    false => assert!(!verdict.contains("better") && !verdict.contains("worse"), "{row}"),
                }
            }
        }
        assert!(corrected > 0, "{name} has differences that the correction leaves open");
    }
}

#[test]
fn a_statement_names_rows_that_exist() {
    let recorded = committed("verify-2");
    let run = recorded.run();
    let mut checked = 0;
    for statement in bitkv_report::claims::all(&run).iter().flat_map(|claim| &claim.statements) {
        let Some(filter) = &statement.rows else { continue };
        let accepts = |column: &str, value: &str| {
            filter.columns.get(column).is_none_or(|values| values.iter().any(|own| own == value))
        };
        let found = match filter.file {
            "rows.csv" => run
                .rows
                .iter()
                .filter(|row| accepts("model", &row.model) && accepts("policy", &policy(row)))
                .filter(|row| {
                    accepts("budget", &row.budget.to_string()) && accepts("task", &row.task.to_string())
                })
                .count(),
            "heads.csv" => run
                .heads
                .iter()
                .filter(|row| accepts("model", &row.model) && accepts("context", &row.context.to_string()))
                .count(),
            _ => run
                .memory
                .iter()
                .filter(|row| accepts("model", &row.model) && accepts("context", &row.context.to_string()))
                .filter(|row| accepts("accounting", &row.accounting.to_string()))
                .count(),
        };
        assert!(found > 0, "{}: {filter}", statement.text);
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn policies_have_the_name_they_were_asked_for_and_their_specification() {
    let recorded = recorded();
    let page = render_html(&recorded.run());
    let charts = figures(&page, "chart");
    let lines = charts[0]["panels"][0]["lines"].as_array().unwrap();
    let snapkv = lines.iter().find(|line| line["name"] == "snapkv").unwrap();
    assert_eq!(snapkv["full"], fixture::SNAPKV);
    let published = lines.iter().find(|line| line["name"] == "published agreement").unwrap();
    assert_eq!(published["marks"], true);
}

#[test]
fn boards_rank_by_the_mean_and_keep_losers() {
    let recorded = committed("verify-2");
    let run = recorded.run();
    let mut leaderboard = Leaderboard::new(vec![ListedRun::new("verify-2", run.definition, run.manifest)]);
    leaderboard.add("verify-2", run, Some("report.md"));
    let page = leaderboard.to_html();
    assert!(page.contains("href=\"verify-2/report.md\""));
    let boards = packed(&page);
    let board = boards.as_array().unwrap().iter().find(|own| {
        let board = &own["board"];
        board["model"] == "tiny-mha" && board["measure"] == "KL" && board["budget"] == "0.1"
    });
    let ranks = board.unwrap()["board"]["ranks"].as_array().unwrap();
    let values: Vec<f64> = ranks.iter().map(|rank| rank["value"][0].as_f64().unwrap()).collect();
    assert!(values.is_sorted(), "{values:?}");
    let places: Vec<u64> = ranks.iter().filter_map(|rank| rank["place"].as_u64()).collect();
    assert_eq!(places, (1..=places.len() as u64).collect::<Vec<_>>());
    let policies: usize = {
        let evicting = run.rows.iter().filter(|row| row.role != PolicyRole::Full && row.model == "tiny-mha");
        evicting.map(policy).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(ranks.len(), policies, "no policy is left out");
    assert!(ranks.iter().any(|rank| rank["against_random"] == "worse"), "a loser is shown");
    let first = ranks.iter().find(|rank| rank["place"] == 1).unwrap();
    assert_eq!(first["from_best"], serde_json::json!([]));
    for rank in ranks.iter().filter(|rank| rank["place"].as_u64().is_some_and(|place| place > 1)) {
        let difference = rank["value"][0].as_f64().unwrap() - first["value"][0].as_f64().unwrap();
        assert!((rank["from_best"][0].as_f64().unwrap() - difference).abs() < 1e-6);
    }
}
