//! Globs on the paths of repositories.

use globset::{GlobBuilder, GlobMatcher};

/// Maximum length of a glob.
const MAX_LENGTH: usize = 1_024;

/// A glob on a path, without braces: `*`, `?` and `[…]` match within a component, `**` matches any number of components.
#[derive(Clone, Debug)]
pub(super) struct PathGlob {
    components: Vec<Component>,
    matcher: GlobMatcher,
    /// Matcher of the first component, if that is a glob.
    first: Option<GlobMatcher>,
    literal_prefix: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Component {
    /// `**`
    Any,
    Literal(String),
    Glob(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
    Class {
        negated: bool,
        characters: Vec<char>,
    },
}

impl PartialEq for PathGlob {
    fn eq(&self, other: &Self) -> bool {
        self.components == other.components
    }
}
impl Eq for PathGlob {}

impl PathGlob {
    /// Parses a glob. `is_legal` tells which characters a name may have besides wildcards.
    ///
    /// # Errors
    /// The reason, and what to write.
    pub(super) fn parse(text: &str, is_legal: fn(char) -> bool) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!(
                "the pattern has {} characters, more than {MAX_LENGTH}",
                text.len()
            ));
        }
        let mut components: Vec<Component> = Vec::new();
        for component in text.split('/') {
            let component = Component::parse(component, is_legal)?;
            // Two of them in a row mean the same as one.
            if component != Component::Any || components.last() != Some(&Component::Any) {
                components.push(component);
            }
        }
        let matcher = compile(&components)?;
        let first = match components.first() {
            Some(first @ Component::Glob(_)) => Some(compile(std::slice::from_ref(first))?),
            _ => None,
        };
        let literal = components.iter().map_while(|component| match component {
            Component::Literal(text) => Some(text.as_str()),
            Component::Any | Component::Glob(_) => None,
        });
        let literal_prefix = literal.collect::<Vec<&str>>().join("/");
        Ok(Self {
            components,
            matcher,
            first,
            literal_prefix,
        })
    }

    /// Returns true if the glob matches the whole path.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.matcher.is_match(path)
    }

    /// Returns the components before the first one with a wildcard.
    pub(super) fn literal_prefix(&self) -> &str {
        &self.literal_prefix
    }

    /// Returns true if the glob may match a path of several components that begins with `first`.
    pub(super) fn may_match_below(&self, first: &str) -> bool {
        match self.components.as_slice() {
            [Component::Any, ..] => true,
            [] | [_] => false,
            [Component::Literal(text), ..] => text == first,
            [Component::Glob(_), ..] => self.first.as_ref().is_some_and(|it| it.is_match(first)),
        }
    }

    /// Returns a path that the glob matches, with `filler` for its wildcards and `depth` components for each `**`, as
    /// far as the glob allows them.
    pub(super) fn example(&self, filler: char, depth: usize) -> String {
        let mut components = Vec::new();
        for component in &self.components {
            match component {
                Component::Any => {
                    components.extend(std::iter::repeat_n(filler.to_string(), depth));
                }
                Component::Literal(text) => components.push(text.clone()),
                Component::Glob(tokens) => {
                    components.push(tokens.iter().map(|token| token.example(filler)).collect());
                }
            }
        }
        components.join("/")
    }
}

impl Component {
    fn parse(text: &str, is_legal: fn(char) -> bool) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it has an empty component: a slash too many".to_owned());
        }
        if text == "**" {
            return Ok(Self::Any);
        }
        if text.contains("**") {
            return Err(format!(
                "in {text}, ** is not alone between slashes. Write * for a part of a component, and ** for components"
            ));
        }
        let mut tokens = Vec::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            tokens.push(match next {
                '*' => Token::Many,
                '?' => Token::One,
                '[' => Token::parse_class(&mut rest, is_legal)?,
                other if other.is_uppercase() => {
                    return Err(format!(
                        "a repository is lower case, write {}",
                        text.to_lowercase()
                    ));
                }
                other if is_legal(other) => Token::Char(other),
                other => return Err(format!("no repository has {other:?} in its name")),
            });
        }
        let is_literal = tokens.iter().all(|it| matches!(it, Token::Char(_)));
        Ok(if is_literal {
            Self::Literal(text.to_owned())
        } else {
            Self::Glob(tokens)
        })
    }

    /// Appends the component in the syntax of globset.
    fn write(&self, glob: &mut String) {
        match self {
            Self::Any => glob.push_str("**"),
            Self::Literal(text) => glob.push_str(text),
            Self::Glob(tokens) => tokens.iter().for_each(|token| token.write(glob)),
        }
    }
}

impl Token {
    /// Parses a class after its opening bracket.
    fn parse_class(
        rest: &mut std::str::Chars<'_>,
        is_legal: fn(char) -> bool,
    ) -> Result<Self, String> {
        const UNCLOSED: &str = "an opening bracket has no closing one in the same component";
        let Some((class, after)) = rest.as_str().split_once(']') else {
            return Err(UNCLOSED.to_owned());
        };
        let shown = format!("[{class}]");
        *rest = after.chars();
        let (negated, class) = match class.strip_prefix(['!', '^']) {
            Some(class) => (true, class),
            None => (false, class),
        };
        let characters: Vec<char> = class.chars().collect();
        if let Some(other) = characters.iter().find(|it| !is_legal(**it)) {
            return Err(format!(
                "no repository has {other:?} in its name, which {shown} has"
            ));
        }
        let mut all = Vec::new();
        let mut left = characters.as_slice();
        while let [first, after @ ..] = left {
            left = match after {
                ['-', last, after @ ..] if first <= last => {
                    all.extend((*first..=*last).filter(|it| is_legal(*it)));
                    after
                }
                ['-', last, ..] => return Err(format!("in {shown}, {first}-{last} is empty")),
                after => {
                    all.push(*first);
                    after
                }
            };
        }
        if all.is_empty() {
            return Err(format!("{shown} has no character"));
        }
        all.sort_unstable();
        all.dedup();
        Ok(Self::Class {
            negated,
            characters: all,
        })
    }

    fn write(&self, glob: &mut String) {
        match self {
            Self::Char(character) => glob.push(*character),
            Self::One => glob.push('?'),
            Self::Many => glob.push('*'),
            Self::Class {
                negated,
                characters,
            } => {
                // A class of globset may match a slash.
                glob.push_str(if *negated { "[!/" } else { "[" });
                glob.extend(characters.iter().filter(|it| **it != '-'));
                // A dash at the end is no range.
                glob.extend(characters.iter().filter(|it| **it == '-'));
                glob.push(']');
            }
        }
    }

    fn example(&self, filler: char) -> char {
        match self {
            Self::Char(character) => *character,
            Self::One | Self::Many => filler,
            Self::Class {
                negated,
                characters,
            } => {
                let mut all = std::iter::once(filler).chain('a'..='z').chain('0'..='9');
                let found = all.find(|it| characters.contains(it) != *negated);
                found.unwrap_or(filler)
            }
        }
    }
}

fn compile(components: &[Component]) -> Result<GlobMatcher, String> {
    let mut glob = String::new();
    for (number, component) in components.iter().enumerate() {
        if number > 0 {
            glob.push('/');
        }
        component.write(&mut glob);
    }
    let mut builder = GlobBuilder::new(&glob);
    let glob = builder.literal_separator(true).build();
    let glob = glob.map_err(|error| error.kind().to_string())?;
    Ok(glob.compile_matcher())
}
