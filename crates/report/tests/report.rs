//! A small verification in all three forms: its parts, its escaping and its markup are right, and its
//! verdicts follow from its rows.

mod fixture;
mod markup;

use bitkv_record::{GridRow, PolicyRole, ScoredTask};
use bitkv_report::{
    claims::{Claim, StatementRole, Verdict, all},
    figures, files, findings, render_html, render_markdown, render_terminal,
};
use fixture::{NASTY, Recorded, SNAPKV, recorded};

fn claim(recorded: &Recorded, index: usize) -> Claim {
    all(&recorded.run()).remove(index)
}

#[test]
fn the_page_is_well_formed_and_self_contained() {
    let recorded = recorded();
    let page = render_html(&recorded.run());
    markup::check(&page);
    assert!(page.starts_with("<!DOCTYPE html>"));
    for outside in ["src=", "url(", "@import", "href=\"http", "import(", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(outside), "{outside} found");
    }
    assert_eq!(page.matches("<link").count(), page.matches("<link rel=\"icon\" href=\"data:,\">").count());
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("lang=\"en\""));
    for (_, svg) in figures(&recorded.run()) {
        markup::check(&svg);
        assert!(svg.contains("aria-label="));
    }
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
    assert_eq!(page.matches("<figure").count(), page.matches("<figcaption>").count());
}

#[test]
fn every_form_gives_verdicts_numbers_command_and_limits() {
    let recorded = recorded();
    let run = recorded.run();
    let (page, markdown, terminal) = (render_html(&run), render_markdown(&run), render_terminal(&run, 120));
    assert!(page.contains("<span class=\"badge does-not-hold\">does not hold</span>"), "{page}");
    assert!(markdown.contains("> Verdict: **does not hold**"));
    assert!(terminal.contains(": DOES NOT HOLD =="), "{terminal}");
    for form in [&page, &markdown] {
        assert!(form.contains("bitkv verify --model"));
        assert!(form.contains("Limits") && form.contains("The program was built from sources"));
        assert!(form.contains("6 texts") && form.contains("printed: 0.5/1.5/2.5/3.5"));
        // Titles of measures that are computed as published have a comma before these words.
        let rows = form.matches("as published").count() - form.matches(", as published").count();
        assert_eq!(rows, 4, "the heads of two published models are once in each of two tables");
        assert!(form.contains("perplexity [95") && form.contains("bits per byte"));
    }
    // The program of the page has such words.
    let (content, _) = page.rsplit_once("<script>").unwrap();
    for form in [content, &markdown, &terminal] {
        assert!(form.contains("uniform+oracle") && form.contains("in all 30 cells"), "{form}");
        assert!(!form.contains("NaN") && !form.contains("inf "));
    }
}

#[test]
fn the_most_important_sections_come_first() {
    let recorded = recorded();
    let order = [
        "Verdicts",
        "Key numbers",
        "KV cache as a share of memory, ",
        "heads with an entropy below 1.5 bits, ",
        "next tokens that are the same as with the full cache, 5x asked for, ",
        "revision abc123",
        "What was asked",
        "Statement by statement",
        "Self-check",
        "Heads by class",
        "Memory by context length",
        "say nothing about models",
        "duration, seconds",
        "Options and input files",
    ];
    let on_the_page = [
        "<h1>Does it hold?</h1>",
        "revision abc123",
        "<span class=\"badge ",
        "Because this does not hold: ",
        "data-figure=\"0\"",
        "<nav ",
        "<article class=\"statement\">",
        "How this was decided",
        "KV cache as a share of memory, ",
        "data-figure=\"1\"",
        "Self-check",
        "Heads by class",
        "Memory by context length",
        "id=\"rows\"",
        ">What was asked, and what would refute it</h2>",
        "say nothing about models",
        "duration, seconds",
        "Options and input files",
    ];
    let is_in_order = |form: &str, order: &[&str]| {
        let places: Vec<usize> =
            order.iter().map(|part| form.find(part).unwrap_or_else(|| panic!("{part} in {form}"))).collect();
        assert!(places.is_sorted(), "{places:?}");
    };
    is_in_order(&render_markdown(&recorded.run()), &order);
    is_in_order(&render_html(&recorded.run()), &on_the_page);
}

