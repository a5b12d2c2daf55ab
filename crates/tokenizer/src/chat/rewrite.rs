//! Rewrites a template before the engine reads it, where Hugging Face's Jinja has more than the engine.
//!
//! - `{% generation %}` marks the text that a model is trained on. It renders its content in a new scope, as
//!   `{% with %}` does.
//! - `text % values` formats a text in Python. The engine's `%` is only for numbers, so `a % b` becomes
//!   `(a)|bitkv_percent(b)`.
//! - `a[1::2]` becomes `((a)|bitkv_slice(1,none,2))`, because the engine's slices have no items.
//! - Escapes such as `\U0001F600`, which the engine does not know, become the character.
//! - The operands of `+` become `(a)|bitkv_counted`, and those of `~` become `(a)|bitkv_joined`. These
//!   filters limit the memory for long texts.

use super::scan::{Tag, Token, TokenKind, tags};

/// The filter for `%`.
pub(super) const PERCENT: &str = "bitkv_percent";
/// The filter that counts the bytes of an operand of `+`.
pub(super) const COUNTED: &str = "bitkv_counted";
/// The filter that turns an operand of `~` into a text, as Python does, and counts its bytes.
pub(super) const JOINED: &str = "bitkv_joined";

/// The filter that counts the items of a list or a mapping, at any depth, when it is made. A list of lists
/// of lists takes little memory, but its text does not.
pub(super) const MADE: &str = "bitkv_made";
/// The filter that checks what is assigned to an attribute of a namespace.
pub(super) const HELD: &str = "bitkv_held";
/// The filter that turns a sum of lists into a list and counts it.
pub(super) const SUMMED: &str = "bitkv_summed";
/// The filter for slices. The engine's slices are not lists, and crash if a step is negative and the list is
/// empty.
pub(super) const SLICE: &str = "bitkv_slice";

/// The largest template, in bytes. It is many times the largest published one.
const MOST_BYTES: usize = 1 << 20;
/// The largest number of tokens in a tag. The engine's stack grows with every token.
const MOST_TOKENS: usize = 2_000;

/// The largest number of `elif` tags in a template. The engine nests them.
const MOST_ELIFS: usize = 1_000;

/// The tags that transformers knows.
const KNOWN: [&str; 25] = [
    "for",
    "endfor",
    "if",
    "elif",
    "else",
    "endif",
    "set",
    "endset",
    "with",
    "endwith",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "filter",
    "endfilter",
    "block",
    "endblock",
    "break",
    "continue",
    "include",
    "import",
    "from",
    "extends",
    "raw",
];

/// Returns a template that the engine renders as transformers renders `template`.
///
/// # Errors
/// Returns the line and the reason if the template is too large, or has a tag that is unknown or does not
/// end.
pub(super) fn rewrite(template: &str) -> Result<String, (usize, String)> {
    if template.len() > MOST_BYTES {
        return Err((1, format!("it has {} bytes, but at most {MOST_BYTES} are allowed", template.len())));
    }
    let tags = tags(template);
    let mut changes = Changes { template, edits: Vec::new() };
    let mut open = Vec::new();
    let is_elif =
        |tag: &&Tag| tag.is_block && tag.tokens.first().is_some_and(|first| changes.text(first) == "elif");
    if tags.iter().filter(is_elif).count() > MOST_ELIFS {
        return Err((1, format!("it has more than {MOST_ELIFS} `elif` tags")));
    }
    for tag in &tags {
        let checked = check(tag, template).and_then(|()| changes.tag(tag, &mut open));
        checked.map_err(|reason| (template[..tag.start].matches('\n').count() + 1, reason))?;
    }
    match open.pop() {
        Some(("generation", at)) => {
            let line = template[..at].matches('\n').count() + 1;
            Err((line, "the tag `generation` has no `endgeneration`".into()))
        }
        _ => Ok(changes.apply()),
    }
}

/// Checks that a tag is known and not too long.
fn check(tag: &Tag, template: &str) -> Result<(), String> {
    if tag.tokens.len() > MOST_TOKENS {
        return Err(format!("a tag has more than {MOST_TOKENS} names, numbers and operators"));
    }
    match tag.tokens.first() {
        Some(first) if tag.is_block => {
            let name = &template[first.start..first.end];
            let known = KNOWN.contains(&name) || name == "generation" || name == "endgeneration";
            match name {
                "macro" => check_defaults(&tag.tokens, template),
                _ if known => Ok(()),
                _ => Err(format!("the tag `{name}` is not supported")),
            }
        }
        _ => Ok(()),
    }
}

