//! Rust source read as tokens: comments, strings and test-only items are set aside, so
//! that a rule about code is not broken by a sentence that mentions it.

use std::path::Path;

/// One token of code, and the line it stands on (counted from 1).
#[derive(Clone, Debug)]
pub struct Token {
    pub line: usize,
    pub text: String,
}

/// One path that the code names, flattened out of a `use` tree or written in place.
#[derive(Debug)]
pub struct NamedPath {
    pub line: usize,
    pub segments: Vec<String>,
    pub imported: bool,
}

/// A source file, by its path from the repository's root.
#[derive(Debug)]
pub struct Source {
    pub path: String,
    pub tokens: Vec<Token>,
}

/// Stand for a string or byte string, for a character or lifetime, and for a number.
const STRING: &str = "\"";
const QUOTED: &str = "'";
const NUMBER: &str = "0";

/// Words after which a path begins anew, although they look like a first segment.
const KEYWORDS: [&str; 22] = [
    "as", "async", "await", "break", "const", "dyn", "else", "extern", "for", "if", "impl", "in",
    "let", "loop", "match", "move", "mut", "ref", "return", "unsafe", "where", "while",
];

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            tokens: tokenize(text),
        }
    }

    pub fn is_under(&self, folder: &str) -> bool {
        Path::new(&self.path).starts_with(folder)
    }

    /// The file without its `#[cfg(test)]` items, and the names of the test modules
    /// that it keeps in files of their own.
    pub fn without_tests(&self) -> (Self, Vec<String>) {
        let mut kept = Vec::new();
        let mut test_modules = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if self.matches(at, &["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
                kept.clear();
                break;
            }
            if !self.matches(at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
                kept.push(self.tokens[at].clone());
                at += 1;
                continue;
            }
            let mut item = at + 7;
            while self.matches(item, &["#", "["]) {
                item = self.after_group(item + 1);
            }
            let end = self.after_item(item);
            let words: Vec<&str> = self.tokens[item..end].iter().map(Token::as_str).collect();
            if let [.., "mod", name, ";"] = words[..] {
                test_modules.push(name.to_owned());
            }
            at = end;
        }
        let source = Self {
            path: self.path.clone(),
            tokens: kept,
        };
        (source, test_modules)
    }

    /// Whether the tokens from `at` on are exactly these.
    pub fn matches(&self, at: usize, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(offset, word)| self.word(at + offset) == *word)
    }

    /// The token at this place, or nothing past the end.
    pub fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", Token::as_str)
    }

    /// The token before this place, or nothing at the start.
    pub fn word_before(&self, at: usize) -> &str {
        at.checked_sub(1).map_or("", |before| self.word(before))
    }

    /// Every path of two segments or more, and every import.
    pub fn paths(&self) -> Vec<NamedPath> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if self.word(at) == "use" && self.word(at + 1) != "<" {
                let end = self.after_item(at);
                self.flatten_use(at + 1, &[], &mut found);
                at = end;
            } else if self.begins_path(at) {
                at = self.read_path(at, &mut found);
            } else {
                at += 1;
            }
        }
        found
    }

    fn begins_path(&self, at: usize) -> bool {
        let before = self.word_before(at);
        if self.word(at) == "::" {
            return before != ">" && (!is_name(before) || KEYWORDS.contains(&before));
        }
        is_name(self.word(at)) && !KEYWORDS.contains(&self.word(at)) && before != "::"
    }

    fn read_path(&self, start: usize, found: &mut Vec<NamedPath>) -> usize {
        let leading = self.word(start) == "::";
        let mut at = start + usize::from(leading);
        let mut segments = vec![self.word(at).to_owned()];
        while self.word(at + 1) == "::" && is_name(self.word(at + 2)) {
            at += 2;
            segments.push(self.word(at).to_owned());
        }
        if leading || segments.len() > 1 {
            found.push(NamedPath {
                line: self.tokens[start].line,
                segments,
                imported: false,
            });
        }
        at + 1
    }

    /// Reads one use tree from `at` on; returns the place of the token that ends it.
    fn flatten_use(&self, mut at: usize, prefix: &[String], found: &mut Vec<NamedPath>) -> usize {
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        let mut segments = prefix.to_vec();
        while at < self.tokens.len() {
            match self.word(at) {
                "::" => at += 1,
                "{" => {
                    at += 1;
                    while !["}", ";", ""].contains(&self.word(at)) {
                        at = self.flatten_use(at, &segments, found);
                        at += usize::from(self.word(at) == ",");
                    }
                    return at + 1;
                }
                "as" => at += 2,
                "," | "}" | ";" => break,
                segment => {
                    segments.push(segment.to_owned());
                    at += 1;
                }
            }
        }
        found.push(NamedPath {
            line,
            segments,
            imported: true,
        });
        at
    }

    /// The place after the bracketed group that opens at `at`.
    fn after_group(&self, at: usize) -> usize {
        let mut depth = 0_usize;
        for place in at..self.tokens.len() {
            match self.word(place) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return place + 1;
                    }
                }
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// The place after the item that begins at `at`: past its `;` or its braces.
    fn after_item(&self, mut at: usize) -> usize {
        let is_use = self.word(at) == "use" || self.matches(at, &["pub", "use"]);
        while at < self.tokens.len() {
            match self.word(at) {
                ";" => return at + 1,
                "{" if !is_use => return self.after_group(at),
                "(" | "[" | "{" => at = self.after_group(at),
                _ => at += 1,
            }
        }
        at
    }
}