#[test]
fn the_terminal_report_is_short() {
    let terminal = render_terminal(&recorded().run(), 120);
    let lines = terminal.lines().count();
    assert!(lines < 112, "{lines}\n{terminal}");
    assert!(
        terminal
            .contains("\nReproductions and checks are not counted. A line above can have several statements")
    );
    assert!(terminal.contains("report.html"));
    let (_, end) = terminal.split_once("\n== Verdicts ==\n").unwrap();
    for verdict in ["- DOES NOT HOLD: ", "- PARTLY HOLDS: "] {
        assert!(end.contains(verdict), "{end}");
    }
    assert!(end.contains("because this does not hold: ") && end.contains("(published: "), "{end}");
    assert!(terminal.lines().all(|line| line.chars().count() <= 170), "{terminal}");
}

#[test]
fn names_are_escaped_in_every_form() {
    let recorded = recorded();
    let page = render_html(&recorded.run());
    assert!(page.contains("m&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;|x"));
    let markdown = render_markdown(&recorded.run());
    let outside_code = markdown.lines().filter(|line| !line.starts_with("bitkv verify"));
    assert!(outside_code.into_iter().all(|line| !line.contains("<script>")));
    assert!(markdown.contains(r"\|x, 6 texts"));
}

#[test]
fn markdown_tables_keep_their_columns() {
    let markdown = render_markdown(&recorded().run());
    let cells = |line: &str| line.replace(r"\|", "").matches('|').count();
    let mut widths = Vec::new();
    for line in markdown.lines() {
        match line.starts_with('|') {
            true => widths.push(cells(line)),
            false => widths.clear(),
        }
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{line}");
    }
}

#[test]
fn markdown_refers_to_exactly_the_figures_given() {
    let recorded = recorded();
    let markdown = render_markdown(&recorded.run());
    let figures = figures(&recorded.run());
    assert_eq!(markdown.matches("](figures/").count(), figures.len());
    assert!(figures.iter().all(|(path, _)| markdown.contains(&format!("]({path})"))));
    let mut paths: Vec<&String> = figures.iter().map(|(path, _)| path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), figures.len(), "every figure has its own name");
    let maps = figures.iter().filter(|(path, _)| path.contains("attention-entropy-")).count();
    assert_eq!(maps, 4, "one map per profile, and the two published ones");
    let names: Vec<String> = files(&recorded.run()).into_iter().map(|(name, _)| name).collect();
    for name in ["report.md", "report.html", "verification.json"] {
        assert!(names.iter().any(|other| other == name), "{names:?}");
    }
}

#[test]
fn an_unknown_head_is_reported_and_not_counted() {
    let markdown = render_markdown(&recorded().run());
    assert!(
        markdown.contains(", calibration-512: 1 of 6 heads have no recorded entropy and are not counted.")
    );
    assert!(
        markdown.contains("| calibration-512 | 512 | code: 0.5/1.5/3.0/4.0 | 5 | 0 | 1 | 3 | 1 | 0 | 20.0 |")
    );
    assert!(markdown.contains("| calibration-512 | 512 | - | - | - | - | - |"));
    let row = "| 64 | 2.000 | - | - | - | - | 0.281 | 0 | 1 | 3 | 1 | 0 | 20.0 |";
    assert!(markdown.contains(row), "{markdown}");
}

#[test]
fn a_full_budget_that_changes_something_fails_the_self_check() {
    let mut recorded = recorded();
    let full_budget = recorded.rows.iter_mut().find(|row| row.policy == SNAPKV && row.kl_nats == Some(0.0));
    full_budget.unwrap().kl_nats = Some(0.5);
    let terminal = render_terminal(&recorded.run(), 120);
    assert!(terminal.contains("Self-check FAILED: 1 of 30"), "{terminal}");
}

#[test]
fn an_empty_run_is_still_a_report() {
    let mut recorded = recorded();
    recorded.memory.clear();
    recorded.heads.clear();
    recorded.rows.clear();
    markup::check(&render_html(&recorded.run()));
    assert!(!render_terminal(&recorded.run(), 120).contains("NaN"));
    assert!(figures(&recorded.run()).is_empty());
    assert_eq!(claim(&recorded, 2).verdict, Verdict::NotTested);
}