/// Checks that no default of an argument of a macro uses another argument, whose value the engine would not
/// find. `tokens` are those of the tag.
fn check_defaults(tokens: &[Token], template: &str) -> Result<(), String> {
    let text = |token: &Token| &template[token.start..token.end];
    let (mut arguments, mut depth, mut in_default) = (Vec::new(), 0, false);
    for (i, token) in tokens.iter().enumerate().skip(2) {
        match text(token) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            "," if depth == 1 => in_default = false,
            "=" if depth == 1 => in_default = true,
            _ if token.kind != TokenKind::Name || text(&tokens[i - 1]) == "." => {}
            name if !in_default => arguments.push(name),
            name if arguments.contains(&name) => {
                return Err(format!(
                    "a default of a macro uses the argument `{name}`, which bitkv cannot render"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The changes to a template, in any order.
struct Changes<'a> {
    template: &'a str,
    /// The first and the last byte to replace, and the new text.
    edits: Vec<(usize, usize, String)>,
}

/// A sum in an expression, and the product at its end: a chain of operands between `*`, `/`, `//` and `%`.
#[derive(Default)]
struct Product {
    /// The index of the first token of the sum.
    sum: usize,
    /// Whether the sum has a `+`.
    is_sum: bool,
    /// The index of the first token.
    first: usize,
    /// The filter for `+` or `~` before it.
    filter: Option<&'static str>,
    /// The indices of the operators.
    operators: Vec<usize>,
}

impl<'a> Changes<'a> {
    fn text(&self, token: &Token) -> &'a str {
        &self.template[token.start..token.end]
    }

    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.edits.push((at, at, text.into()));
    }

    /// Changes a tag. `open` has the names and places of the scopes that are open.
    fn tag(&mut self, tag: &Tag, open: &mut Vec<(&'a str, usize)>) -> Result<(), String> {
        if let Some(first) = tag.tokens.first().filter(|_| tag.is_block) {
            let name = self.text(first);
            match name {
                "generation" | "with" => open.push((name, tag.start)),
                "endgeneration" | "endwith" => {
                    let begun = open.pop().map(|(name, _)| name);
                    if begun != name.strip_prefix("end") {
                        return Err(format!("the tag `{name}` ends no `{}`", &name[3..]));
                    }
                }
                _ => {}
            }
            let new = match name {
                "generation" => Some("with"),
                "endgeneration" => Some("endwith"),
                _ => None,
            };
            if let Some(new) = new {
                if tag.tokens.len() > 1 {
                    return Err(format!("the tag `{name}` has arguments"));
                }
                self.edits.push((first.start, first.end, new.into()));
                return Ok(());
            }
        }
        self.literals(tag);
        for (i, token) in tag.tokens.iter().enumerate() {
            match (token.kind, self.text(token)) {
                (TokenKind::Text, text) => {
                    if let Some(text) = unescaped(text)? {
                        self.edits.push((token.start, token.end, text));
                    }
                }
                (TokenKind::Operator, "+") if !self.ends_product(tag, i) => {
                    self.edits.push((token.start, token.end, " ".into()));
                }
                (TokenKind::Operator, "[") => self.slice(tag, i),
                _ => {}
            }
        }
        self.expressions(tag);
        self.assignment(tag);
        Ok(())
    }

    /// Puts every list and mapping that a tag writes out through the filter that counts it.
    fn literals(&mut self, tag: &Tag) {
        let mut open = Vec::new();
        for (i, token) in tag.tokens.iter().enumerate() {
            match self.text(token) {
                "[" | "{" | "(" => open.push(i),
                "]" | "}" | ")" => {
                    let Some(first) = open.pop() else { continue };
                    let is_literal = match self.text(&tag.tokens[first]) {
                        "{" => true,
                        "[" => self.operand(tag, first).is_none(),
                        _ => false,
                    };
                    if is_literal {
                        self.insert(tag.tokens[first].start, "(");
                        self.insert(token.end, format!("|{MADE})"));
                    }
                }
                _ => {}
            }
        }
    }

    /// Puts the value of `set name.attribute = value` through the filter that checks it.
    fn assignment(&mut self, tag: &Tag) {
        let texts: Vec<&str> = tag.tokens.iter().take(6).map(|token| self.text(token)).collect();
        if let (["set", _, ".", _, "=", _], Some(last)) = (&texts[..], tag.tokens.last()) {
            let (start, end) = (tag.tokens[5].start, last.end);
            self.insert(start, "(");
            self.insert(end, format!(")|{HELD}"));
        }
    }

    /// Changes the operators in a tag.
    fn expressions(&mut self, tag: &Tag) {
        let tokens = &tag.tokens;
        let start = |first, filter| Product { first, filter, sum: first, ..Product::default() };
        let mut outer: Vec<Product> = Vec::new();
        let mut product = start(0, None);
        for (i, token) in tokens.iter().enumerate() {
            match self.text(token) {
                "(" | "[" | "{" => outer.push(std::mem::replace(&mut product, start(i + 1, None))),
                ")" | "]" | "}" => {
                    self.sum(tokens, &product, i);
                    product = outer.pop().unwrap_or_default();
                }
                "*" | "/" | "//" | "%" if token.kind == TokenKind::Operator => product.operators.push(i),
                text if self.ends_product(tag, i) => {
                    let filter = match text {
                        "+" => Some(COUNTED),
                        "~" => Some(JOINED),
                        _ => None,
                    };
                    let next = start(i + 1, filter);
                    if matches!(text, "+" | "-" | "~") {
                        self.product(tokens, &product, i, filter);
                        product = Product { sum: product.sum, is_sum: product.is_sum || text == "+", ..next };
                    } else {
                        self.sum(tokens, &product, i);
                        product = next;
                    }
                }
                _ => {}
            }
        }
        self.sum(tokens, &product, tokens.len());
    }

    /// Changes a sum, and the product at its end, which ends before the token `end`.
    fn sum(&mut self, tokens: &[Token], product: &Product, end: usize) {
        self.product(tokens, product, end, None);
        if product.is_sum && end > product.sum {
            self.insert(tokens[product.sum].start, "(");
            self.insert(tokens[end - 1].end, format!(")|{SUMMED}"));
        }
    }

    /// Changes a slice, if one begins at the token `open`.
    fn slice(&mut self, tag: &Tag, open: usize) {
        let (tokens, mut depth, mut colons) = (&tag.tokens, 0_usize, Vec::new());
        for (i, token) in tokens.iter().enumerate().skip(open) {
            match self.text(token) {
                "(" | "[" | "{" => depth += 1,
                ":" if depth == 1 => colons.push(i),
                ")" | "]" | "}" if depth > 1 => depth -= 1,
                ")" | "]" | "}" => {
                    let Some(first) = self.operand(tag, open).filter(|_| !colons.is_empty()) else { return };
                    let part = |from: usize, to: usize| if from + 1 == to { "none" } else { "" };
                    self.insert(tokens[first].start, "((");
                    let start = format!(")|{SLICE}({}", part(open, colons[0]));
                    self.edits.push((tokens[open].start, tokens[open].end, start));
                    let ends = colons[1..].iter().copied().chain([i]);
                    for (colon, end) in colons.iter().copied().zip(ends) {
                        let comma = format!(",{}", part(colon, end));
                        self.edits.push((tokens[colon].start, tokens[colon].end, comma));
                    }
                    self.edits.push((token.start, token.end, "))".into()));
                    return;
                }
                _ => {}
            }
        }
    }

    /// Returns the first token of the operand before a bracket; `None` if a list begins there.
    fn operand(&self, tag: &Tag, bracket: usize) -> Option<usize> {
        let mut first = None;
        let mut i = bracket;
        loop {
            i = i.checked_sub(1)?;
            let token = &tag.tokens[i];
            match (token.kind, self.text(token)) {
                (TokenKind::Operator, ")" | "]" | "}") => {
                    let mut depth = 1;
                    while depth > 0 {
                        i = i.checked_sub(1)?;
                        match self.text(&tag.tokens[i]) {
                            ")" | "]" | "}" => depth += 1,
                            "(" | "[" | "{" => depth -= 1,
                            _ => {}
                        }
                    }
                }
                (TokenKind::Name, _) if self.is_keyword(tag, i) => return first,
                (TokenKind::Name | TokenKind::Text | TokenKind::Number, _) => {}
                _ => return first,
            }
            first = Some(i);
            let before = i.checked_sub(1).map(|j| (tag.tokens[j].kind, self.text(&tag.tokens[j])));
            match before {
                Some((TokenKind::Operator, ".")) => i -= 1,
                Some((TokenKind::Operator, ")" | "]" | "}"))
                    if self.text(&tag.tokens[i]).starts_with(['(', '[']) => {}
                Some((TokenKind::Name | TokenKind::Text, _))
                    if self.text(&tag.tokens[i]).starts_with(['(', '[']) => {}
                _ => return first,
            }
        }
    }

    /// Whether a name is a keyword, after which an operand begins.
    fn is_keyword(&self, tag: &Tag, i: usize) -> bool {
        let name = self.text(&tag.tokens[i]);
        (i == 0 && tag.is_block) || matches!(name, "not" | "in" | "and" | "or" | "if" | "else" | "is")
    }

    /// Whether a token is outside of every product: a keyword, a comparison, a sum, or punctuation.
    fn ends_product(&self, tag: &Tag, i: usize) -> bool {
        let token = &tag.tokens[i];
        let before = i.checked_sub(1).map(|j| (tag.tokens[j].kind, self.text(&tag.tokens[j])));
        let follows = |name: &str| before.is_some_and(|(_, text)| text == name);
        match (token.kind, self.text(token)) {
            (TokenKind::Name, _) if follows(".") || follows("|") => false,
            (TokenKind::Name, "not") => !follows("is"),
            (TokenKind::Name, "in") => !(follows("is") || self.follows_is_not(tag, i)),
            (TokenKind::Name, "and" | "or" | "if" | "else") => true,
            (TokenKind::Name, "recursive") => i + 1 == tag.tokens.len() && i > 0 && tag.is_block,
            (TokenKind::Name, _) => i == 0 && tag.is_block,
            (TokenKind::Operator, "+" | "-") => before.is_some_and(|(kind, text)| match kind {
                TokenKind::Operator => matches!(text, ")" | "]" | "}"),
                TokenKind::Name => i > 1 || !tag.is_block,
                _ => true,
            }),
            (TokenKind::Operator, text) => {
                matches!(text, "," | ":" | "=" | "==" | "!=" | "<" | ">" | "<=" | ">=" | "~")
            }
            _ => false,
        }
    }

    /// Whether the two tokens before a token are `is not`.
    fn follows_is_not(&self, tag: &Tag, i: usize) -> bool {
        i > 1 && self.text(&tag.tokens[i - 1]) == "not" && self.text(&tag.tokens[i - 2]) == "is"
    }

    /// Changes a product, which ends before the token `end`. `after` is the filter for `+` or `~` after it.
    fn product(&mut self, tokens: &[Token], product: &Product, end: usize, after: Option<&'static str>) {
        let Some(last) = end.checked_sub(1).filter(|last| *last >= product.first) else { return };
        let (first, last) = (tokens[product.first].start, tokens[last].end);
        for (n, operator) in product.operators.iter().enumerate() {
            let token = &tokens[*operator];
            if self.text(token) == "%" {
                let next = product.operators.get(n + 1).map_or(last, |next| tokens[next - 1].end);
                self.insert(first, "(");
                self.edits.push((token.start, token.end, format!(")|{PERCENT}(")));
                self.insert(next, ")");
            }
        }
        // `~` binds more tightly than `+`.
        let filter = if after == Some(JOINED) { after } else { product.filter.or(after) };
        let is_repeated =
            product.operators.iter().any(|i| *i > product.first && self.text(&tokens[*i]) == "*");
        let filter = filter.or(is_repeated.then_some(COUNTED));
        if let Some(filter) = filter {
            self.insert(first, "(");
            self.insert(last, format!(")|{filter}"));
        }
    }

    /// Returns the changed template.
    fn apply(mut self) -> String {
        // Additions come before a replacement at the same place. They keep their order: inner operands first.
        self.edits.sort_by_key(|(start, end, _)| (*start, *end));
        let mut text = String::with_capacity(self.template.len() + 16 * self.edits.len());
        let mut at = 0;
        for (start, end, new) in &self.edits {
            text.push_str(&self.template[at..*start]);
            text.push_str(new);
            at = *end;
        }
        text + &self.template[at..]
    }
}

/// Returns a text in quotes with the characters in the place of escapes that the engine does not know; `None`
/// if the text has none.
fn unescaped(text: &str) -> Result<Option<String>, String> {
    let (mut new, mut rest, mut is_changed) = (String::new(), text, false);
    while let Some(at) = rest.find('\\') {
        new.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let letter = escape.chars().next().unwrap_or_default();
        let octal: String = escape.chars().take(3).take_while(|c| ('0'..'8').contains(c)).collect();
        let (c, length) = match letter {
            'a' => (Some('\u{7}'), 1),
            'v' => (Some('\u{b}'), 1),
            'N' => return Err("escapes with the name of a character are not supported".into()),
            'x' => (escape.get(1..3).and_then(|digits| character(digits, 16)), 3),
            'U' => (escape.get(1..9).and_then(|digits| character(digits, 16)), 9),
            '0'..'8' => (character(&octal, 8), octal.len()),
            _ => (None, letter.len_utf8()),
        };
        match c {
            Some(c) if c == '\\' || c == '"' || c == '\'' => new.extend(['\\', c]),
            Some(c) => new.push(c),
            None => new.push_str(&rest[at..at + 1 + length.min(escape.len())]),
        }
        is_changed |= c.is_some();
        rest = &escape[length.min(escape.len())..];
    }
    Ok(is_changed.then(|| new + rest))
}

/// Returns the character of a code.
fn character(digits: &str, base: u32) -> Option<char> {
    u32::from_str_radix(digits, base).ok().and_then(char::from_u32)
}
