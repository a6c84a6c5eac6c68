//! Text that describes a login.

use image_syncer_registry::auth::{Credential, LoginChoice};

/// Returns the identity of a login, without its secret.
pub(crate) fn identity(login: &LoginChoice) -> String {
    let who = match login {
        LoginChoice::Docker => "the login of docker or podman".to_owned(),
        LoginChoice::Helper(name) => format!("the login of docker-credential-{name}"),
        LoginChoice::Anonymous => "anonymous".to_owned(),
        login => match login.credential() {
            Credential::Anonymous => {
                "the login of docker or podman, if there is one, else anonymous".to_owned()
            }
            Credential::Basic { username, .. } => format!("as {username}"),
            Credential::Identity(_) => "by identity token".to_owned(),
            Credential::Bearer(_) => "by registry token".to_owned(),
            Credential::GoogleServiceAccount(_) => "as a Google service account".to_owned(),
        },
    };
    match login.secret_file() {
        Some(file) => format!("{who}, with the secret in {}", file.path().display()),
        None => who,
    }
}
