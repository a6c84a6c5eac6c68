//! Choice of the login of an entry.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::auth::credential::Credential;
use crate::auth::helper;
use crate::auth::secret::Secret;
use crate::auth::secret_file::{SecretFile, SecretSource};

/// Login of a registry, or of the repositories below a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginChoice {
    /// Login of docker or podman if they have one, else anonymous access.
    #[default]
    Auto,
    /// Anonymous access, even if docker or podman have a login.
    Anonymous,
    /// Login of docker or podman. It is an error if they have none.
    Docker,
    /// Login of `docker-credential-NAME`. It is an error if it has none.
    Helper(String),
    /// Credential that stays the same, other than [`Credential::Anonymous`].
    Fixed(Credential),
    /// Credential whose secret is in a file.
    File(FileLogin),
}

/// A credential whose secret is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLogin {
    form: LoginForm,
    file: SecretFile,
}

/// Form of a credential, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LoginForm {
    Password { username: String },
    Token,
    IdentityToken,
}

impl LoginForm {
    fn with_secret(&self, secret: Secret) -> Credential {
        match self {
            Self::Password { username } => Credential::Basic {
                username: username.clone(),
                password: secret,
            },
            Self::Token => Credential::Bearer(secret),
            Self::IdentityToken => Credential::Identity(secret),
        }
    }
    fn login(self, secret: SecretSource) -> LoginChoice {
        match secret {
            SecretSource::Text(secret) => LoginChoice::Fixed(self.with_secret(secret)),
            SecretSource::File(file) => LoginChoice::File(FileLogin { form: self, file }),
        }
    }
}

impl LoginChoice {
    /// Returns the login with a user name and a password.
    pub fn password(username: impl Into<String>, password: SecretSource) -> Self {
        let username = username.into();
        LoginForm::Password { username }.login(password)
    }
    /// Returns the login with a registry token, which is sent unchanged as Bearer token.
    ///
    /// # Errors
    /// A clause if the token cannot be sent in a header.
    pub fn token(token: SecretSource) -> Result<Self, String> {
        check_token(&token)?;
        Ok(LoginForm::Token.login(token))
    }
    /// Returns the login with an identity (refresh) token, which is exchanged for access tokens.
    ///
    /// # Errors
    /// A clause if the token cannot be sent.
    pub fn identity_token(token: SecretSource) -> Result<Self, String> {
        check_token(&token)?;
        Ok(LoginForm::IdentityToken.login(token))
    }
    /// Returns the login of `docker-credential-NAME`, a program in a folder of `path` (a list as in `PATH`).
    ///
    /// # Errors
    /// A clause if `name` is not a name of a helper, or the program is not installed.
    pub fn helper(name: &str, path: Option<&OsStr>) -> Result<Self, String> {
        if !helper::is_name(name) {
            return Err(helper::NO_NAME.to_owned());
        }
        let program = format!("docker-credential-{name}");
        let mut folders = path.map(std::env::split_paths).into_iter().flatten();
        let is_program = |metadata: std::fs::Metadata| {
            metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
        };
        if !folders.any(|folder| folder.join(&program).metadata().is_ok_and(is_program)) {
            return Err(format!(
                "{program} is not installed: no folder of PATH has it"
            ));
        }
        Ok(Self::Helper(name.to_owned()))
    }
    /// Returns the credential that the choice itself contains, with the current secret;
    /// [`Credential::Anonymous`] for logins of docker, podman and helpers.
    pub fn credential(&self) -> Credential {
        match self {
            Self::Auto | Self::Anonymous | Self::Docker | Self::Helper(_) => Credential::Anonymous,
            Self::Fixed(credential) => credential.clone(),
            Self::File(login) => login.credential(),
        }
    }
    /// Returns the file with the secret, if there is one.
    pub fn secret_file(&self) -> Option<&SecretFile> {
        match self {
            Self::File(login) => Some(&login.file),
            _ => None,
        }
    }
    /// Reads the file with the secret again because `stale` was refused. Returns the credential if it is another one.
    ///
    /// # Errors
    /// A clause if the file cannot be read any more. The credential stays as it was.
    pub async fn renewed(&self, stale: &Credential) -> Result<Option<Credential>, String> {
        match self {
            Self::File(login) => login.renewed(|credential| credential == stale).await,
            _ => Ok(None),
        }
    }
}