impl Token {
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first == '_' || first.is_alphabetic())
}

fn tokenize(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < characters.len() {
        let (end, token) = next_token(&characters, at);
        if let Some(text) = token {
            tokens.push(Token { line, text });
        }
        line += characters[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

/// The end of what begins at `at`, and its token if it is code.
fn next_token(text: &[char], at: usize) -> (usize, Option<String>) {
    let is = |place: usize, wanted: char| text.get(place) == Some(&wanted);
    match text[at] {
        c if c.is_whitespace() => (at + 1, None),
        '/' if is(at + 1, '/') => (after_line(text, at), None),
        '/' if is(at + 1, '*') => (after_block_comment(text, at), None),
        '"' => (after_quoted(text, at + 1, '"'), Some(STRING.to_owned())),
        '\'' => (after_apostrophe(text, at), Some(QUOTED.to_owned())),
        ':' if is(at + 1, ':') => (at + 2, Some("::".to_owned())),
        c if c.is_ascii_digit() => (after_word(text, at), Some(NUMBER.to_owned())),
        c if c == '_' || c.is_alphabetic() => word_or_prefixed_literal(text, at),
        c => (at + 1, Some(c.to_string())),
    }
}

/// A word, or a literal that one introduces: `r"..."`, `r#"..."#`, `b'...'`, `c"..."`.
fn word_or_prefixed_literal(text: &[char], at: usize) -> (usize, Option<String>) {
    let end = after_word(text, at);
    let word: String = text[at..end].iter().collect();
    let hashes = text[end..].iter().take_while(|c| **c == '#').count();
    let quote = text.get(end + hashes);
    match word.as_str() {
        "r" | "br" | "cr" if quote == Some(&'"') => (
            after_raw(text, end + hashes + 1, hashes),
            Some(STRING.to_owned()),
        ),
        "b" | "c" if text.get(end) == Some(&'"') => {
            (after_quoted(text, end + 1, '"'), Some(STRING.to_owned()))
        }
        "b" if text.get(end) == Some(&'\'') => {
            (after_quoted(text, end + 1, '\''), Some(QUOTED.to_owned()))
        }
        "r" if hashes == 1 => {
            let raw_end = after_word(text, end + 1);
            (raw_end, Some(text[end + 1..raw_end].iter().collect()))
        }
        _ => (end, Some(word)),
    }
}

fn after_word(text: &[char], at: usize) -> usize {
    let length = text[at..]
        .iter()
        .take_while(|c| **c == '_' || c.is_alphanumeric())
        .count();
    at + length
}

fn after_line(text: &[char], at: usize) -> usize {
    at + text[at..].iter().take_while(|c| **c != '\n').count()
}

fn after_block_comment(text: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn after_quoted(text: &[char], start: usize, quote: char) -> usize {
    let mut at = start;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn after_raw(text: &[char], start: usize, hashes: usize) -> usize {
    (start..text.len())
        .find(|at| {
            text[*at] == '"' && text[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes
        })
        .map_or(text.len(), |quote| quote + 1 + hashes)
}

/// A character literal ends at its second apostrophe; a lifetime has none.
fn after_apostrophe(text: &[char], at: usize) -> usize {
    let is_character = text.get(at + 1) == Some(&'\\') || text.get(at + 2) == Some(&'\'');
    if is_character {
        after_quoted(text, at + 1, '\'')
    } else {
        after_word(text, at + 1)
    }
}
