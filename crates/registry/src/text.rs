//! Text from strangers, made fit for a person's terminal.

/// `text` on one line, without control characters, at most `longest` characters, and with whatever looks like a secret
/// taken out.
pub(crate) fn clean(text: &str, longest: usize) -> String {
    let printable: String = text
        .chars()
        // Direction marks can make a terminal show another text than the one that came.
        .filter(|character| !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(longest.saturating_mul(4))
        .collect();
    let mut cleaned = String::new();
    let mut after_scheme = false;
    for word in printable.split_whitespace() {
        let shown = if after_scheme {
            "***".to_owned()
        } else {
            without_secret(word)
        };
        after_scheme = is_authorization_scheme(word);
        if !cleaned.is_empty() {
            cleaned.push(' ');
        }
        cleaned.push_str(&shown);
    }
    if cleaned.chars().count() > longest {
        cleaned = cleaned.chars().take(longest.saturating_sub(1)).collect();
        cleaned.push('…');
    }
    cleaned
}

/// Whether the next word is a credential.
fn is_authorization_scheme(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic")
}

/// A word without the query of a URL, and without tokens.
fn without_secret(word: &str) -> String {
    // A JSON web token starts with `{"` in base64.
    if let Some(start) = word.find("eyJ").filter(|start| word.len() - start > 40) {
        return format!("{}***", word.get(..start).unwrap_or_default());
    }
    match word.split_once('?') {
        Some((address, query)) if address.contains("://") && !query.is_empty() => {
            format!("{address}?***")
        }
        _ => word.to_owned(),
    }
}
