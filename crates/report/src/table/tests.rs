use super::*;

fn example() -> Table {
    let mut table =
        Table::new("A & B", &[("policy", Align::Left), ("KL", Align::Right), ("n", Align::Right)]);
    table.push(vec!["full †".into(), "0".into(), "10".into()]);
    table.push(vec!["a|b<".into(), "12.25".into()]);
    table.note("† note");
    table
}

#[test]
fn a_terminal_table_is_aligned_by_characters_not_bytes() {
    let expected = "\
A & B
policy     KL   n
------  -----  --
full †      0  10
a|b<    12.25   -
† note
";
    assert_eq!(example().to_terminal(), expected);
}

#[test]
fn long_sentences_wrap_within_their_column() {
    let mut table = Table::new("c", &[("reason", Align::Left), ("n", Align::Right)]);
    table.push(vec![
        "The published formula counts embeddings at 1.58 bits, which no runtime does.".into(),
        "7".into(),
    ]);
    let expected = "\
c
reason                                      n
------------------------------------------  -
The published formula counts embeddings at  7
1.58 bits, which no runtime does.
";
    assert_eq!(table.to_terminal(), expected);
}

#[test]
fn a_group_is_headed_in_every_form() {
    let mut table = Table::new("c", &[("policy", Align::Left), ("n", Align::Right)]);
    table.push(vec!["full".into(), "1".into()]);
    table.group("rivals & <others>");
    table.push(vec!["recency".into(), "2".into()]);
    table.group("nothing follows");
    assert_eq!(table.to_terminal(), "c\npolicy   n\n-------  -\nfull     1\nrivals & <others>\nrecency  2\n");
    let (markdown, html) = (table.to_markdown(), table.to_html());
    assert!(
        markdown.contains("| full | 1 |\n| **rivals \\& \\<others\\>** | |\n| recency | 2 |\n"),
        "{markdown}"
    );
    let head = "<th scope=\"rowgroup\" colspan=\"2\">rivals &amp; &lt;others&gt;</th>";
    assert!(html.contains(&format!("</tbody>\n<tbody>\n<tr class=\"group\">{head}</tr>\n")), "{html}");
    assert_eq!(html.matches("<tbody>").count(), 2, "a group without rows is not shown");
}

#[test]
fn names_are_kept_on_one_line_and_sentences_are_not() {
    let mut table = example();
    assert!(table.to_html().contains("<th scope=\"row\" class=\"name\">full †</th>"));
    table.push(vec!["a sentence that is much too long to stand on a single line of a narrow table".into()]);
    assert!(!table.to_html().contains("class=\"name\""));
}

#[test]
fn markdown_cells_cannot_break_the_table() {
    let text = example().to_markdown();
    assert!(text.contains("| --- | ---: | ---: |"), "{text}");
    assert!(text.contains(r"| a\|b\< | 12.25 | - |"), "{text}");
}

#[test]
fn html_has_caption_scopes_and_escapes() {
    let text = example().to_html();
    assert!(text.contains("<caption>A &amp; B</caption>"));
    assert!(
        text.contains("<th scope=\"row\" class=\"name\">a|b&lt;</th><td class=\"number\">12.25</td>"),
        "{text}"
    );
    assert_eq!(text.matches("<tr>").count(), 3);
}