impl From<Credential> for LoginChoice {
    /// [`Credential::Anonymous`] means no choice, as in classic files.
    fn from(credential: Credential) -> Self {
        match credential {
            Credential::Anonymous => Self::Auto,
            credential => Self::Fixed(credential),
        }
    }
}

impl FileLogin {
    pub(super) fn credential(&self) -> Credential {
        self.form.with_secret(self.file.current())
    }
    /// Reads the file again if its credential `is_stale`. Returns the credential if it is another one.
    pub(super) async fn renewed(
        &self,
        is_stale: impl Fn(&Credential) -> bool,
    ) -> Result<Option<Credential>, String> {
        let is_stale = |secret: &Secret| is_stale(&self.form.with_secret(secret.clone()));
        let newer = self.file.renewed(is_stale).await?;
        Ok(newer.map(|secret| self.form.with_secret(secret)))
    }
    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }
}

fn check_token(token: &SecretSource) -> Result<(), String> {
    let is_plain = token
        .current()
        .reveal()
        .bytes()
        .all(|byte| byte.is_ascii_graphic());
    is_plain
        .then_some(())
        .ok_or_else(|| "the token has blanks, line breaks or letters that no token has".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(secret: &str) -> SecretSource {
        SecretSource::Text(Secret::new(secret))
    }

    #[test]
    fn choices_contain_their_credential() {
        let basic = LoginChoice::password("ada", text("hunter22"));
        assert_eq!(
            basic.credential(),
            Credential::Basic {
                username: "ada".to_owned(),
                password: Secret::new("hunter22"),
            }
        );
        let token = LoginChoice::token(text("hunter22")).unwrap();
        assert_eq!(
            token.credential(),
            Credential::Bearer(Secret::new("hunter22"))
        );
        let identity = LoginChoice::identity_token(text("hunter22")).unwrap();
        assert_eq!(
            identity.credential(),
            Credential::Identity(Secret::new("hunter22"))
        );
        for choice in [
            LoginChoice::Auto,
            LoginChoice::Anonymous,
            LoginChoice::Docker,
        ] {
            assert_eq!(choice.credential(), Credential::Anonymous);
        }
        for choice in [basic, token, identity] {
            assert!(!format!("{choice:?}").contains("hunter22"));
        }
    }

    #[test]
    fn tokens_that_no_header_can_have_are_refused() {
        for token in ["a b", "a\nb", "ä", "a\0"] {
            let why = "the token has blanks, line breaks or letters that no token has";
            assert_eq!(LoginChoice::token(text(token)).unwrap_err(), why);
            assert_eq!(LoginChoice::identity_token(text(token)).unwrap_err(), why);
        }
    }

    #[test]
    fn helpers_have_to_be_installed() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("docker-credential-vault");
        let path = dir.path().as_os_str();
        let missing = "docker-credential-vault is not installed: no folder of PATH has it";
        assert_eq!(
            LoginChoice::helper("vault", Some(path)).unwrap_err(),
            missing
        );
        assert_eq!(LoginChoice::helper("vault", None).unwrap_err(), missing);
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let mode = |mode| {
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o644);
        assert_eq!(
            LoginChoice::helper("vault", Some(path)).unwrap_err(),
            missing
        );
        mode(0o755);
        let found = LoginChoice::helper("vault", Some(path)).unwrap();
        assert_eq!(found, LoginChoice::Helper("vault".to_owned()));
        for name in ["", "../vault", "a b"] {
            let error = LoginChoice::helper(name, Some(path)).unwrap_err();
            assert_eq!(
                error,
                "that is no name of a helper: letters, digits, dots, dashes and underscores"
            );
        }
    }
}