#[test]
fn presets_have_their_name_in_tables_pairs_and_figures() {
    let recorded = recorded();
    let markdown = render_markdown(&recorded.run());
    assert!(
        markdown.contains("| snapkv |") && markdown.contains("**snapkv minus uniform+random**"),
        "{markdown}"
    );
    assert!(
        !markdown.contains(SNAPKV) && !markdown.contains("was not measured under this text"),
        "{markdown}"
    );
    assert!(figures(&recorded.run()).iter().any(|(_, svg)| svg.contains(">snapkv<")));
}

/// Changes the rows of texts, or those of retrieval.
fn change_rows(recorded: &mut Recorded, text: bool, change: impl Fn(&mut GridRow)) {
    recorded.rows.iter_mut().filter(|row| (row.task == ScoredTask::TEXT) == text).for_each(change);
}

#[test]
fn a_model_that_works_is_judged() {
    let recorded = recorded();
    let compression = claim(&recorded, 2);
    assert_eq!(compression.verdict, Verdict::PartlyHolds);
    assert!(compression.statements.iter().all(|statement| statement.failing_check.is_none()));
    assert_eq!(claim(&recorded, 1).verdict, Verdict::PartlyHolds);
}

#[test]
fn a_model_that_only_guesses_decides_nothing() {
    let mut recorded = recorded();
    change_rows(&mut recorded, true, |row| row.nll_nats = Some(7.5 + 0.1 * row.text.len() as f64));
    for index in [1, 2] {
        let found = claim(&recorded, index);
        assert_eq!(found.verdict, Verdict::CannotBeDecided, "{}", found.title);
        let part =
            found.statements.iter().find(|s| s.role == StatementRole::Claim && s.failing_check.is_some());
        let reason = &part.unwrap().reason;
        assert!(reason.contains("cannot be decided") && reason.contains("guessing costs 7.50."), "{reason}");
    }
    // Bytes do not depend on what the model can do.
    assert_ne!(claim(&recorded, 0).verdict, Verdict::CannotBeDecided);
    let terminal = render_terminal(&recorded.run(), 120);
    assert!(terminal.contains("CANNOT BE DECIDED ON THIS MODEL"), "{terminal}");
}

#[test]
fn a_model_that_forgets_with_the_full_cache_decides_nothing() {
    let mut recorded = recorded();
    change_rows(&mut recorded, false, |row| row.correct = Some(0));
    let found = claim(&recorded, 2);
    assert_eq!(found.verdict, Verdict::CannotBeDecided);
    let reason = &found.statements[0].reason;
    assert!(reason.contains("0.0 % of its answers are right, and guessing gets 1.0 % right"), "{reason}");
    assert_eq!(claim(&recorded, 1).verdict, Verdict::PartlyHolds, "heads need no recall");
}

#[test]
fn a_model_that_eviction_does_not_change_decides_nothing() {
    let mut recorded = recorded();
    change_rows(&mut recorded, true, |row| {
        if row.role == PolicyRole::Control {
            row.kl_nats = Some(0.0);
        }
    });
    let found = claim(&recorded, 2);
    assert_eq!(found.verdict, Verdict::CannotBeDecided);
    assert!(
        found.statements[0].reason.contains("random choice that keeps 10.0 %"),
        "{}",
        found.statements[0].reason
    );
}

#[test]
fn findings_are_the_key_numbers_with_their_verdicts() {
    let table = findings(&recorded().run());
    assert!(table.starts_with("| claim | published | found | verdict |\n"), "{table}");
    assert!(
        table.contains("68.6 % (headline), 65.4 % (table) | 25.0 % with weights as a runtime stores them |"),
        "{table}"
    );
    assert!(table.contains("| best published rule: 90.0 % by entropy-inverted with 20.0 % of the cache; best other method: 90.0 % by"), "{table}");
    assert_eq!(table.matches("partly holds").count() + table.matches("does not hold").count(), 3, "{table}");
    assert!(!table.contains(NASTY), "names are escaped");
}
