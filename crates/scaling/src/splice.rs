//! Generated tables inside a document.

use crate::{Error, Result};

/// Returns a document with `content` between its lines `<!-- NAME -->` and `<!-- /NAME -->`.
///
/// # Errors
/// Returns an error unless the document has both lines once, in this order.
pub fn splice(document: &str, name: &str, content: &str) -> Result<String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let once = |mark: &str| document.matches(mark).count() == 1;
    let parts = document
        .split_once(&open)
        .and_then(|(before, rest)| Some((before, rest.split_once(&close)?.1)))
        .filter(|_| once(&open) && once(&close));
    let Some((before, after)) = parts else {
        return Err(Error::new(format!(
            "the document has no place for {name}: put the lines '<!-- {name} -->' and '<!-- /{name} -->' where \
             the table belongs"
        )));
    };
    Ok(format!("{before}{open}{content}{close}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_between_the_marks_change() {
        assert_eq!(
            splice("a\n<!-- t -->\nold\n<!-- /t -->\nb\n", "t", "new\n").unwrap(),
            "a\n<!-- t -->\nnew\n<!-- /t -->\nb\n"
        );
        for wrong in
            ["", "<!-- t -->\n", "<!-- /t -->\n<!-- t -->\n", "<!-- t -->\n<!-- t -->\n<!-- /t -->\n"]
        {
            assert!(splice(wrong, "t", "new").unwrap_err().to_string().contains("put the lines"), "{wrong}");
        }
    }
}
