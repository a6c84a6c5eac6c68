//! Symbolic links that another user made in a directory that is open to all, such as `/tmp`.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::bail;

/// Number of links in a path that the kernel follows.
const MOST_LINKS: usize = 40;

/// Refuses the value `path` of `flag` if a link of another user in it decides on the file.
///
/// # Errors
/// Names the link.
pub(crate) fn refuse_foreign_link(flag: &str, path: &Path) -> anyhow::Result<()> {
    let Some(link) = foreign_link(path, rustix::process::geteuid().as_raw()) else {
        return Ok(());
    };
    let what = if link == path {
        "this is a symbolic link".to_owned()
    } else {
        format!("{} is a symbolic link", link.display())
    };
    bail!(
        "{flag} {}: {what} of another user in a directory that is open to all, and is not followed. Name another file.",
        path.display()
    )
}

/// Returns the first link in `path`, or in the links that it leads through, that another user than `user` made in a
/// directory that is open to all. It is the rule of Linux's `fs.protected_symlinks`.
fn foreign_link(path: &Path, user: u32) -> Option<PathBuf> {
    let mut at = PathBuf::new();
    let mut rest: Vec<OsString> = reversed(path);
    let mut links = 0;
    while let Some(component) = rest.pop() {
        let next = at.join(&component);
        if !next.is_symlink() {
            at = next;
            continue;
        }
        if is_foreign(&next, user) {
            return Some(next);
        }
        links += 1;
        if links > MOST_LINKS {
            return None;
        }
        // A relative target begins at the directory of the link; an absolute one replaces all of `at` when it is joined.
        rest.extend(reversed(&next.read_link().ok()?));
    }
    None
}

/// Returns the components of `path`, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let components = path.components().rev();
    components.map(|part| part.as_os_str().to_owned()).collect()
}

/// Returns whether another user than `user` made `link` in a directory that is open to all.
fn is_foreign(link: &Path, user: u32) -> bool {
    const STICKY_AND_OPEN: u32 = 0o1002;
    let (Ok(link), Ok(directory)) = (
        link.symlink_metadata(),
        super::directory_of(link).metadata(),
    ) else {
        return false;
    };
    directory.mode() & STICKY_AND_OPEN == STICKY_AND_OPEN
        && link.uid() != user
        && link.uid() != directory.uid()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stderr)]
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    use super::*;

    /// A user other than the one of this process.
    const OTHER: u32 = 65_534;

    /// A directory that is open to all, with a link in it, and the user to whom that link is foreign.
    struct Scene {
        open: tempfile::TempDir,
        user: u32,
    }

    impl Scene {
        /// As root, the link belongs to another user. Any other user makes it in the system's directory for temporary
        /// files, which belongs to root, and sees it as another user would. Returns `None` if that directory is private.
        fn new() -> Option<Self> {
            let own = rustix::process::geteuid();
            let open = tempfile::tempdir().unwrap();
            std::fs::set_permissions(open.path(), Permissions::from_mode(0o1777)).unwrap();
            if own.is_root() {
                return Some(Self { open, user: 0 });
            }
            let shared = std::env::temp_dir();
            let metadata = shared.metadata().unwrap();
            if metadata.uid() == own.as_raw() || metadata.mode() & 0o1002 != 0o1002 {
                eprintln!(
                    "skipped: {} does not belong to root or is not sticky",
                    shared.display()
                );
                return None;
            }
            let user = own.as_raw().wrapping_add(1);
            Some(Self { open, user })
        }

        /// Makes a foreign link to `target` and returns its path.
        fn foreign(&self, target: &Path) -> PathBuf {
            if self.user == 0 {
                let link = self.open.path().join("foreign");
                symlink(target, &link).unwrap();
                lchown(&link, Some(OTHER), None).unwrap();
                return link;
            }
            let link = tempfile::Builder::new().make(|path| symlink(target, path));
            link.unwrap().into_temp_path().keep().unwrap()
        }

        fn found(&self, path: &Path) -> Option<PathBuf> {
            foreign_link(path, self.user)
        }
    }

    #[test]
    fn links_of_other_users_are_found_anywhere_in_a_path() {
        let Some(scene) = Scene::new() else { return };
        let own = tempfile::tempdir().unwrap();
        std::fs::write(own.path().join("report.json"), "theirs").unwrap();
        let link = scene.foreign(own.path());
        assert_eq!(scene.found(&link), Some(link.clone()));
        for below in ["report.json", "missing", "./x/../report.json"] {
            assert_eq!(
                scene.found(&link.join(below)),
                Some(link.clone()),
                "{below}"
            );
        }
        // A link of this user in a private directory leads to the foreign one.
        let through = own.path().join("through");
        symlink(link.join("report.json"), &through).unwrap();
        let relative = own.path().join("relative");
        symlink("through", &relative).unwrap();
        assert_eq!(scene.found(&relative), Some(link.clone()));
        std::fs::remove_file(&link).unwrap();
    }

    #[test]
    fn own_links_and_links_in_private_directories_are_followed() {
        let own = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        let link = own.path().join("link");
        symlink(own.path(), &link).unwrap();
        for mode in [0o755, 0o1777] {
            std::fs::set_permissions(own.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(foreign_link(&link.join("x"), user), None, "{mode:o}");
        }
        std::fs::set_permissions(own.path(), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(foreign_link(&link, OTHER), None);
        // The owner of the directory may decide what is in it.
        std::fs::set_permissions(own.path(), Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(foreign_link(&link, OTHER), None);
    }

    #[test]
    fn links_in_circles_end() {
        let own = tempfile::tempdir().unwrap();
        let (one, other) = (own.path().join("one"), own.path().join("other"));
        symlink(&one, &other).unwrap();
        symlink(&other, &one).unwrap();
        assert_eq!(foreign_link(&one, OTHER), None);
    }

    #[test]
    fn a_refusal_names_the_flag_and_the_link() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can give a link to another user");
            return;
        }
        let Some(scene) = Scene::new() else { return };
        let link = scene.foreign(Path::new("/etc"));
        let refusal = |path: &Path| {
            refuse_foreign_link("--report", path)
                .unwrap_err()
                .to_string()
        };
        let rule = "of another user in a directory that is open to all, and is not followed. Name another file.";
        let (shown, below) = (link.display(), link.join("report.json"));
        assert_eq!(
            refusal(&link),
            format!("--report {shown}: this is a symbolic link {rule}")
        );
        let expected = format!("--report {shown}/report.json: {shown} is a symbolic link {rule}");
        assert_eq!(refusal(&below), expected);
    }
}
