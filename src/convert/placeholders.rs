//! Placeholders of environment variables.

use std::sync::Mutex;

use crate::lock::lock;

/// End of each placeholder. It is legal in the name of a registry, in a path, in a tag and in a secret, and no host has
/// it.
const END: &str = ".variable.invalid";

/// Names of the variables that the files read, each with a placeholder in place of its value.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    names: Mutex<Vec<String>>,
}

impl Placeholders {
    /// Returns the placeholder of the variable `name`.
    pub(crate) fn placeholder(&self, name: &str) -> String {
        let mut names = lock(&self.names);
        let position = names.iter().position(|known| known == name);
        let position = position.unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        placeholder(position)
    }

    /// Returns the variable whose placeholder is the whole `text`.
    pub(super) fn variable(&self, text: &str) -> Option<String> {
        let names = lock(&self.names);
        let found = names
            .iter()
            .enumerate()
            .find(|(position, _)| placeholder(*position) == text);
        found.map(|(_, name)| name.clone())
    }

    /// Returns `text` with `${NAME}` in place of each placeholder, and every other `$` as the native file writes it.
    pub(super) fn native_text(&self, text: &str) -> String {
        let mut text = escaped(text);
        for (position, name) in lock(&self.names).iter().enumerate() {
            let variable = format!("${{{name}}}");
            let placeholder = placeholder(position);
            // A variable at the beginning is the registry, or the registry and a part of the path. The placeholder,
            // with the text that follows it, is an image of Docker Hub if no slash does.
            text = text.replace(&format!("docker.io/library/{placeholder}"), &variable);
            text = text.replace(&placeholder, &variable);
        }
        text
    }
}

fn placeholder(position: usize) -> String {
    format!("v{position}x{END}")
}

/// Returns `text` as the native file writes it, in which `${` begins a variable and `$$` is a `$`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        escaped.push(character);
        if character == '$' && matches!(rest.peek(), Some('$' | '{')) {
            escaped.push('$');
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_get_their_names_back() {
        let placeholders = Placeholders::default();
        let [host, team] = ["HOST", "TEAM"].map(|name| placeholders.placeholder(name));
        assert_eq!(placeholders.placeholder("HOST"), host);
        assert_eq!(placeholders.variable(&team).as_deref(), Some("TEAM"));
        assert_eq!(placeholders.variable(&format!("{team}x")), None);
        for (text, expected) in [
            (
                format!("{host}/{team}/app:{team}"),
                "${HOST}/${TEAM}/app:${TEAM}",
            ),
            (format!("docker.io/library/{host}app"), "${HOST}app"),
            ("robot$ci".to_owned(), "robot$ci"),
            ("a$$b${c}$".to_owned(), "a$$$b$${c}$"),
        ] {
            assert_eq!(placeholders.native_text(&text), expected);
        }
    }
}
